package compose

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/vektah/gqlparser/v2/ast"
)

// Pool is what arguments are drawn from.
type Pool struct {
	// IDs are global ids by the type's name, some of nobody among them.
	IDs map[string][]string
	// Words are what is searched for; Tags and References what contacts have.
	Words, Tags, References []string
	// Instants are in order; some of them lie at most a year apart.
	Instants []time.Time
	// Cursors are those of a connection, by its type's name.
	Cursors map[string][]string
}

// kv is a field of an input object; they keep their order.
type kv struct {
	name  string
	of    *ast.Type
	value any
}

// values draws values for arguments.
type values struct {
	schema *ast.Schema
	pool   *Pool
	dice   *rand.Rand
	// faultless leaves out what is refused.
	faultless bool
}

func pick[T any](dice *rand.Rand, of []T) T { return of[dice.IntN(len(of))] }

func (v *values) chance(percent int) bool { return v.dice.IntN(100) < percent }

// argument is a value for an argument of a field; false leaves it out.
func (v *values) argument(field *ast.FieldDefinition, argument *ast.ArgumentDefinition) (any, bool) {
	connection := strings.HasSuffix(field.Type.Name(), "Connection")
	switch argument.Name {
	case "first":
		return 1 + v.dice.IntN(4), true
	case "last":
		return nil, false // draws takes it for first
	case "after", "before":
		cursors := v.pool.Cursors[field.Type.Name()]
		switch {
		case !connection || !v.chance(25):
			return nil, false
		case len(cursors) == 0 || !v.faultless && v.chance(35):
			return "bad", !v.faultless
		}
		return pick(v.dice, cursors), !v.faultless
	}
	if !argument.Type.NonNull {
		if v.chance(55) {
			return nil, false
		}
		if v.chance(8) {
			return nil, true
		}
	}
	subject := field.Type.Name()
	if payload := v.schema.Types[subject]; strings.HasSuffix(subject, "Payload") {
		for _, inner := range payload.Fields {
			if slices.Contains(v.schema.Types[inner.Type.Name()].Interfaces, "Node") {
				subject = inner.Type.Name()
				if strings.HasSuffix(field.Name, subject) {
					break // removeTimeOff is about a TimeOff, whatever else it tells of
				}
			}
		}
	}
	return v.of(argument.Name, argument.Type, subject), true
}

// draws are a field's arguments.
func (v *values) draws(field *ast.FieldDefinition) []kv {
	var drawn []kv
	for _, argument := range field.Arguments {
		if value, ok := v.argument(field, argument); ok {
			drawn = append(drawn, kv{argument.Name, argument.Type, value})
		}
	}
	if last := field.Arguments.ForName("last"); last != nil && v.chance(25) {
		for i := range drawn {
			if drawn[i].name == "first" {
				drawn[i].name = "last"
			}
		}
	}
	v.dice.Shuffle(len(drawn), func(i, j int) { drawn[i], drawn[j] = drawn[j], drawn[i] })
	return drawn
}

// of is a value of a type, by what the place is called; subject is the type that
// an id belongs to where the name does not say it.
func (v *values) of(name string, of *ast.Type, subject string) any {
	if of.Elem != nil {
		items := []any{}
		if name == "groupBy" { // one, or two that differ
			return append(items, v.of(name, of.Elem, subject))
		}
		for range v.dice.IntN(4) {
			items = append(items, v.of(name, of.Elem, subject))
		}
		if len(items) == 0 && v.faultless {
			items = append(items, v.of(name, of.Elem, subject))
		}
		return items
	}
	target := v.schema.Types[of.Name()]
	switch target.Kind { //nolint:exhaustive // what is no enum and no input object is a scalar below
	case ast.Enum:
		return enum(pick(v.dice, target.EnumValues).Name)
	case ast.InputObject:
		return v.object(target, subject)
	}
	switch of.Name() {
	case "ID":
		return v.id(name, subject)
	case "Boolean":
		return v.chance(50)
	case "Int", "Long":
		return 1 + v.dice.IntN(3)
	case "DateTime":
		return pick(v.dice, v.pool.Instants).Format(time.RFC3339)
	case "Date":
		return pick(v.dice, []string{"1990-01-01", "2001-02-03", "1958-12-31"})
	case "Currency":
		return pick(v.dice, []string{"BRL", "BRL", "BRL", "USD"})
	case "JSON":
		return []kv{{"pressure", nil, []any{120, 80}}, {"note", nil, `a "word"`}}
	}
	return v.text(name)
}

// enum is an enum's value.
type enum string

func (v *values) id(name, subject string) string {
	kind := strings.TrimSuffix(strings.TrimSuffix(name, "s"), "Id")
	kind = strings.ToUpper(kind[:1]) + kind[1:]
	if v.pool.IDs[kind] == nil {
		kind = subject
	}
	if v.pool.IDs[kind] == nil {
		var kinds []string
		for known := range v.pool.IDs {
			kinds = append(kinds, known)
		}
		slices.Sort(kinds)
		kind = pick(v.dice, kinds)
	}
	return pick(v.dice, v.pool.IDs[kind])
}

func (v *values) object(target *ast.Definition, subject string) []kv {
	object := []kv{}
	if target.Name == "DateTimeRange" {
		from, to := v.span()
		for v.faultless && to.Sub(from) > longestRange {
			from, to = v.span()
		}
		ends := []kv{
			{"from", target.Fields.ForName("from").Type, from.Format(time.RFC3339)}, {"to", target.Fields.ForName("to").Type, to.Format(time.RFC3339)},
		}
		if !v.faultless && v.chance(5) {
			ends = ends[:1]
		}
		return ends
	}
	// Of a slot's end and service, one is needed.
	timed := target.Fields.ForName("startsAt") != nil
	for _, field := range target.Fields {
		percent := 30
		switch {
		case field.Type.NonNull || field.Name == "serviceId":
			percent = 100
		case field.Name == "expectedVersion":
			percent = 10
		case timed && field.Name == "endsAt":
			percent = 0
		case timed && field.Type.Name() == "Boolean":
			percent = 70
		}
		if !v.chance(percent) {
			continue
		}
		if !field.Type.NonNull && v.chance(5) && !v.faultless {
			object = append(object, kv{field.Name, field.Type, nil})
			continue
		}
		object = append(object, kv{field.Name, field.Type, v.of(field.Name, field.Type, subject)})
	}
	return object
}

// longestRange is the most that every field takes which takes a range (timeOff's rule).
const longestRange = 366 * 24 * time.Hour

// span is from one of the pool's instants to a later one.
func (v *values) span() (from, to time.Time) {
	n := v.dice.IntN(len(v.pool.Instants) - 1)
	return v.pool.Instants[n], v.pool.Instants[n+1+v.dice.IntN(len(v.pool.Instants)-n-1)]
}

func (v *values) text(name string) string {
	switch name {
	case "query":
		return pick(v.dice, v.pool.Words)
	case "tag", "tags", "allTags":
		return pick(v.dice, v.pool.Tags)
	case "externalReference":
		if v.chance(50) {
			return fmt.Sprintf("ref-%d", v.dice.IntN(1000))
		}
		return pick(v.dice, v.pool.References)
	case "email":
		return pick(v.dice, []string{"ana@example.com", "rita.lobo@example.com"})
	case "state":
		return pick(v.dice, []string{"SP", "rj"})
	case "postalCode":
		return pick(v.dice, []string{"01310-100", "20040002"})
	case "country":
		return "BR"
	case "phone", "otherPhones":
		return pick(v.dice, []string{"+5511987654321", "(21) 98765-4321"})
	case "taxId":
		return pick(v.dice, []string{"529.982.247-25", "11144477735"})
	case "codes":
		return pick(v.dice, []string{"J45.0", "A00", "I10"})
	}
	return pick(v.dice, []string{"Rita Lobo", "Zé \"Pequeno\"", "a\nb", "Conceição"})
}
