package operation

import (
	"errors"
	"slices"
	"strconv"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/taskmed/taskmed/models"
)

// reader judges and coerces values by their types: literals when a document is
// validated, variables with every request, both before anything runs. It is the
// only one: what it lets pass, resolvers are given as it left it.
type reader struct {
	schema *ast.Schema
	leaves map[string]leaf
	// code and at are of the faults that it finds.
	code   models.Code
	at     *ast.Position
	faults gqlerror.List
}

// manner is how lists are read at a place.
type manner struct {
	// longest is how many values a list may have.
	longest int
	// keeps is whether doubles and their places count. What a mutation is given to
	// write does (tags, items), and a list that the answer has a place for each of.
	// All other lists are conditions: sets, in which a double only costs.
	keeps bool
}

// and is the manner of what is read in both.
func (m manner) and(other manner) manner {
	return manner{longest: min(m.longest, other.longest), keeps: m.keeps || other.keeps}
}

// place is where a value stands. It is written out only for a fault.
type place struct {
	above *place
	name  string
	// index is in a list, where there is no name.
	index int
}

func (p *place) String() string {
	switch {
	case p.above == nil:
		return p.name
	case p.name == "":
		return p.above.String() + "[" + strconv.Itoa(p.index) + "]"
	default:
		return p.above.String() + "." + p.name
	}
}

func (r *reader) full() bool { return len(r.faults) >= mostFaults }

// refuse names the place and what should be there, never what is.
func (r *reader) refuse(at *place, what string) {
	if !r.full() {
		r.faults = append(r.faults, Fault(r.code, r.at, "%s %s", at.String(), what))
	}
}

func (r *reader) tooLong(at *place, how manner, length int) bool {
	if length <= how.longest {
		return false
	}
	r.refuse(at, "takes "+strconv.Itoa(how.longest)+" values at most")
	return true
}

// value coerces a value as it was sent. What it gives holds int64 for Int and
// Long, float64 for Float, text for ID, and a list wherever the type says so.
// The value itself is not changed.
func (r *reader) value(value any, typ *ast.Type, at *place, how manner) any {
	if value == nil {
		if typ.NonNull {
			r.refuse(at, "must not be null")
		}
		return nil
	}
	if typ.Elem != nil {
		return r.list(value, typ, at, how)
	}
	definition := r.schema.Types[typ.NamedType]
	switch definition.Kind {
	case ast.InputObject:
		return r.object(value, definition, at, how)
	case ast.Enum:
		name, ok := value.(string)
		if !ok || definition.EnumValues.ForName(name) == nil {
			r.refuse(at, "must be a value of "+definition.Name)
		}
		return value
	default:
		return r.leaf(value, typ.NamedType, at)
	}
}

func (r *reader) list(value any, typ *ast.Type, at *place, how manner) any {
	given, ok := value.([]any)
	if !ok { // One value stands for a list of one (GraphQL, section 3.11).
		return []any{r.value(value, typ.Elem, at, how)}
	}
	// Before anything that takes longer than to look at its length.
	if r.tooLong(at, how, len(given)) {
		return nil
	}
	coerced := make([]any, 0, len(given))
	var seen map[any]bool
	if !how.keeps && len(given) > 1 && r.comparable(typ.Elem) {
		seen = make(map[any]bool, len(given))
	}
	for i, item := range given {
		if r.full() {
			return nil
		}
		known := len(r.faults)
		read := r.value(item, typ.Elem, &place{above: at, index: i}, how)
		if seen != nil && len(r.faults) == known {
			if seen[read] {
				continue
			}
			seen[read] = true
		}
		coerced = append(coerced, read)
	}
	return coerced
}

// comparable is whether the values of a type can be told apart by ==.
func (r *reader) comparable(typ *ast.Type) bool {
	if typ.Elem != nil {
		return false
	}
	definition := r.schema.Types[typ.NamedType]
	return definition.Kind == ast.Enum || definition.Kind == ast.Scalar && !r.leaves[definition.Name].open
}

func (r *reader) object(value any, definition *ast.Definition, at *place, how manner) any {
	object, ok := value.(map[string]any)
	if !ok {
		r.refuse(at, "must be an object of "+definition.Name)
		return nil
	}
	coerced := make(map[string]any, len(object))
	for _, field := range definition.Fields {
		below := place{above: at, name: field.Name}
		if child, given := object[field.Name]; given {
			coerced[field.Name] = r.value(child, field.Type, &below, how)
		} else if field.Type.NonNull && field.DefaultValue == nil {
			r.refuse(&below, "must be given")
		}
	}
	if len(coerced) < len(object) {
		// Not by name: a key of the body may hold anything.
		r.refuse(at, "has a field that "+definition.Name+" has not")
	}
	return coerced
}

func (r *reader) leaf(value any, name string, at *place) any {
	read, err := r.leaves[name].read(value)
	if err == nil {
		return read
	}
	what := "must be of type " + name
	if known, ok := errors.AsType[*models.Error](err); ok {
		what += ": " + known.Message // ours, without the value
	}
	r.refuse(at, what)
	return nil
}

// literal judges a value that is written in the document and puts it into the
// form that coercion gives it, in place: a list wherever the type says so, an ID
// as text, no doubles in a set. It leaves variables for later and tells found of
// each, and of each open value that variables are in.
func (r *reader) literal(value *ast.Value, typ *ast.Type, at *place, how manner, found *uses) {
	outer := r.at
	r.at = value.Position
	defer func() { r.at = outer }()
	switch {
	case value.Kind == ast.Variable:
		// The validator leaves here the definition of whichever operation it saw
		// last; its default would be taken for another operation's variable.
		value.VariableDefinition = nil
		found.add(value.Raw, use{manner: how, needed: typ.NonNull})
		return
	case value.Kind == ast.NullValue:
		if typ.NonNull {
			r.refuse(at, "must not be null")
		}
		return
	case typ.Elem != nil:
		r.literals(value, typ, at, how, found)
		return
	}
	definition := r.schema.Types[typ.NamedType]
	switch definition.Kind {
	case ast.InputObject:
		if value.Kind != ast.ObjectValue {
			r.refuse(at, "must be an object of "+definition.Name)
			return
		}
		for _, child := range value.Children {
			if field := definition.Fields.ForName(child.Name); field != nil { // the validator has refused others
				r.literal(child.Value, field.Type, &place{above: at, name: child.Name}, how, found)
			}
		}
	case ast.Enum:
		if value.Kind != ast.EnumValue || definition.EnumValues.ForName(value.Raw) == nil {
			r.refuse(at, "must be a value of "+definition.Name)
		}
	default:
		r.literalLeaf(value, typ.NamedType, at, manner{longest: how.longest, keeps: true}, found)
	}
}

func (r *reader) literals(value *ast.Value, typ *ast.Type, at *place, how manner, found *uses) {
	if value.Kind != ast.ListValue {
		lone := *value
		lone.ExpectedType = typ.Elem
		*value = ast.Value{
			Kind: ast.ListValue, Position: lone.Position, Definition: lone.Definition, ExpectedType: typ,
			Children: ast.ChildValueList{{Value: &lone, Position: lone.Position}},
		}
		r.literal(&lone, typ.Elem, at, how, found)
		return
	}
	if r.tooLong(at, how, len(value.Children)) {
		return
	}
	for i, child := range value.Children {
		if r.full() {
			return
		}
		r.literal(child.Value, typ.Elem, &place{above: at, index: i}, how, found)
	}
	if how.keeps || len(r.faults) > 0 || !r.comparable(typ.Elem) {
		return
	}
	// Variables of equal values stay doubles here; their number is bounded.
	type written struct {
		kind ast.ValueKind
		raw  string
	}
	seen := make(map[written]bool, len(value.Children))
	value.Children = slices.DeleteFunc(value.Children, func(child *ast.ChildValue) bool {
		one := written{child.Value.Kind, child.Value.Raw}
		double := seen[one]
		seen[one] = true
		return double
	})
}

func (r *reader) literalLeaf(value *ast.Value, name string, at *place, how manner, found *uses) {
	leaf := r.leaves[name]
	if !leaf.open && !slices.Contains(leaf.kinds, value.Kind) {
		r.refuse(at, "must be of type "+name)
		return
	}
	plain, err := value.Value(nil) // without its variables, but with all that is written
	if err != nil {
		r.refuse(at, "holds a number that is too large to be written here")
		return
	}
	read := r.leaf(plain, name, at)
	if id, ok := read.(string); ok && name == "ID" {
		value.Kind, value.Raw = ast.StringValue, id
	}
	if !leaf.open {
		return
	}
	inside := variablesIn(value, nil)
	for _, variable := range inside {
		found.add(variable, use{manner: how})
	}
	if len(inside) > 0 {
		found.open = append(found.open, openValue{value: value, scalar: name, at: at.String()})
	}
}

// variablesIn are the variables in a literal of an open scalar.
func variablesIn(value *ast.Value, found []string) []string {
	if value.Kind == ast.Variable {
		value.VariableDefinition = nil
		return append(found, value.Raw)
	}
	for _, child := range value.Children {
		found = variablesIn(child.Value, found)
	}
	return found
}
