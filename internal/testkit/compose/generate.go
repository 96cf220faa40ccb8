package compose

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

// Generator writes random operations.
type Generator struct {
	Schema *ast.Schema
	Pool   *Pool
	Dice   *rand.Rand
	// Role is whose rights (@allow) are kept to.
	Role string
	// Leaves is how many plain queries an operation may come to, at most; 0 is 40.
	Leaves int
	// Faultless leaves out arguments that are refused.
	Faultless bool
	// Try, if set, asks a mutation that writes nothing, so that most of those that
	// are written come to something; in a pool, most of what is to be changed is
	// in no state for it.
	Try Ask
}

// Query is a random query, Depth objects deep at most.
func (g *Generator) Query() Question {
	return g.valid(func(w *writing) string {
		return w.set(g.Schema.Query, w.dice.IntN(5)+1, &scope{})
	}, "query")
}

// DryRun is a random mutation that writes nothing.
func (g *Generator) DryRun() Question {
	return g.valid(func(w *writing) string {
		var fields []string
		for range 1 + w.dice.IntN(2) {
			fields = append(fields, w.mutation(fmt.Sprintf("m%d", len(fields)), " @dryRun", ""))
		}
		return "{ " + strings.Join(fields, " ") + " }"
	}, "mutation")
}

// Rehearsed is a dry run of one mutation.
func (g *Generator) Rehearsed(mutation string) Question {
	return g.valid(func(w *writing) string {
		w.only = []string{mutation}
		return "{ " + w.mutation("m", " @dryRun", "theID: id ") + " }"
	}, "mutation")
}

// Written is one or two random mutations that do write, for Checker.CheckWritten: one of
// those in only, if given.
func (g *Generator) Written(only ...string) Question {
	return g.valid(func(w *writing) string {
		w.only = only
		fields := []string{w.mutation("m", "", "theID: id ")}
		if w.chance(30) {
			fields = append(fields, w.mutation("last", "", "theID: id "))
		}
		return "{ " + strings.Join(fields, " ") + " }"
	}, "mutation")
}

// valid writes until the schema allows it: that two fields can be merged is
// seen to while writing, but for fragments that stand in two places.
func (g *Generator) valid(write func(*writing) string, operation string) Question {
	most := g.Leaves
	if most == 0 {
		most = 40
	}
	for {
		w := &writing{
			Generator: g, variables: map[string]any{}, dice: g.Dice,
			values: &values{schema: g.Schema, pool: g.Pool, dice: g.Dice, faultless: g.Faultless},
		}
		text := write(w)
		if len(w.declared) > 0 {
			operation += "(" + strings.Join(w.declared, ", ") + ")"
		}
		q := Question{Text: operation + " " + text + strings.Join(w.fragments, ""), Variables: w.variables}
		operation, _, _ = strings.Cut(operation, "(")
		p, err := planned(g.Schema, g.Role, q)
		if err != nil || aliases(g.Schema, q) > mostAliases {
			continue
		}
		leaves := 0
		for _, root := range p.roots {
			leaves += len(root.leaves())
		}
		if leaves > 0 && leaves <= most {
			return q
		}
	}
}

// mostAliases is less than what servers refuse.
const mostAliases = 90

// aliases counts a document's.
func aliases(schema *ast.Schema, q Question) int {
	document, err := parsed(schema, q.Text)
	if err != nil {
		return mostAliases + 1
	}
	count := 0
	var set func(ast.SelectionSet)
	set = func(selections ast.SelectionSet) {
		for _, selection := range selections {
			switch s := selection.(type) {
			case *ast.Field:
				if s.Alias != s.Name {
					count++
				}
				set(s.SelectionSet)
			case *ast.InlineFragment:
				set(s.SelectionSet)
			}
		}
	}
	set(document.Operations[0].SelectionSet)
	for _, fragment := range document.Fragments {
		set(fragment.SelectionSet)
	}
	return count
}

// scope is what a response's object has so far: a key means one thing.
type scope struct{ fields map[string]*chosen }

type chosen struct {
	field     *ast.FieldDefinition
	arguments string
	below     *scope
}

// writing is one operation while it is written.
type writing struct {
	*Generator
	dice   *rand.Rand
	values *values
	only   []string

	variables map[string]any
	declared  []string
	fragments []string
	// reusable are fragments by the type they are on.
	reusable map[string][]string
	named    int
}

func (w *writing) chance(percent int) bool { return w.dice.IntN(100) < percent }

func (w *writing) may(directives ast.DirectiveList) bool { return mayRead(w.Role, directives) }

// fields are those of a type that the role may read, leaves alone where nothing
// may be below.
func (w *writing) fields(of *ast.Definition, deep bool) (leaves, objects []*ast.FieldDefinition) {
	for _, field := range of.Fields {
		target := w.Schema.Types[field.Type.Name()]
		switch {
		case field.Name == "syncToken": // another at each reading, as others write
		case strings.HasPrefix(field.Name, "__") || !w.may(field.Directives) || !w.may(target.Directives):
		case target.IsLeafType():
			leaves = append(leaves, field)
		case deep || plumbing(target):
			objects = append(objects, field)
		}
	}
	return leaves, objects
}

// plumbing is what costs no depth.
func plumbing(of *ast.Definition) bool {
	return of.Name == "PageInfo" || of.Name == "Money" || of.Name == "UserError"
}

// set is a selection set with its braces.
func (w *writing) set(of *ast.Definition, depth int, in *scope) string {
	var items []string
	for range 1 + w.dice.IntN(4) {
		items = append(items, w.item(of, depth, in))
	}
	if w.dice.IntN(12) == 0 {
		items = append(items, "__typename")
	}
	return "{ " + strings.Join(items, " ") + " }"
}

func (w *writing) item(of *ast.Definition, depth int, in *scope) string {
	narrow := 12
	if of.IsAbstractType() {
		narrow = 85
	}
	switch {
	case w.chance(narrow):
		on := w.narrowed(of)
		return "..." + w.condition(of, on) + w.directive() + " " + w.set(on, depth, in)
	case w.chance(14):
		return "..." + w.fragment(of, depth, in) + w.directive()
	}
	return w.field(of, depth, in)
}

// narrowed is a type that a fragment on another may name.
func (w *writing) narrowed(of *ast.Definition) *ast.Definition {
	if !of.IsAbstractType() {
		return of
	}
	var possible []*ast.Definition
	for _, concrete := range w.Schema.PossibleTypes[of.Name] {
		if w.may(concrete.Directives) {
			possible = append(possible, concrete)
		}
	}
	return pick(w.dice, possible)
}

func (w *writing) condition(of, on *ast.Definition) string {
	if of == on && w.chance(30) {
		return ""
	}
	return " on " + on.Name
}

// fragment writes a named fragment, or takes one that there is.
func (w *writing) fragment(of *ast.Definition, depth int, in *scope) string {
	on := w.narrowed(of)
	if known := w.reusable[on.Name]; len(known) > 0 && w.chance(40) {
		return pick(w.dice, known)
	}
	w.named++
	name := fmt.Sprintf("F%d", w.named)
	w.fragments = append(w.fragments, "\nfragment "+name+" on "+on.Name+" "+w.set(on, depth, in))
	if w.reusable == nil {
		w.reusable = map[string][]string{}
	}
	w.reusable[on.Name] = append(w.reusable[on.Name], name)
	return name
}

func (w *writing) field(of *ast.Definition, depth int, in *scope) string {
	leaves, objects := w.fields(of, depth > 0)
	for len(leaves) == 0 && len(objects) == 0 || w.chance(4) {
		return "__typename"
	}
	from := leaves
	if len(leaves) == 0 || len(objects) > 0 && w.chance(55) {
		from = objects
	}
	field := pick(w.dice, from)
	key := w.key(of, field, in)
	known := in.fields[key]
	if known == nil {
		known = &chosen{field: field, arguments: w.arguments(w.values.draws(field)), below: &scope{}}
		if in.fields == nil {
			in.fields = map[string]*chosen{}
		}
		in.fields[key] = known
	}
	text := field.Name + known.arguments + w.directive()
	if key != field.Name {
		text = key + ": " + text
	}
	target := w.Schema.Types[field.Type.Name()]
	if target.IsLeafType() {
		return text
	}
	below := depth
	if !strings.HasSuffix(of.Name, "Connection") && !strings.HasSuffix(of.Name, "Edge") {
		below--
	}
	return text + " " + w.set(target, below, known.below)
}

// key is a field's name in the answer: its own, an alias, often another field's
// name, or that of the same field asked before, which is then merged with it.
func (w *writing) key(of *ast.Definition, field *ast.FieldDefinition, in *scope) string {
	candidates := []string{field.Name}
	if w.chance(50) {
		candidates = []string{pick(w.dice, []string{"a", "b", "c", "id", "name", "nodes", "node", "edges", pick(w.dice, of.Fields).Name})}
	}
	if w.chance(15) {
		var same []string
		for key, known := range in.fields {
			if known.field == field {
				same = append(same, key)
			}
		}
		slices.Sort(same)
		candidates = append(same, candidates...)
	}
	for _, key := range candidates {
		known := in.fields[key]
		if !strings.HasPrefix(key, "__") && (known == nil || known.field == field && w.chance(50)) {
			return key
		}
	}
	w.named++
	return fmt.Sprintf("k%d", w.named)
}

// directive is @skip or @include, rarely.
func (w *writing) directive() string {
	if !w.chance(12) {
		return ""
	}
	name, value := pick(w.dice, []string{"skip", "include"}), w.chance(50)
	if w.chance(25) {
		return fmt.Sprintf(" @%s(if: %t)", name, value)
	}
	return fmt.Sprintf(" @%s(if: %s)", name, w.variable(ast.NonNullNamedType("Boolean", nil), value))
}

// attempted are arguments with which a mutation has no user's mistakes, mostly.
func (w *writing) attempted(field *ast.FieldDefinition) []kv {
	drawn := w.values.draws(field)
	if w.Try == nil {
		return drawn
	}
	for range 8 {
		var given []string
		for _, argument := range drawn {
			given = append(given, argument.name+": "+literal(w.Schema, plain(argument.value), argument.of))
		}
		answer := w.Try(Question{Text: "mutation { m: " + field.Name + "(" + strings.Join(given, ", ") + ") @dryRun { userErrors { code } } }"})
		if strings.Contains(string(answer.Data), `"userErrors":[]`) {
			break
		}
		drawn = w.values.draws(field)
	}
	return drawn
}

// mutation is a mutation field; ids is what each entity of its payload begins with.
func (w *writing) mutation(key, directive, ids string) string {
	var allowed []*ast.FieldDefinition
	for _, field := range w.Schema.Mutation.Fields {
		if w.may(field.Directives) && (len(w.only) == 0 || slices.Contains(w.only, field.Name)) {
			allowed = append(allowed, field)
		}
	}
	field := pick(w.dice, allowed)
	text := key + ": " + field.Name + w.arguments(w.attempted(field)) + directive
	payload := w.Schema.Types[field.Type.Name()]
	in, items := &scope{}, []string{"userErrors { code field message }"}
	for _, inner := range payload.Fields {
		target := w.Schema.Types[inner.Type.Name()]
		if !slices.Contains(target.Interfaces, "Node") {
			continue
		}
		for _, alias := range []string{inner.Name, "a", "b"}[:1+w.dice.IntN(3)] {
			set := w.set(target, w.dice.IntN(4), &scope{})
			items = append(items, alias+": "+inner.Name+" "+strings.Replace(set, "{ ", "{ "+ids, 1))
		}
		if ids == "" && w.chance(30) {
			items = append(items, w.item(payload, 2, in))
		}
	}
	w.dice.Shuffle(len(items), func(i, j int) { items[i], items[j] = items[j], items[i] })
	return text + " { " + strings.Join(items, " ") + " }"
}
