package rights_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/taskmed/taskmed/graph/generated"
	"github.com/taskmed/taskmed/internal/rights"
	"github.com/taskmed/taskmed/models"
)

const (
	owner   = models.Role("OWNER")
	finance = models.Role("FINANCE")
	partner = models.Role("PARTNER")
)

const head = `
enum Role { OWNER FINANCE PARTNER }
directive @allow(roles: [Role!]!) on OBJECT | FIELD_DEFINITION
`

func load(t *testing.T, text string) *ast.Schema {
	t.Helper()
	schema, err := gqlparser.LoadSchema(&ast.Source{Name: "test", Input: head + text})
	require.NoError(t, err)
	return schema
}

func TestTable_CombinesFieldParentAndResult(t *testing.T) {
	t.Parallel()
	table, err := rights.New(load(t, `
type Query { secrets: SecretConnection!  open: Open  secret: Secret @allow(roles: [OWNER]) }
type Open { name: String  code: String @allow(roles: [PARTNER])  secret: Secret }
type Secret @allow(roles: [OWNER, PARTNER]) { text: String  digest: String @allow(roles: [OWNER, FINANCE]) }
type SecretConnection { nodes: [Secret!]!  edges: [SecretEdge!]!  totalCount: Int! }
type SecretEdge { node: Secret!  cursor: String! }
`))
	require.NoError(t, err)

	cases := []struct {
		parent, field           string
		owner, finance, partner bool
	}{
		{"Query", "open", true, true, true},
		{"Query", "secret", true, false, false},
		{"Query", "secrets", true, false, true},
		{"Open", "name", true, true, true},
		{"Open", "code", false, false, true},
		{"Open", "secret", true, false, true},
		{"Secret", "text", true, false, true},
		{"Secret", "digest", true, false, false},
		{"SecretConnection", "totalCount", true, false, true},
		{"SecretEdge", "cursor", true, false, true},
		{"Open", "unknown", false, false, false},
		{"Unknown", "name", false, false, false},
	}
	for _, c := range cases {
		assert.Equal(t, c.owner, table.May(owner, c.parent, c.field), "OWNER %s.%s", c.parent, c.field)
		assert.Equal(t, c.finance, table.May(finance, c.parent, c.field), "FINANCE %s.%s", c.parent, c.field)
		assert.Equal(t, c.partner, table.May(partner, c.parent, c.field), "PARTNER %s.%s", c.parent, c.field)
	}
	assert.True(t, table.MayRead(owner, "Secret"))
	assert.False(t, table.MayRead(finance, "Secret"))
	assert.False(t, table.MayRead("INTRUDER", "Open"), "a role that the schema has not")
	assert.False(t, table.May("INTRUDER", "Open", "name"))
}

func TestNew_RefusesAnInterfaceThatHidesARestriction(t *testing.T) {
	t.Parallel()
	_, err := rights.New(load(t, `
type Query { node: Node }
interface Node { id: ID! }
type Secret implements Node { id: ID! @allow(roles: [OWNER]) }
`))
	require.ErrorContains(t, err, "Secret.id is restricted, Node.id is not")
}

func TestNew_NeedsTheRoles(t *testing.T) {
	t.Parallel()
	schema, err := gqlparser.LoadSchema(&ast.Source{Input: `type Query { a: Int }`})
	require.NoError(t, err)
	_, fault := rights.New(schema)
	require.ErrorContains(t, fault, "no enum Role")
}

func TestMarkdown_IsTheDocumentedTable(t *testing.T) {
	t.Parallel()
	table, err := rights.New(generated.NewExecutableSchema(generated.Config{}).Schema())
	require.NoError(t, err)

	golden := filepath.Join("..", "..", "docs", "rights.md")
	if os.Getenv("UPDATE_GOLDEN") != "" {
		require.NoError(t, os.WriteFile(golden, []byte(table.Markdown()), 0o600))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	assert.Equal(t, string(want), table.Markdown(), "run UPDATE_GOLDEN=1 go test ./internal/rights and read what changed")
}
