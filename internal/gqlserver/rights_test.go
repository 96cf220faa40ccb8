package gqlserver_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/taskmed/taskmed/models"
)

// Promise I7: every role asks for every field and mutation of the schema, each
// on the shortest way that leads to it, and is refused if and only if an @allow
// on that way says so. What is refused does not run.
func TestEveryRole_OnEveryField(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil).always(`{}`)
	ways := waysTo(f.schema.Schema())
	require.Greater(t, len(ways), 150, "the walk lost its way")
	for _, role := range models.AllRole {
		refused := 0
		for _, w := range ways {
			before := f.schema.executed.Load()
			out := f.post(string(role), w.document, "")
			if slices.ContainsFunc(w.allows, func(roles []string) bool { return !slices.Contains(roles, string(role)) }) {
				refused++
				require.Equal(t, http.StatusForbidden, out.Code, "%s must not %s", role, w.document)
				require.Equal(t, before, f.schema.executed.Load(), "%s ran", w.document)
				for _, err := range read(t, out).Errors {
					require.Equal(t, "FORBIDDEN", err.Extensions.Code)
					require.NotEmpty(t, err.Path)
				}
				continue
			}
			require.Equal(t, http.StatusOK, out.Code, "%s may %s: %s", role, w.document, out.Body)
			require.Equal(t, before+1, f.schema.executed.Load())
		}
		t.Logf("%-12s may %d of %d", role, len(ways)-refused, len(ways))
		if role == models.RoleOwner {
			assert.Zero(t, refused)
		}
		if role == models.RolePartner || role == models.RoleFinance {
			assert.NotZero(t, refused)
		}
	}
}

// way is an operation that selects one field, and the roles of every @allow
// that it passes. It reads the directives by itself: what it is compared with
// must not be where it is from.
type way struct {
	document string
	allows   [][]string
	// end is where the field ends in the document, before its selection, and
	// mutates is whether it is a mutation.
	end     int
	mutates bool
}

type reached struct {
	typ        *ast.Definition
	head, tail string
	allows     [][]string
}

func waysTo(schema *ast.Schema) []way {
	var ways []way
	seen := map[string]bool{}
	queue := []reached{{typ: schema.Query, head: "query {", tail: "}"}, {typ: schema.Mutation, head: "mutation {", tail: "}"}}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		if at.typ == nil || seen[at.typ.Name] {
			continue
		}
		seen[at.typ.Name] = true
		for _, field := range at.typ.Fields {
			if strings.HasPrefix(field.Name, "__") {
				continue
			}
			result := schema.Types[field.Type.Name()]
			allows := slices.Concat(at.allows, allowed(field.Directives), allowed(result.Directives))
			call := field.Name + arguments(field)
			leaf := result.Kind == ast.Scalar || result.Kind == ast.Enum
			below := ""
			if !leaf {
				// What holds only closed things is closed itself: connections, edges.
				below = " { __typename }"
				queue = append(queue, reached{result, at.head + " " + call + " {", "}" + at.tail, allows})
				for _, inside := range []string{"nodes", "node"} {
					if fd := result.Fields.ForName(inside); fd != nil {
						allows = slices.Concat(allows, allowed(schema.Types[fd.Type.Name()].Directives))
					}
				}
			}
			head := at.head + " " + call
			ways = append(ways, way{head + below + " " + at.tail, allows, len(head), at.typ == schema.Mutation})
		}
		// The types behind an interface are on the way through it.
		for _, possible := range schema.GetPossibleTypes(at.typ) {
			if possible != at.typ {
				queue = append(queue, reached{possible, at.head + " ... on " + possible.Name + " {", "}" + at.tail, slices.Concat(at.allows, allowed(possible.Directives))})
			}
		}
	}
	return ways
}

func allowed(directives ast.DirectiveList) [][]string {
	allow := directives.ForName("allow")
	if allow == nil {
		return nil
	}
	var roles []string
	for _, child := range allow.Arguments.ForName("roles").Value.Children {
		roles = append(roles, child.Value.Raw)
	}
	return [][]string{roles}
}

// arguments gives a field what it requires.
func arguments(field *ast.FieldDefinition) string {
	var parts []string
	for _, argument := range field.Arguments {
		if argument.Type.NonNull && argument.DefaultValue == nil {
			parts = append(parts, argument.Name+": "+writtenAs(right(argument.Type), argument.Type))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return "(" + strings.Join(parts, ", ") + ")"
}
