package operation_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/taskmed/taskmed/internal/gqlserver/operation"
	"github.com/taskmed/taskmed/internal/rights"
	"github.com/taskmed/taskmed/models"
)

func TestCaching_TakesTheLeastOfWhatIsSelected(t *testing.T) {
	t.Parallel()
	checker := newChecker(t, operation.Limits{})
	const (
		tenant, role, private = operation.ScopeTenant, operation.ScopeRole, operation.ScopePrivate
		id                    = `(id: "contact_01h455vb4pex5vsknk084sn02q")`
	)
	keep := func(maxAge time.Duration, scope operation.CacheScope) operation.Caching {
		return operation.Caching{MaxAge: maxAge, Scope: scope}
	}
	never := func(why string) operation.Caching { return operation.Caching{Why: why} }
	for _, c := range []struct {
		text, variables string
		want            operation.Caching
	}{
		{dayView, `{"range":{}}`, keep(5*time.Minute, tenant)},
		{"{ clinic { name } }", "", keep(24*time.Hour, tenant)},
		{"{ clinic { name } contact" + id + " { name } }", "", keep(5*time.Minute, tenant)},
		{"{ contact" + id + " { taxId } }", "", keep(5*time.Minute, role)},
		{"{ contact" + id + " { name nextAppointment { id } } }", "", keep(time.Minute, tenant)},
		{"{ viewer { subject } }", "", keep(4*time.Hour, private)},
		{"{ clinics { nodes { name } } }", "", keep(24*time.Hour, private)},
		{"{ viewer { subject } contact" + id + " { name } }", "", keep(5*time.Minute, private)},
		{`{ searchContacts(query: "ana") { nodes { name } } }`, "", keep(5*time.Minute, tenant)},
		// A page's edge is as private as what it holds.
		{"{ contacts { totalCount } }", "", keep(5*time.Minute, tenant)},
		{"{ contacts { pageInfo { hasNextPage } } }", "", keep(5*time.Minute, tenant)},
		// Nobody knows beforehand what it is: a record, for whom it is not.
		{"{ node" + id + " { id } }", "", keep(5*time.Minute, role)},
		{"{ node" + id + " { ... on Contact { name } } }", "", keep(5*time.Minute, role)},
		{"{ nodes(ids: []) { __typename } }", "", keep(5*time.Minute, role)},
		// What a fragment selects counts, and what is left out does not.
		{"{ contact" + id + " { ...F } } fragment F on Contact { nextAppointment { ...G } } fragment G on Appointment { contact { taxId } }", "", keep(time.Minute, role)},
		{"query($x: Boolean!) { contact" + id + " { name taxId @include(if: $x) } }", `{"x":false}`, keep(5*time.Minute, tenant)},
		{"query($x: Boolean!) { contact" + id + " { name taxId @include(if: $x) } }", `{"x":true}`, keep(5*time.Minute, role)},
		{"{ __typename }", "", never("not cacheable: nothing in it says for how long")},
		{"{ __schema { types { name } } }", "", never("not cacheable: introspection")},
		{"{ clinic { name } __schema { types { name } } }", "", never("not cacheable: introspection")},
		{`mutation { archiveContact(input: {id: "x"}) { contact { id } } }`, "", never("mutation")},
	} {
		verdict, faults := admit(t, checker, models.RoleOwner, c.text, c.variables)
		require.Empty(t, faults, c.text)
		assert.Equal(t, c.want, verdict.Caching, c.text)
		again, _ := admit(t, checker, models.RoleOwner, c.text, c.variables)
		assert.Equal(t, c.want, again.Caching, "the same from the kept verdict: %s", c.text)
	}
}

func TestCaching_OfASchemaThatIsDeclaredWrongIsAFault(t *testing.T) {
	t.Parallel()
	for field, fault := range map[string]string{
		"a: Int @cacheControl(maxAge: -1)":          "maxAge: -1",
		"a: Int @cacheControl(scope: NOBODY)":       "scope: NOBODY",
		"a: Int @cacheControl(maxAge: 99999999999)": "maxAge: 99999999999",
	} {
		schema, err := gqlparser.LoadSchema(&ast.Source{Input: `enum Role { OWNER } enum Scope { TENANT NOBODY }
			directive @cacheControl(maxAge: Int, scope: Scope) on OBJECT | FIELD_DEFINITION
			type Query { ` + field + ` }`})
		require.NoError(t, err)
		table, err := rights.New(schema)
		require.NoError(t, err)
		_, err = operation.New(schema, table, operation.Limits{})
		require.ErrorContains(t, err, fault)
	}
}

func TestCaching_ZeroIsNever(t *testing.T) {
	t.Parallel()
	schema, err := gqlparser.LoadSchema(&ast.Source{Input: `enum Role { OWNER }
		directive @cacheControl(maxAge: Int) on OBJECT | FIELD_DEFINITION
		type Query { a: Int @cacheControl(maxAge: 0) b: Int @cacheControl(maxAge: 5) }`})
	require.NoError(t, err)
	table, err := rights.New(schema)
	require.NoError(t, err)
	checker, err := operation.New(schema, table, operation.Limits{})
	require.NoError(t, err)
	verdict, faults := admit(t, checker, models.RoleOwner, "{ a b }", "")
	require.Empty(t, faults)
	require.Equal(t, "not cacheable: a part of it must not be kept", verdict.Caching.Why)
}
