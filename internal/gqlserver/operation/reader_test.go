package operation_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/taskmed/taskmed/internal/gqlserver/operation"
	"github.com/taskmed/taskmed/internal/rights"
	"github.com/taskmed/taskmed/models"
)

// scalars is a schema with every scalar that can be read, those included that
// TaskMed's own does not take yet.
const scalars = `
directive @cost(weight: String!) on FIELD_DEFINITION
directive @listSize(assumedSize: Int, slicingArguments: [String!], sizedFields: [String!], requireOneSlicingArgument: Boolean = true) on FIELD_DEFINITION
directive @allow(roles: [Role!]!) on FIELD_DEFINITION
enum Role { OWNER }
directive @cacheControl(maxAge: Int) on FIELD_DEFINITION
scalar DateTime scalar Date scalar TimeZone scalar Currency scalar Long scalar JSON
input All { int: Int, long: Long, float: Float, text: String, yes: Boolean, id: ID, at: DateTime, day: Date, zone: TimeZone, money: Currency, data: JSON, all: All, more: [[All!]!], sets: [[Int]] }
type Query { take(all: All, list: [All!], ids: [ID!]): Int many(ids: [ID!]!): [Int] @listSize(slicingArguments: ["ids"]) }
type Mutation { take(all: All, data: JSON): Int }
`

func checkerOf(t *testing.T, text string) (*operation.Checker, error) {
	t.Helper()
	schema, err := gqlparser.LoadSchema(&ast.Source{Input: text})
	require.NoError(t, err)
	table, err := rights.New(schema)
	require.NoError(t, err)
	return operation.New(schema, table, operation.Limits{})
}

func TestNew_RefusesAScalarThatNobodyReads(t *testing.T) {
	t.Parallel()
	_, err := checkerOf(t, scalars+" scalar Phone")
	require.EqualError(t, err, "operation: the scalar Phone has no entry among the leaves: say how its values are read")
	_, err = checkerOf(t, scalars)
	require.NoError(t, err)
}

// coerced takes variables through a document of the schema of all scalars.
func coerced(t *testing.T, checker *operation.Checker, text, variables string) (map[string]any, []string) {
	t.Helper()
	document, faults := checker.Document(text)
	if len(faults) > 0 {
		return nil, said(t, faults)
	}
	given := map[string]any{}
	decoder := json.NewDecoder(strings.NewReader(variables))
	decoder.UseNumber()
	require.NoError(t, decoder.Decode(&given))
	before := fmt.Sprint(given)
	op, fault := document.Operation("A")
	require.Nil(t, fault)
	values, faults := checker.Variables(op, given)
	require.Equal(t, before, fmt.Sprint(given), "what was given is left as it is")
	return values, said(t, faults)
}

func TestVariables_AreCoercedAtEveryDepth(t *testing.T) {
	t.Parallel()
	checker, err := checkerOf(t, scalars)
	require.NoError(t, err)
	values, faults := coerced(t, checker, `query A($v: [All!]) { take(list: $v) }`, `{"v": {
		"int": 5, "long": 9007199254740993, "float": 2, "id": 7, "zone": "America/Sao_Paulo", "money": "BRL", "yes": true,
		"day": "2024-02-29", "data": [1, 1, {"a": 1.50}], "more": {"id": "x", "all": {"float": 0.5}}, "sets": [[1, 1, null, null, 2], 1, null]}}`)
	require.Empty(t, faults)
	assert.Equal(t, map[string]any{"v": []any{map[string]any{
		"int": int64(5), "long": int64(9007199254740993), "float": 2.0, "id": "7", "zone": "America/Sao_Paulo", "money": "BRL", "yes": true,
		"day":  "2024-02-29",
		"data": []any{json.Number("1"), json.Number("1"), map[string]any{"a": json.Number("1.50")}},
		"more": []any{[]any{map[string]any{"id": "x", "all": map[string]any{"float": 0.5}}}},
		"sets": []any{[]any{int64(1), nil, int64(2)}, []any{int64(1)}, nil},
	}}}, values)
	for value, want := range map[string]string{
		`{"zone": "Local"}`:                                "$v.zone must be of type TimeZone: a TimeZone is an IANA name such as America/Sao_Paulo",
		`{"zone": "../../etc/passwd"}`:                     "$v.zone must be of type TimeZone: a TimeZone is an IANA name such as America/Sao_Paulo",
		`{"money": "brl"}`:                                 "$v.money must be of type Currency: a Currency is an ISO 4217 code such as BRL",
		`{"float": 1e999}`:                                 "$v.float must be of type Float",
		`{"float": "1"}`:                                   "$v.float must be of type Float",
		`{"long": 9223372036854775808}`:                    "$v.long must be of type Long",
		`{"more": [[{"all": {"day": "2026-02-30"}}]]}`:     "$v.more[0][0].all.day must be of type Date: a Date is an ISO 8601 calendar date that exists, such as 2026-11-22",
		`{"data": "` + strings.Repeat("x", 256<<10) + `"}`: "$v.data must be of type JSON: a JSON value may take 256 KB at most",
		`{"sets": [[` + strings.Repeat("1,", 100) + `1]]}`: "$v.sets[0] takes 100 values at most",
	} {
		_, faults := coerced(t, checker, `query A($v: All) { take(all: $v) }`, `{"v": `+value+`}`)
		assert.Equal(t, []string{"BAD_USER_INPUT : " + want}, faults)
	}
}

// One long variable, written into a JSON literal many times, is measured before
// it is written out.
func TestVariables_InsideAJSONLiteralAreJudgedTogether(t *testing.T) {
	t.Parallel()
	checker, err := checkerOf(t, scalars)
	require.NoError(t, err)
	text := `mutation A($v: String) { take(all: {data: {list: [` + strings.Repeat("$v ", 900) + `]}}) }`
	_, faults := coerced(t, checker, text, `{"v": "x"}`)
	require.Empty(t, faults)
	_, faults = coerced(t, checker, text, `{"v": "`+strings.Repeat("x", 1<<20)+`"}`)
	require.Equal(t, []string{"BAD_USER_INPUT : all.data must be of type JSON: a JSON value may take 256 KB at most"}, faults)
	_, faults = coerced(t, checker, `mutation A { take(data: [99999999999999999999]) }`, `{}`)
	require.Equal(t, []string{"BAD_USER_INPUT : data holds a number that is too large to be written here"}, faults)
}

// A list that the answer has a place for each of keeps its doubles, and so does
// one that is read as such anywhere.
func TestVariables_KeepDoublesWhereTheAnswerHasAPlaceForEach(t *testing.T) {
	t.Parallel()
	checker, err := checkerOf(t, scalars)
	require.NoError(t, err)
	for text, want := range map[string]int{
		`query A($v: [ID!]!) { many(ids: $v) }`:                              3,
		`query A($v: [ID!]!) { take(ids: $v) }`:                              2,
		`query A($v: [ID!]!) { take(ids: $v) many(ids: $v) }`:                3,
		`query A($v: [ID!]!) { ...F } fragment F on Query { many(ids: $v) }`: 3,
	} {
		values, faults := coerced(t, checker, text, `{"v": ["a", "a", "b"]}`)
		require.Empty(t, faults)
		assert.Len(t, values["v"], want, text)
	}
}

// Two operations share a fragment; the variable of one has a default, that of the
// other has none and is not given.
func TestDocument_LeavesADefaultToItsOwnOperation(t *testing.T) {
	t.Parallel()
	checker := newChecker(t, operation.Limits{})
	const text = `query A($s: [ContactStatus!]) { ...F } query B($s: [ContactStatus!] = ARCHIVED) { ...F }
		fragment F on Query { contacts(filter: {status: $s}) { totalCount } }`
	document, faults := checker.Document(text)
	require.Empty(t, faults)
	field := document.AST.Fragments[0].SelectionSet[0].(*ast.Field) //nolint:forcetypeassert // it is written above
	for name, want := range map[string]map[string]any{
		"A": {"filter": map[string]any{}},
		"B": {"filter": map[string]any{"status": []any{"ARCHIVED"}}},
	} {
		op, fault := document.Operation(name)
		require.Nil(t, fault)
		values, faults := checker.Variables(op, nil)
		require.Empty(t, faults)
		assert.Equal(t, want, field.ArgumentMap(values), name)
		assert.Empty(t, checker.Admit(op, values, models.RoleOwner).Faults)
	}
}
