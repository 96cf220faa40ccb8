package writer_test

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

// asker makes random operations of a schema: aliases, fragments, conditions,
// interfaces and __typename, everything that valid documents may have.
type asker struct {
	dice      *rand.Rand
	schema    *ast.Schema
	aliases   int
	fields    int
	variables map[string]any
	fragments []string
}

func (a *asker) operation(kind ast.Operation, depth int) (document string, variables map[string]any) {
	root := a.schema.Query
	if kind == ast.Mutation {
		root = a.schema.Mutation
	}
	a.variables, a.fragments, a.aliases, a.fields = map[string]any{}, nil, 0, 0
	set := a.set(root, depth, false)
	var head strings.Builder
	for i := range len(a.variables) {
		fmt.Fprintf(&head, " $c%d: Boolean!", i)
	}
	if head.Len() > 0 {
		return fmt.Sprintf("%s Op(%s) %s\n%s", kind, head.String(), set, strings.Join(a.fragments, "\n")), a.variables
	}
	return fmt.Sprintf("%s Op %s\n%s", kind, set, strings.Join(a.fragments, "\n")), a.variables
}

// mostFields is how many fields there may be before no more objects are selected.
const mostFields = 60

// set is a selection set. Where apart is set, its keys are never those of another
// type's set, with which they would have to agree.
func (a *asker) set(of *ast.Definition, depth int, apart bool) string {
	if a.fields > mostFields {
		depth = 0
	}
	var b strings.Builder
	b.WriteString("{")
	if a.dice.IntN(6) == 0 || depth == 0 || of.Kind != ast.Object {
		b.WriteString(" " + a.alias(apart) + "__typename")
	}
	for range 1 + a.dice.IntN(6) {
		switch {
		case a.dice.IntN(8) == 0 && depth > 0:
			b.WriteString(a.fragment(of, depth-1, apart))
		case of.Kind != ast.Object && a.dice.IntN(3) > 0:
			possible := a.schema.GetPossibleTypes(of)
			b.WriteString(a.fragment(possible[a.dice.IntN(len(possible))], depth, true))
		default:
			b.WriteString(a.field(of, depth, apart))
		}
	}
	if b.Len() == 1 {
		b.WriteString(" " + a.alias(apart) + "__typename")
	}
	b.WriteString(" }")
	return b.String()
}

func (a *asker) alias(must bool) string {
	if !must && a.dice.IntN(4) > 0 {
		return ""
	}
	a.aliases++
	return fmt.Sprintf("a%d: ", a.aliases)
}

func (a *asker) fragment(on *ast.Definition, depth int, apart bool) string {
	set := a.set(on, depth, apart)
	if a.dice.IntN(2) == 0 {
		name := fmt.Sprintf("F%d", len(a.fragments))
		a.fragments = append(a.fragments, fmt.Sprintf("fragment %s on %s %s", name, on.Name, set))
		return " ..." + name + a.condition()
	}
	return " ... on " + on.Name + a.condition() + " " + set
}

func (a *asker) condition() string {
	if a.dice.IntN(5) > 0 {
		return ""
	}
	directive := []string{"skip", "include"}[a.dice.IntN(2)]
	if a.dice.IntN(3) == 0 {
		return fmt.Sprintf(" @%s(if: %t)", directive, a.dice.IntN(2) == 0)
	}
	name := fmt.Sprintf("c%d", len(a.variables))
	a.variables[name] = a.dice.IntN(2) == 0
	return fmt.Sprintf(" @%s(if: $%s)", directive, name)
}

func (a *asker) field(of *ast.Definition, depth int, apart bool) string {
	a.fields++
	field := of.Fields[a.dice.IntN(len(of.Fields))]
	result := a.schema.Types[field.Type.Name()]
	if strings.HasPrefix(field.Name, "__") || result.IsCompositeType() && depth == 0 {
		return ""
	}
	arguments := a.arguments(field)
	text := " " + a.alias(apart || arguments != "") + field.Name + arguments + a.condition()
	if result.IsCompositeType() {
		text += " " + a.set(result, depth-1, false)
	}
	return text
}

func (a *asker) arguments(field *ast.FieldDefinition) string {
	var given []string
	for _, argument := range field.Arguments {
		if argument.Type.NonNull || a.dice.IntN(4) == 0 {
			given = append(given, argument.Name+": "+literal(a.schema, argument.Type))
		}
	}
	if len(given) == 0 {
		return ""
	}
	return "(" + strings.Join(given, ", ") + ")"
}

// literal is a value of a type that the schema takes.
func literal(schema *ast.Schema, of *ast.Type) string {
	if of.Elem != nil {
		return "[" + literal(schema, of.Elem) + "]"
	}
	definition := schema.Types[of.NamedType]
	switch definition.Kind {
	case ast.Enum:
		return definition.EnumValues[0].Name
	case ast.InputObject:
		var given []string
		for _, field := range definition.Fields {
			if field.Type.NonNull {
				given = append(given, field.Name+": "+literal(schema, field.Type))
			}
		}
		return "{" + strings.Join(given, ", ") + "}"
	default:
	}
	switch of.NamedType {
	case "Int", "Long":
		return "7"
	case "Boolean":
		return "true"
	case "DateTime":
		return `"2026-11-22T09:00:00-03:00"`
	case "Date":
		return `"2026-11-22"`
	default:
		return `"text"`
	}
}
