package entity_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/taskmed/taskmed/graph/generated"
	"github.com/taskmed/taskmed/internal/billing"
	"github.com/taskmed/taskmed/internal/entity"
	"github.com/taskmed/taskmed/internal/nouns"
	"github.com/taskmed/taskmed/internal/rights"
	"github.com/taskmed/taskmed/models"
)

// schemaWith is the schema's text with something else in place of something.
func schemaWith(t *testing.T, old, replacement string) *ast.Schema {
	t.Helper()
	files, err := filepath.Glob("../../graph/*.graphqls")
	require.NoError(t, err)
	var sources []*ast.Source
	replaced := old == ""
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		if old != "" && strings.Contains(string(text), old) {
			replaced = true
			text = []byte(strings.Replace(string(text), old, replacement, 1))
		}
		sources = append(sources, &ast.Source{Name: file, Input: string(text)})
	}
	require.True(t, replaced, "the schema has no %q", old)
	schema, err := gqlparser.LoadSchema(sources...)
	require.NoError(t, err)
	return schema
}

// newRegistry puts all nouns together with a schema, the invoice as it is given.
func newRegistry(t *testing.T, schema *ast.Schema, invoices ...entity.Declaration) error {
	t.Helper()
	objects, err := generated.Objects()
	require.NoError(t, err)
	table, err := rights.New(schema)
	require.NoError(t, err)
	declarations := slices.DeleteFunc(nouns.All(), func(d entity.Declaration) bool {
		_, invoice := d.(entity.Noun[models.Invoice])
		return invoice
	})
	_, err = entity.New(entity.Config{Schema: schema, Objects: objects, Rights: table, Roots: generated.RootRelations()}, append(declarations, invoices...)...)
	return err
}

// invoice is the invoice's declaration with something left out.
func invoice(t *testing.T, leaveOut func(n *entity.Noun[models.Invoice])) entity.Declaration {
	t.Helper()
	n, ok := billing.Invoice().(entity.Noun[models.Invoice])
	require.True(t, ok)
	leaveOut(&n)
	return n
}

func whole(*entity.Noun[models.Invoice]) {}

// TestNew_NamesWhatIsLeftOut leaves out of a noun one thing at a time.
func TestNew_NamesWhatIsLeftOut(t *testing.T) {
	t.Parallel()
	require.NoError(t, newRegistry(t, schemaWith(t, "", ""), invoice(t, whole)), "nothing is left out")

	const head = "type Invoice implements Node @cacheControl(maxAge: 300, scope: TENANT) "
	for name, planted := range map[string]struct {
		old, replacement string
		leaveOut         func(n *entity.Noun[models.Invoice])
		says             string
	}{
		"@allow": {
			head + "@phi @allow(roles: [OWNER, ADMIN, RECEPTIONIST, FINANCE])", head + "@phi", whole,
			"Invoice is a Node without @allow",
		},
		"@phi":                         {head + "@phi", head, whole, "Invoice is a Node and needs either @phi, if it tells of a patient, or @open"},
		"@phi where nobody would look": {"type InvoiceItem ", "type InvoiceItem @phi ", whole, "InvoiceItem is @phi and no Node"},
		"the generated tables for a new field": {
			"  \"Who owes it.\"", "  note: String\n  \"Who owes it.\"", whole, "Invoice.note is not among the generated tables: run make generate",
		},
		"the generated tables for a new type": {
			head, "type Receipt { id: ID! }\n" + head, whole, "the object type Receipt is not among the generated tables: run make generate",
		},
		"the kind": {
			"", "", func(n *entity.Noun[models.Invoice]) { n.Kind = "" }, "Invoice is a Node, and no entity with a kind is declared for it",
		},
		"the kind's own prefix": {
			"", "", func(n *entity.Noun[models.Invoice]) { n.Kind = models.KindContact }, `Contact and Invoice are both declared with the kind "contact"`,
		},
		"the kind's place among the generated": {
			"", "", func(n *entity.Noun[models.Invoice]) { n.Kind = "bill" }, `ids of Invoice cannot begin with "bill"`,
		},
		"a field's columns": {
			"", "", func(n *entity.Noun[models.Invoice]) { delete(n.Columns, "balance") }, "Invoice.balance is made of no column",
		},
		"a relation to one": {
			"", "", func(n *entity.Noun[models.Invoice]) { delete(n.One, "contact") }, "Invoice.contact has neither a column nor a declared relation",
		},
		"a relation from a parent": {
			"", "", func(n *entity.Noun[models.Invoice]) { n.Lists = n.Lists[:1] }, "Contact.invoices has neither a column nor a declared relation",
		},
		"the first of a list": {
			"", "", func(n *entity.Noun[models.Invoice]) { n.First = nil }, "Appointment.invoice has neither a column nor a declared relation",
		},
		"a list of the clinic's": {
			"", "", func(n *entity.Noun[models.Invoice]) { n.Lists = n.Lists[1:] }, "Query.invoices is no declared list, finds no entity by its id, and has no resolver",
		},
		"a column of the Go struct": {
			"", "", func(n *entity.Noun[models.Invoice]) { n.Lists[1].Order = "issued_on" }, `Contact.invoices needs the column "issued_on", which invoices has not`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.ErrorContains(t, newRegistry(t, schemaWith(t, planted.old, planted.replacement), invoice(t, planted.leaveOut)), planted.says)
		})
	}
	require.ErrorContains(t, newRegistry(t, schemaWith(t, "", "")), "Invoice is a Node, and no entity with a kind is declared for it", "the entity")
}
