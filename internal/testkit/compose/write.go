package compose

import (
	"fmt"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

// arguments are written with their brackets, as literals and variables.
func (w *writing) arguments(given []kv) string {
	if len(given) == 0 {
		return ""
	}
	var text []string
	for _, argument := range given {
		text = append(text, argument.name+": "+w.value(argument.of, argument.value, 45))
	}
	return "(" + strings.Join(text, ", ") + ")"
}

// value writes a value as a literal, or as a variable with a likelihood in percent.
func (w *writing) value(of *ast.Type, value any, percent int) string {
	if of != nil && w.chance(percent) {
		return w.variable(of, plain(w.lone(of, value)))
	}
	const inner = 15
	switch v := w.lone(of, value).(type) {
	case nil:
		return "null"
	case enum:
		return string(v)
	case string:
		return quoted(v)
	case []any:
		items := make([]string, len(v))
		for i, item := range v {
			var elem *ast.Type
			if of != nil {
				elem = of.Elem
			}
			items[i] = w.value(elem, item, inner)
		}
		return "[" + strings.Join(items, ", ") + "]"
	case []kv:
		fields := make([]string, len(v))
		for i, field := range v {
			fields[i] = field.name + ": " + w.value(field.of, field.value, inner)
		}
		return "{" + strings.Join(fields, ", ") + "}"
	default:
		return fmt.Sprint(v)
	}
}

// lone gives a list's only item in its place, sometimes: it stands for the list.
func (w *writing) lone(of *ast.Type, value any) any {
	if items, ok := value.([]any); ok && of != nil && of.Elem != nil && len(items) == 1 && w.chance(15) {
		return items[0]
	}
	return value
}

// variable declares one and gives its value, or its default instead.
func (w *writing) variable(of *ast.Type, value any) string {
	w.named++
	name := fmt.Sprintf("v%d", w.named)
	declared := "$" + name + ": " + of.String()
	switch {
	case value != nil && w.chance(20):
		declared += " = " + literal(w.Schema, value, of)
	default:
		w.variables[name] = value
	}
	w.declared = append(w.declared, declared)
	return "$" + name
}

// plain is a value as encoding/json has it.
func plain(value any) any {
	switch v := value.(type) {
	case enum:
		return string(v)
	case []any:
		items := make([]any, len(v))
		for i, item := range v {
			items[i] = plain(item)
		}
		return items
	case []kv:
		object := map[string]any{}
		for _, field := range v {
			object[field.name] = plain(field.value)
		}
		return object
	}
	return value
}
