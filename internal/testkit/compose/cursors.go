package compose

import (
	"encoding/json"
	"fmt"
	"strings"
)

// FillCursors asks each of the schema's lists for its cursors, of a few
// parents, and keeps them in the pool.
func (g *Generator) FillCursors(ask Ask) error {
	v := &values{schema: g.Schema, pool: g.Pool, dice: g.Dice, faultless: true}
	w := &writing{Generator: g}
	g.Pool.Cursors = map[string][]string{}
	for _, of := range append(g.Schema.PossibleTypes["Node"], g.Schema.Query) {
		for _, field := range of.Fields {
			if !strings.HasSuffix(field.Type.Name(), "Connection") || !w.may(field.Directives) || !w.may(of.Directives) {
				continue
			}
			for range 4 {
				var given []string
				for _, argument := range v.draws(field) {
					if argument.of.NonNull || argument.name == "first" {
						given = append(given, argument.name+": "+literal(g.Schema, plain(argument.value), argument.of))
					}
				}
				text := field.Name
				if len(given) > 0 {
					text += "(" + strings.Join(given, ", ") + ")"
				}
				text += " { edges { cursor } }"
				if of != g.Schema.Query {
					text = fmt.Sprintf("node(id: %q) { ... on %s { %s } }", pick(g.Dice, g.Pool.IDs[of.Name]), of.Name, text)
				}
				answer := ask(Question{Text: "{ " + text + " }"})
				if len(answer.Errors) > 0 {
					return fmt.Errorf("%s: %v", text, answer.Errors)
				}
				var found any
				if err := json.Unmarshal(answer.Data, &found); err != nil {
					return err
				}
				g.Pool.Cursors[field.Type.Name()] = append(g.Pool.Cursors[field.Type.Name()], cursorsIn(found)...)
			}
		}
	}
	return nil
}

func cursorsIn(value any) []string {
	var found []string
	switch v := value.(type) {
	case []any:
		for _, item := range v {
			found = append(found, cursorsIn(item)...)
		}
	case map[string]any:
		for key, inner := range v {
			if cursor, ok := inner.(string); ok && key == "cursor" {
				found = append(found, cursor)
			}
			found = append(found, cursorsIn(inner)...)
		}
	}
	return found
}
