package operation_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/taskmed/taskmed/graph/generated"
	"github.com/taskmed/taskmed/internal/gqlserver/operation"
	"github.com/taskmed/taskmed/internal/rights"
	"github.com/taskmed/taskmed/models"
)

func newChecker(tb testing.TB, limits operation.Limits) *operation.Checker {
	tb.Helper()
	schema := generated.NewExecutableSchema(generated.Config{}).Schema()
	table, err := rights.New(schema)
	require.NoError(tb, err)
	checker, err := operation.New(schema, table, limits)
	require.NoError(tb, err)
	return checker
}

// admit takes an operation all the way.
func admit(t *testing.T, checker *operation.Checker, role models.Role, text, variables string) (*operation.Verdict, gqlerror.List) {
	t.Helper()
	document, faults := checker.Document(text)
	if len(faults) > 0 {
		return nil, faults
	}
	op, fault := document.Operation("")
	if fault != nil {
		return nil, gqlerror.List{fault}
	}
	given := map[string]any{}
	if variables != "" {
		decoder := json.NewDecoder(strings.NewReader(variables))
		decoder.UseNumber()
		require.NoError(t, decoder.Decode(&given))
	}
	coerced, faults := checker.Variables(op, given)
	if len(faults) > 0 {
		return nil, faults
	}
	verdict := checker.Admit(op, coerced, role)
	return verdict, verdict.Faults
}

// said is how the tests write faults: code, path and message.
func said(t *testing.T, faults gqlerror.List) []string {
	t.Helper()
	lines := make([]string, 0, len(faults))
	for _, fault := range faults {
		known, ok := fault.Err.(*models.Error) //nolint:errorlint // it must be exactly that
		require.True(t, ok, "%T", fault.Err)
		require.Equal(t, known.Message, fault.Message)
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %s: %s", known.Code, fault.Path, fault.Message)))
	}
	return lines
}

const dayView = `query DayView($range: DateTimeRange!) {
  appointments(filter: { range: $range }, first: 50) {
    nodes { id startsAt endsAt status contact { id name phone } practitioner { id name } service { id name } }
    pageInfo { hasNextPage endCursor }
  }
}`

func TestCost_FollowsTheDirectives(t *testing.T) {
	t.Parallel()
	checker := newChecker(t, operation.Limits{})
	cases := []struct {
		name, text, variables string
		cost, fields          int64
	}{
		{"leaves cost nothing", `{ __typename }`, "", 0, 1},
		{"an object costs one", `{ clinic { id name } }`, "", 1, 3},
		// The connection, its page info, and 50 appointments of 4 objects each.
		{"the day view", dayView, `{"range":{}}`, 1 + 1 + 50*4, 2 + 3 + 50*(4+4+3+3)},
		{"a list that says nothing is a page of 20", `{ contacts { nodes { id } } }`, "", 21, 2 + 20},
		{"a size in a variable", `query($n: Int) { contacts(first: $n) { nodes { id } } }`, `{"n": 7}`, 8, 2 + 7},
		{"a null size is none", `query($n: Int) { contacts(first: $n) { nodes { id } } }`, `{"n": null}`, 21, 22},
		{"a default in the operation", `query($n: Int = 3) { contacts(first: $n) { edges { node { id } } } }`, ``, 1 + 3*2, 2 + 3*2},
		{"lists multiply", `{ contacts(first: 10) { nodes { appointments(last: 5) { nodes { id } } } } }`, "", 1 + 10*(1+1+5), 2 + 10*(2+5)},
		{"a fragment takes the size of where it is spread", `{ a: contacts(first: 10) { ...F } b: contacts(first: 3) { ...F } } fragment F on ContactConnection { nodes { id } totalCount }`, "", 11 + 4 + 2*50, 3 + 10 + 3 + 3},
		{"a field's own weight", `{ searchContacts(query: "a", first: 2) { nodes { id } } }`, "", 10 + 1 + 2, 2 + 2},
		{"a mutation", `mutation { archiveContact(input: {id: "x"}) { contact { id } userErrors { message } } }`, "", 10 + 1 + 1 + 10, 1 + 2 + 1 + 10},
		{"what is skipped costs nothing", `query($yes: Boolean!) { clinic @skip(if: $yes) { id } contacts @include(if: false) { totalCount } }`, `{"yes": true}`, 0, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for range 2 { // The second time it is known.
				verdict, faults := admit(t, checker, models.RoleOwner, c.text, c.variables)
				require.Empty(t, said(t, faults))
				assert.Equal(t, c.cost, verdict.Cost)
				assert.Equal(t, c.fields, verdict.Fields)
			}
		})
	}
}

func TestCost_OverTheLimitIsRefusedWithBothNumbers(t *testing.T) {
	t.Parallel()
	_, faults := admit(t, newChecker(t, operation.Limits{Cost: 201}), models.RoleOwner, dayView, `{"range":{}}`)
	assert.Equal(t, []string{"COST_LIMIT : the operation costs 202; the limit is 201: ask for shorter lists or fewer levels"}, said(t, faults))

	_, faults = admit(t, newChecker(t, operation.Limits{Cost: 202}), models.RoleOwner, dayView, `{"range":{}}`)
	assert.Empty(t, said(t, faults))

	_, faults = admit(t, newChecker(t, operation.Limits{Fields: 100}), models.RoleOwner, dayView, `{"range":{}}`)
	require.Len(t, faults, 1)
	assert.Contains(t, said(t, faults)[0], "COST_LIMIT : the answer would have 705 fields; the limit is 100")
}

func TestPages_OutOfBoundsAreRefusedWithTheirPath(t *testing.T) {
	t.Parallel()
	checker := newChecker(t, operation.Limits{})
	list := `["` + strings.Repeat(`x","`, 100) + `x"]`
	cases := []struct{ text, variables, want string }{
		{`{ contacts(first: 0) { totalCount } }`, "", "BAD_USER_INPUT contacts: first must be between 1 and 100"},
		{`{ contacts(first: 101) { totalCount } }`, "", "BAD_USER_INPUT contacts: first must be between 1 and 100"},
		{`{ contacts(last: -1) { totalCount } }`, "", "BAD_USER_INPUT contacts: last must be between 1 and 100"},
		{`{ contacts(first: 1, last: 1) { totalCount } }`, "", "BAD_USER_INPUT contacts: give first or last, not both"},
		{`query($n: Int) { contact(id: "x") { a: appointments(first: $n) { totalCount } } }`, `{"n": 0}`, "BAD_USER_INPUT contact.a: first must be between 1 and 100"},
		{`query($n: Int) { contacts(first: $n, last: $n) { totalCount } }`, `{"n": 5}`, "BAD_USER_INPUT contacts: give first or last, not both"},
		{`query($ids: [ID!]!) { nodes(ids: $ids) { id } }`, `{"ids": ` + list + `}`, "BAD_USER_INPUT : $ids takes 100 values at most"},
		{`{ x: clinic { ...F } } fragment F on Clinic { services(first: 200) { totalCount } }`, "", "BAD_USER_INPUT x.services: first must be between 1 and 100"},
	}
	for _, c := range cases {
		_, faults := admit(t, checker, models.RoleOwner, c.text, c.variables)
		assert.Equal(t, []string{c.want}, said(t, faults), c.text)
	}
	for _, text := range []string{`{ contacts(first: 1) { totalCount } }`, `{ contacts(last: 100) { totalCount } }`, `{ contacts(first: 5, last: null) { totalCount } }`} {
		_, faults := admit(t, checker, models.RoleOwner, text, "")
		assert.Empty(t, said(t, faults), text)
	}
}

func TestRights_EveryPlaceIsNamedOnce(t *testing.T) {
	t.Parallel()
	checker := newChecker(t, operation.Limits{})
	const text = `query($with: Boolean = true) {
	  contact(id: "x") { ...C  name  again: medicalRecords { nodes { id } } }
	  other: contact(id: "y") { ...C }
	  node(id: "z") { ... on MedicalRecord @include(if: $with) { __typename } }
	}
	fragment C on Contact { medicalRecords @include(if: $with) { nodes { title } } }`
	want := []string{
		"FORBIDDEN contact.medicalRecords: the role FINANCE may not select Contact.medicalRecords",
		"FORBIDDEN contact.again: the role FINANCE may not select Contact.medicalRecords",
		"FORBIDDEN other.medicalRecords: the role FINANCE may not select Contact.medicalRecords",
		"FORBIDDEN node.__typename: the role FINANCE may not select MedicalRecord.__typename",
	}
	for range 2 {
		_, faults := admit(t, checker, models.RoleFinance, text, "")
		assert.Equal(t, want, said(t, faults))
		_, faults = admit(t, checker, models.RoleOwner, text, "")
		assert.Empty(t, said(t, faults), "an owner may")
		_, faults = admit(t, checker, models.RoleFinance, text, `{"with": false}`)
		assert.Equal(t, want[1:2], said(t, faults), "what is left out by a variable does not count")
		_, faults = admit(t, checker, "INTRUDER", text, "")
		assert.Len(t, faults, 3, "an unknown role may do nothing at all")
	}

	var many strings.Builder
	for i := range 30 {
		fmt.Fprintf(&many, "r%d: medicalRecord(id: 1) { id } ", i)
	}
	_, faults := admit(t, checker, models.RolePartner, "{"+many.String()+"}", "")
	assert.Len(t, faults, 10, "ten are enough")
}

func TestVariables_AreCheckedStrictlyAndNeverEchoed(t *testing.T) {
	t.Parallel()
	checker := newChecker(t, operation.Limits{})
	const canary = "CANARY"
	const create = `mutation($input: CreateContactInput!) { createContact(input: $input) { contact { id } } }`
	cases := []struct{ text, variables, want string }{
		{create, ``, "$input must be given"},
		{create, `{"input": null}`, "$input must not be null"},
		{create, `{"input": "CANARY"}`, "$input must be an object of CreateContactInput"},
		{create, `{"input": {}}`, "$input.name must be given"},
		{create, `{"input": {"name": 5}}`, "$input.name must be of type String"},
		{create, `{"input": {"name": "a", "CANARY": 1}}`, "$input has a field that CreateContactInput has not"},
		{create, `{"input": {"name": "a", "tags": ["b", null]}}`, "$input.tags[1] must not be null"},
		{create, `{"input": {"name": "a", "status": "CANARY"}}`, "$input.status must be a value of ContactStatus"},
		{create, `{"input": {"name": "a", "status": "active"}}`, "$input.status must be a value of ContactStatus"},
		{`query($n: Int) { contacts(first: $n) { totalCount } }`, `{"n": "5"}`, "$n must be of type Int"},
		{`query($n: Int) { contacts(first: $n) { totalCount } }`, `{"n": 3000000000}`, "$n must be of type Int"},
		{`query($n: Int) { contacts(first: $n) { totalCount } }`, `{"n": 1e400}`, "$n must be of type Int"},
		{`query($id: ID!) { contact(id: $id) { id } }`, `{"id": true}`, "$id must be of type ID"},
		{`query($id: ID!) { contact(id: $id) { id } }`, `{"id": {"CANARY": []}}`, "$id must be of type ID"},
	}
	for _, c := range cases {
		_, faults := admit(t, checker, models.RoleOwner, c.text, c.variables)
		assert.Equal(t, []string{"BAD_USER_INPUT : " + c.want}, said(t, faults), c.variables)
		assert.NotContains(t, fmt.Sprint(faults), canary)
	}
	for _, good := range []string{`{"input": {"name": "Ana", "tags": "vip", "status": "LEAD", "notes": null}}`, `{"input": {"name": "Ana"}, "unknown": 1}`} {
		_, faults := admit(t, checker, models.RoleOwner, create, good)
		assert.Empty(t, said(t, faults), good)
	}
}

func TestMessages_HoldNoLiteralAndNoSuggestion(t *testing.T) {
	t.Parallel()
	checker := newChecker(t, operation.Limits{})
	cases := map[string]string{
		`{ contact(id: "x") { nam } }`:                            `GRAPHQL_VALIDATION_FAILED : Cannot query field "nam" on type "Contact".`,
		`{ contacts(first: "CANARY") { totalCount } }`:            `GRAPHQL_VALIDATION_FAILED : Int cannot represent non-integer value.`,
		`{ contacts(filter: "CANARY") { totalCount } }`:           `GRAPHQL_VALIDATION_FAILED : Expected value of type "ContactFilter".`,
		`{ contacts(filter: {status: CANARY}) { totalCount } }`:   `GRAPHQL_VALIDATION_FAILED : The value does not exist in "[ContactStatus!]" enum.`,
		`{ contacts(filter: {status: "CANARY"}) { totalCount } }`: `GRAPHQL_VALIDATION_FAILED : Enum "[ContactStatus!]" cannot represent non-enum value.`,
		`{ contact(id: "x", naem: 1) { id } }`:                    `GRAPHQL_VALIDATION_FAILED : Unknown argument "naem" on field "Query.contact".`,
		`query($x: Contcat) { contact(id: $x) { id } }`:           `GRAPHQL_VALIDATION_FAILED : Unknown type "Contcat".`,
		`"CANARY"`:                                         `GRAPHQL_PARSE_FAILED : Unexpected <EOF>`,
		`{ contact(id: "x" "CANARY") { id } }`:             `GRAPHQL_PARSE_FAILED : Expected Name, found String`,
		`{ contact("CANARY": 1) { id } }`:                  `GRAPHQL_PARSE_FAILED : Expected Name, found String`,
		`fragment CANARY Contact { id }`:                   `GRAPHQL_PARSE_FAILED : Expected "on", found Name`,
		`{ clinic { id ... @defer { name } } }`:            `GRAPHQL_VALIDATION_FAILED : @defer is not served`,
		`query A { __typename } query B { clinic { id } }`: `GRAPHQL_VALIDATION_FAILED : the document has 2 operations: say which by operationName`,
	}
	for text, want := range cases {
		_, faults := admit(t, checker, models.RoleOwner, text, "")
		require.NotEmpty(t, faults, text)
		assert.Contains(t, said(t, faults), want, text)
		assert.NotContains(t, fmt.Sprint(faults), "CANARY", text)
		assert.NotContains(t, fmt.Sprint(faults), "Did you mean", text)
	}
}

func TestIntrospection_OfEveryToolPasses(t *testing.T) {
	t.Parallel()
	checker := newChecker(t, operation.Limits{})
	verdict, faults := admit(t, checker, models.RoleFinance, introspectionQuery, "")
	require.Empty(t, said(t, faults))
	t.Logf("cost %d", verdict.Cost)
	assert.Less(t, verdict.Cost, int64(15_000), "it nears the limit: the schema grew")
}

// introspectionQuery is what graphql-js 16 sends with every option on.
const introspectionQuery = `query IntrospectionQuery {
  __schema { description queryType { name kind } mutationType { name kind } subscriptionType { name kind }
    types { ...FullType }
    directives { name description isRepeatable locations args(includeDeprecated: true) { ...InputValue } } } }
fragment FullType on __Type { kind name description specifiedByURL isOneOf
  fields(includeDeprecated: true) { name description args(includeDeprecated: true) { ...InputValue } type { ...TypeRef } isDeprecated deprecationReason }
  inputFields(includeDeprecated: true) { ...InputValue } interfaces { ...TypeRef }
  enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason } possibleTypes { ...TypeRef } }
fragment InputValue on __InputValue { name description type { ...TypeRef } defaultValue isDeprecated deprecationReason }
fragment TypeRef on __Type { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } } } } } } } }`
