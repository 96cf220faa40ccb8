package operation

import (
	"encoding/json"
	"slices"
	"strconv"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/taskmed/taskmed/internal/rights"
	"github.com/taskmed/taskmed/models"
)

// Verdict is what an operation would cost. Where Faults is not empty it must
// not run. It is shared between requests: do not change it.
type Verdict struct {
	Cost int64
	// Fields estimates how many fields the answer has.
	Fields int64
	// Caching says whether the answer may be kept.
	Caching Caching
	Faults  gqlerror.List
}

// Admit decides on an operation with its coerced variables for a role. Faults
// carry FORBIDDEN, BAD_USER_INPUT or COST_LIMIT and, but for the last, the path
// of the field at fault.
func (c *Checker) Admit(op *Operation, variables map[string]any, role models.Role) *Verdict {
	place, known := c.bits[role]
	if known {
		if verdict := op.verdicts[place].Load(); verdict != nil {
			return verdict
		}
	}
	w := walker{
		checker: c, document: op.document, variables: variables,
		role: role, bit: c.rights.Bit(role),
	}
	verdict := w.judge(op.Definition)
	if len(verdict.Faults) > 0 {
		return verdict
	}
	c.keep(op.document)
	if known && !w.varies {
		op.verdicts[place].Store(verdict)
	}
	return verdict
}

// tally is the cost of a selection set in units, and the fields it answers.
// What lies below a sized field is kept apart: how often it counts is said by
// the field above, which a fragment does not know.
type tally struct {
	cost, sizedCost     int64
	fields, sizedFields int64
}

type walker struct {
	checker   *Checker
	document  *Document
	variables map[string]any
	role      models.Role
	bit       rights.Roles
	// introspects is the first field that asks for the schema itself.
	introspects *ast.Field
	// gathered is the narrowest caching of what was selected.
	gathered caching
	// varies is set once a variable's value was looked at.
	varies bool
	path   []string
	memo   map[string]known

	forbidden, bad gqlerror.List
}

// known is the result of a fragment, with the faults in it; their paths begin
// at the fragment.
type known struct {
	tally
	forbidden, bad gqlerror.List
}

func (w *walker) judge(definition *ast.OperationDefinition) *Verdict {
	total := w.set(definition.SelectionSet)
	verdict := &Verdict{
		Cost:    (add(total.cost, times(defaultSize, total.sizedCost)) + unit - 1) / unit,
		Fields:  add(total.fields, times(defaultSize, total.sizedFields)),
		Caching: w.caching(definition.Operation),
	}
	limits := w.checker.limits
	switch {
	case w.introspects != nil && limits.NoIntrospection:
		verdict.Faults = gqlerror.List{Fault(ValidationFailed, w.introspects.Position, "introspection is switched off")}
	case len(w.forbidden) > 0:
		verdict.Faults = w.forbidden
	case len(w.bad) > 0:
		verdict.Faults = w.bad
	case verdict.Cost > limits.Cost:
		verdict.Faults = gqlerror.List{Fault(models.CostLimit, definition.Position,
			"the operation costs %s; the limit is %d: ask for shorter lists or fewer levels", inWords(verdict.Cost), limits.Cost)}
	case verdict.Fields > limits.Fields:
		verdict.Faults = gqlerror.List{Fault(models.CostLimit, definition.Position,
			"the answer would have %s fields; the limit is %d: ask for shorter lists or fewer levels", inWords(verdict.Fields), limits.Fields)}
	}
	return verdict
}

func inWords(n int64) string {
	if n >= ceiling/unit {
		return "more than can be counted"
	}
	return strconv.FormatInt(n, 10)
}

func (w *walker) set(set ast.SelectionSet) tally {
	var sum tally
	for _, selection := range set {
		var part tally
		switch selected := selection.(type) {
		case *ast.Field:
			if !w.included(selected.Directives) {
				continue
			}
			w.path = append(w.path, selected.Alias)
			part = w.field(selected)
			w.path = w.path[:len(w.path)-1]
		case *ast.InlineFragment:
			if !w.included(selected.Directives) {
				continue
			}
			part = w.set(selected.SelectionSet)
		case *ast.FragmentSpread:
			if !w.included(selected.Directives) {
				continue
			}
			part = w.fragment(selected.Name)
		}
		sum.cost = add(sum.cost, part.cost)
		sum.sizedCost = add(sum.sizedCost, part.sizedCost)
		sum.fields = add(sum.fields, part.fields)
		sum.sizedFields = add(sum.sizedFields, part.sizedFields)
	}
	return sum
}

// fragment walks each fragment once per operation.
func (w *walker) fragment(name string) tally {
	if found, ok := w.memo[name]; ok {
		w.forbidden = w.replay(w.forbidden, found.forbidden)
		w.bad = w.replay(w.bad, found.bad)
		return found.tally
	}
	outer := *w
	w.path, w.forbidden, w.bad = nil, nil, nil
	found := known{tally: w.set(w.document.fragments[name].SelectionSet)}
	found.forbidden, found.bad = w.forbidden, w.bad
	w.path = outer.path
	w.forbidden = w.replay(outer.forbidden, found.forbidden)
	w.bad = w.replay(outer.bad, found.bad)
	if w.memo == nil {
		w.memo = map[string]known{}
	}
	w.memo[name] = found
	return found.tally
}

// replay adds a fragment's faults under the path that it is spread at.
func (w *walker) replay(list, faults gqlerror.List) gqlerror.List {
	for _, fault := range faults {
		if len(list) >= mostFaults {
			break
		}
		here := *fault
		here.Path = append(w.here(), fault.Path...)
		list = append(list, &here)
	}
	return list
}

func (w *walker) here() ast.Path {
	path := make(ast.Path, len(w.path))
	for i, name := range w.path {
		path[i] = ast.PathName(name)
	}
	return path
}

func (w *walker) field(selected *ast.Field) tally {
	info := w.checker.fields[selected.Definition]
	if info == nil { // __typename is as open as its type; nothing else is unknown here.
		if selected.Name != "__typename" || w.checker.rights.Type(selected.ObjectDefinition.Name)&w.bit == 0 {
			w.forbid(selected)
		}
		return tally{fields: 1}
	}
	if info.roles&w.bit == 0 {
		w.forbid(selected)
		return tally{}
	}
	if !info.counted && w.introspects == nil {
		w.introspects = selected
	}
	w.gathered = w.gathered.and(info.caching)
	size := w.size(info, selected)
	own := info.weight
	for name, weight := range info.arguments {
		if selected.Arguments.ForName(name) != nil {
			own = add(own, weight)
		}
	}
	below := w.set(selected.SelectionSet)
	inner := int64(defaultSize)
	if info.sizes {
		inner = size
	}
	each := add(info.each, add(below.cost, times(inner, below.sizedCost)))
	fields := add(below.fields, times(inner, below.sizedFields))
	switch {
	case info.sized:
		return tally{cost: own, sizedCost: each, fields: 1, sizedFields: fields}
	case info.list:
		each, fields = times(size, each), times(size, fields)
	}
	if !info.counted {
		return tally{cost: add(own, each)}
	}
	return tally{cost: add(own, each), fields: add(1, fields)}
}

// size is how long the field's list is, or the list in the object it gives; it
// refuses arguments out of bounds.
func (w *walker) size(info *field, selected *ast.Field) int64 {
	size, givenBefore := info.size, false
	for _, name := range info.slicing {
		n, given := w.length(selected.Arguments.ForName(name))
		if !given {
			continue
		}
		if givenBefore {
			w.refuse(selected, "give %s or %s, not both", info.slicing[0], name)
			return size
		}
		isList := slices.Contains(info.lists, name)
		if !isList && (n < 1 || n > w.checker.limits.PageSize) {
			w.refuse(selected, "%s must be between 1 and %d", name, w.checker.limits.PageSize)
			return info.size
		}
		size, givenBefore = n, true
	}
	if info.requireOne && !givenBefore {
		w.refuse(selected, "%s must be given", info.slicing[0])
	}
	return size
}

// length reads a number, or how many values a list has; false where the
// argument is absent or null.
func (w *walker) length(argument *ast.Argument) (int64, bool) {
	if argument == nil {
		return 0, false
	}
	switch argument.Value.Kind {
	case ast.NullValue:
		return 0, false
	case ast.ListValue:
		return int64(len(argument.Value.Children)), true
	case ast.IntValue:
		n, err := strconv.ParseInt(argument.Value.Raw, 10, 64)
		if err != nil {
			return -1, true
		}
		return n, true
	case ast.Variable:
		w.varies = true
		return lengthOf(w.variables[argument.Value.Raw])
	default:
		return 1, true
	}
}

func lengthOf(value any) (int64, bool) {
	switch v := value.(type) {
	case nil:
		return 0, false
	case int64:
		return v, true
	case int:
		return int64(v), true
	case json.Number:
		n, err := v.Int64()
		if err != nil {
			return -1, true
		}
		return n, true
	case []any:
		return int64(len(v)), true
	default:
		return 1, true
	}
}

func (w *walker) included(directives ast.DirectiveList) bool {
	for _, directive := range directives {
		skip := directive.Name == "skip"
		if !skip && directive.Name != "include" {
			continue
		}
		value := directive.Arguments.ForName("if").Value
		yes := value.Raw == "true"
		if value.Kind == ast.Variable {
			w.varies = true
			given, ok := w.variables[value.Raw].(bool)
			if !ok {
				w.bad = append(w.bad, Fault(models.BadUserInput, directive.Position, "@%s needs true or false", directive.Name))
			}
			yes = given
		}
		if yes == skip {
			return false
		}
	}
	return true
}

func (w *walker) forbid(selected *ast.Field) {
	if len(w.forbidden) >= mostFaults {
		return
	}
	fault := Fault(models.Forbidden, selected.Position, "the role %s may not select %s.%s", w.role, selected.ObjectDefinition.Name, selected.Name)
	fault.Path = w.here()
	w.forbidden = append(w.forbidden, fault)
}

func (w *walker) refuse(selected *ast.Field, format string, args ...any) {
	if len(w.bad) >= mostFaults {
		return
	}
	fault := Fault(models.BadUserInput, selected.Position, format, args...)
	fault.Path = w.here()
	w.bad = append(w.bad, fault)
}
