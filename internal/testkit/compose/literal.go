package compose

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

// resolved writes a value of a query as a literal, its variables replaced; false
// where it is a variable that was not given and has no default.
func resolved(schema *ast.Schema, value *ast.Value, of *ast.Type, given map[string]any) (string, bool) {
	switch value.Kind {
	case ast.Variable:
		if v, ok := given[value.Raw]; ok {
			return literal(schema, v, of), true
		}
		if value.VariableDefinition == nil || value.VariableDefinition.DefaultValue == nil {
			return "", false
		}
		return resolved(schema, value.VariableDefinition.DefaultValue, of, given)
	case ast.ListValue:
		inner := of
		if of != nil && of.Elem != nil {
			inner = of.Elem
		}
		items := make([]string, len(value.Children))
		for i, child := range value.Children {
			item, ok := resolved(schema, child.Value, inner, given)
			if !ok {
				item = "null"
			}
			items[i] = item
		}
		return "[" + strings.Join(items, ", ") + "]", true
	case ast.ObjectValue:
		var fields []string
		for _, child := range value.Children {
			if field, ok := resolved(schema, child.Value, fieldOf(schema, of, child.Name), given); ok {
				fields = append(fields, child.Name+": "+field)
			}
		}
		return "{" + strings.Join(fields, ", ") + "}", true
	case ast.StringValue, ast.BlockValue:
		return quoted(value.Raw), true
	default:
		return value.Raw, true
	}
}

// fieldOf is the type of an input object's field; nil inside a JSON value.
func fieldOf(schema *ast.Schema, of *ast.Type, name string) *ast.Type {
	if of == nil {
		return nil
	}
	if field := schema.Types[of.Name()].Fields.ForName(name); field != nil {
		return field.Type
	}
	return nil
}

// literal writes a variable's value, as encoding/json has it, as a literal of a type.
func literal(schema *ast.Schema, value any, of *ast.Type) string {
	switch v := value.(type) {
	case nil:
		return "null"
	case string:
		if of != nil && schema.Types[of.Name()].Kind == ast.Enum {
			return v
		}
		return quoted(v)
	case []any:
		inner := of
		if of != nil && of.Elem != nil {
			inner = of.Elem
		}
		items := make([]string, len(v))
		for i, item := range v {
			items[i] = literal(schema, item, inner)
		}
		return "[" + strings.Join(items, ", ") + "]"
	case map[string]any:
		var names []string
		for name := range v {
			names = append(names, name)
		}
		slices.Sort(names)
		fields := make([]string, len(names))
		for i, name := range names {
			fields[i] = name + ": " + literal(schema, v[name], fieldOf(schema, of, name))
		}
		return "{" + strings.Join(fields, ", ") + "}"
	}
	return fmt.Sprint(value)
}

// quoted is a text as both JSON and GraphQL write it.
func quoted(text string) string {
	encoded, err := json.Marshal(text)
	if err != nil {
		return `""` // a string always encodes
	}
	return string(encoded)
}
