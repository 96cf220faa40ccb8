package gqlserver_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2/ast"
)

// @dryRun elsewhere than on a mutation's own field would be read by nobody, and
// the client would take what was written for a rehearsal.
func TestDryRun_StandsOnAMutationsOwnFieldAlone(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil).always(`{}`)
	const made, input = `{ contact { id } }`, `(input: {name: "Ana"})`
	create := func(alias, directive string) string {
		return alias + ": createContact" + input + " " + directive + " " + made + " "
	}
	for _, good := range []string{
		"mutation { " + create("a", "@dryRun") + "}",
		"mutation { " + create("a", "@dryRun") + create("b", "") + "}",
		"mutation { " + create("a", "@dryRun") + create("a", "@dryRun @include(if: true)") + "}",
		"mutation { ...F ...F } fragment F on Mutation { " + create("a", "@dryRun") + "}",
		"mutation { ... on Mutation { " + create("a", "@dryRun") + "} ...F } fragment F on Mutation { " + create("a", "@dryRun") + "}",
	} {
		out := f.post("OWNER", good, "")
		require.Equal(t, http.StatusOK, out.Code, "%s: %s", good, out.Body)
	}
	ran := f.schema.executed.Load()
	for _, bad := range []string{
		"mutation { " + create("a", "@dryRun") + create("a", "") + "}",
		"mutation { " + create("a", "") + create("a", "@dryRun") + "}",
		"mutation { " + create("a", "") + create("a", "@dryRun @include(if: false)") + "}",
		"mutation { " + create("a", "") + "...F } fragment F on Mutation { " + create("a", "@dryRun") + "}",
		"mutation { ...F ...G } fragment F on Mutation { ...H } fragment H on Mutation { " + create("a", "") + "} fragment G on Mutation { " + create("a", "@dryRun") + "}",
		"mutation { ... { " + create("a", "") + "} ... on Mutation { " + create("a", "@dryRun") + "} }",
		"mutation { __typename @dryRun " + create("a", "") + "}",
		"mutation { " + create("a", "") + "...F @dryRun } fragment F on Mutation { " + create("b", "") + "}",
		"mutation @dryRun { " + create("a", "") + "}",
		"query { contacts @dryRun { totalCount } }",
		"query { ... @dryRun { clinic { id } } }",
		"mutation { " + create("a", "") + "} fragment F on Contact { id @dryRun }",
		"mutation { a: createContact" + input + " { ...F } } fragment F on CreateContactPayload { contact { id @dryRun } }",
	} {
		out := f.post("OWNER", bad, "")
		assert.Equal(t, http.StatusBadRequest, out.Code, "%s: %s", bad, out.Body)
		assert.Equal(t, "GRAPHQL_VALIDATION_FAILED", anyCode(t, out), bad)
	}
	// Every field of the schema that is no mutation.
	walked := 0
	for _, way := range waysTo(schemaOf()) {
		if way.mutates {
			continue
		}
		walked++
		query := way.document[:way.end] + " @dryRun" + way.document[way.end:]
		out := f.post("OWNER", query, "")
		assert.Equal(t, http.StatusBadRequest, out.Code, "%s: %s", query, out.Body)
		assert.Contains(t, out.Body.String(), "@dryRun belongs on a mutation's own field", query)
	}
	require.Greater(t, walked, 50)
	assert.Equal(t, ran, f.schema.executed.Load(), "nothing ran")
}

// An exact count reads every row that there is: fifty of them are no cheap request.
func TestTotalCount_HasItsPrice(t *testing.T) {
	t.Parallel()
	schema, counted := schemaOf(), 0
	for _, definition := range schema.Types {
		field := definition.Fields.ForName("totalCount")
		if definition.Kind != ast.Object || field == nil {
			continue
		}
		counted++
		cost := field.Directives.ForName("cost")
		require.NotNil(t, cost, definition.Name)
		assert.Equal(t, "50", cost.Arguments.ForName("weight").Value.Raw, definition.Name)
	}
	require.GreaterOrEqual(t, counted, 6)
	var query strings.Builder
	for i := range 50 {
		fmt.Fprintf(&query, "a%d: appointments(first: 1) { totalCount } ", i)
	}
	f := newFixture(t, nil).always(`{}`)
	out := f.post("developer", "{"+query.String()+"}", "")
	assert.EqualValues(t, 50*(1+50), read(t, out).Extensions["taskmed"]["cost"])
}
