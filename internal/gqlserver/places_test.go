package gqlserver_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/taskmed/taskmed/graph/generated"
)

// place is somewhere in the schema that takes a value: an argument or an input
// object's field, at any depth, of a field that can be reached from a root.
type place struct {
	mutation bool
	// before and after are the selection around the field.
	before, after string
	parent        *ast.Definition
	field         *ast.FieldDefinition
	argument      *ast.ArgumentDefinition
	// inputs lead from the argument to the place.
	inputs []*ast.FieldDefinition
	typ    *ast.Type
}

func (p place) String() string {
	name := p.parent.Name + "." + p.field.Name + "(" + p.argument.Name
	for _, input := range p.inputs {
		name += "." + input.Name
	}
	return name + ")"
}

// written is a piece of a document.
type written string

// asking is a document with its variables, and the way a value comes in.
type asking struct{ way, query, variables string }

// ways are all in which a value can come to the place. Texts that only a
// document can hold (a written) come in documents alone.
func (p place) ways(value any) []asking {
	whole, definition := p.around(value), p.argument.Type.String()
	literal := p.selected(writtenAs(whole, p.argument.Type))
	ways := []asking{
		{"literal", p.document("", literal), ""},
		{"literal in a fragment", p.document("", "...F") + " fragment F on " + p.root() + " { " + literal + " }", ""},
		{"default", p.document("($v: "+nullable(p.typ)+" = "+writtenAs(value, p.typ)+")", p.selected(literalOf(p, written("$v")))), ""},
	}
	items, _ := value.([]any)
	for _, item := range append(items, value) {
		if _, only := item.(written); only {
			return ways
		}
	}
	ways = append(ways,
		asking{"variable", p.document("($v: "+definition+")", p.selected("$v")), variables(whole)},
		asking{"variable in a literal", p.document("($v: "+p.typ.String()+")", p.selected(literalOf(p, written("$v")))), variables(value)},
		asking{"variable in a fragment", p.document("($v: "+definition+")", "...F") + " fragment F on " + p.root() + " { " + p.selected("$v") + " }", variables(whole)},
	)
	return ways
}

// nullable is a type that a variable with a default may have.
func nullable(typ *ast.Type) string { return strings.TrimSuffix(typ.String(), "!") }

func literalOf(p place, value any) string { return writtenAs(p.around(value), p.argument.Type) }

func variables(value any) string {
	text, _ := json.Marshal(map[string]any{"v": value})
	return string(text)
}

func (p place) root() string {
	if p.mutation {
		return "Mutation"
	}
	return "Query"
}

// document has the selection behind one that would do something.
func (p place) document(definitions, selection string) string {
	if p.mutation {
		return "mutation" + definitions + ` { before: createContact(input: {name: "a"}) { __typename } ` + selection + " }"
	}
	return "query" + definitions + " { before: clinic { id } " + selection + " }"
}

func (p place) selected(argument string) string {
	below := ""
	if definition := schemaOf().Types[p.field.Type.Name()]; definition.IsCompositeType() {
		below = " { __typename }"
	}
	arguments := []string{p.argument.Name + ": " + argument}
	for _, other := range p.field.Arguments {
		if other.Type.NonNull && other != p.argument {
			arguments = append(arguments, other.Name+": "+writtenAs(right(other.Type), other.Type))
		}
	}
	return p.before + "here: " + p.field.Name + "(" + strings.Join(arguments, ", ") + ")" + below + p.after
}

// around is the argument with a value at the place, and what it needs besides.
func (p place) around(value any) any {
	for i, input := range slices.Backward(p.inputs) {
		typ := p.argument.Type
		if i > 0 {
			typ = p.inputs[i-1].Type
		}
		object := required(schemaOf().Types[typ.Name()])
		object[input.Name] = value
		value = object
		if typ.Elem != nil {
			value = []any{object}
		}
	}
	return value
}

func required(definition *ast.Definition) map[string]any {
	object := map[string]any{}
	for _, field := range definition.Fields {
		if field.Type.NonNull {
			object[field.Name] = right(field.Type)
		}
	}
	return object
}

// right is a value of a type.
func right(typ *ast.Type) any {
	if typ.Elem != nil {
		return []any{right(typ.Elem)}
	}
	definition := schemaOf().Types[typ.NamedType]
	if definition.Kind == ast.InputObject {
		return required(definition)
	}
	if definition.Kind == ast.Enum {
		return definition.EnumValues[0].Name
	}
	return map[string]any{
		"Int": 1, "Long": 1, "Float": 1.5, "Boolean": true, "String": "x", "ID": "x", "Date": "2026-03-03",
		"DateTime": "2026-03-03T09:00:00Z", "JSON": map[string]any{"a": []any{1, nil}}, "TimeZone": "America/Sao_Paulo", "Currency": "BRL",
	}[typ.NamedType]
}

// writtenAs writes a value as a document has it.
func writtenAs(value any, typ *ast.Type) string {
	var definition *ast.Definition
	if typ != nil {
		definition = schemaOf().Types[typ.Name()]
	}
	switch v := value.(type) {
	case written:
		return string(v)
	case []any:
		items := make([]string, len(v))
		for i, item := range v {
			items[i] = writtenAs(item, typ)
		}
		return "[" + strings.Join(items, ", ") + "]"
	case map[string]any:
		var fields []string
		for name, item := range v {
			var below *ast.Type
			if definition != nil && definition.Kind == ast.InputObject {
				if field := definition.Fields.ForName(name); field != nil {
					below = field.Type
				}
			}
			fields = append(fields, name+": "+writtenAs(item, below))
		}
		slices.Sort(fields)
		return "{" + strings.Join(fields, ", ") + "}"
	case string:
		if definition != nil && definition.Kind == ast.Enum {
			return v
		}
	}
	text, err := json.Marshal(value)
	if err != nil {
		panic(fmt.Sprintf("%T cannot be written", value))
	}
	return string(text)
}

func schemaOf() *ast.Schema { return generated.NewExecutableSchema(generated.Config{}).Schema() }

// places walks the schema to every leaf of every argument of every field; each
// type is reached once from each root.
func places() []place {
	schema := schemaOf()
	var found []place
	for _, root := range []*ast.Definition{schema.Query, schema.Mutation} {
		type stop struct {
			definition    *ast.Definition
			before, after string
		}
		seen := map[string]bool{root.Name: true}
		for queue := []stop{{definition: root}}; len(queue) > 0; queue = queue[1:] {
			at := queue[0]
			for _, field := range at.definition.Fields {
				if strings.HasPrefix(field.Name, "__") {
					continue
				}
				p := place{mutation: root == schema.Mutation, before: at.before, after: at.after, parent: at.definition, field: field}
				for _, argument := range field.Arguments {
					p.argument, p.inputs, p.typ = argument, nil, argument.Type
					found = append(found, p.leaves(schema)...)
				}
				below := schema.Types[field.Type.Name()]
				for _, definition := range append([]*ast.Definition{below}, schema.PossibleTypes[below.Name]...) {
					if definition.Kind != ast.Object || seen[definition.Name] {
						continue
					}
					seen[definition.Name] = true
					var arguments []string
					for _, argument := range field.Arguments {
						if argument.Type.NonNull {
							arguments = append(arguments, argument.Name+": "+writtenAs(right(argument.Type), argument.Type))
						}
					}
					open := at.before + field.Name
					if len(arguments) > 0 {
						open += "(" + strings.Join(arguments, ", ") + ")"
					}
					queue = append(queue, stop{definition, open + " { ... on " + definition.Name + " { ", " } }" + at.after})
				}
			}
		}
	}
	return found
}

func (p place) leaves(schema *ast.Schema) []place {
	definition := schema.Types[p.typ.Name()]
	if definition.Kind != ast.InputObject {
		return []place{p}
	}
	var found []place
	for _, field := range definition.Fields {
		below := p
		below.inputs, below.typ = append(slices.Clone(p.inputs), field), field.Type
		found = append(found, below.leaves(schema)...)
	}
	return found
}
