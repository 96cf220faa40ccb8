package operation_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/formatter"

	"github.com/taskmed/taskmed/internal/gqlserver/operation"
)

// A subscription's field becomes node with the same response name, wherever it stands and
// however often it is asked for.
func TestSubscribed_IsAQueryOfTheNode(t *testing.T) {
	t.Parallel()
	checker := newChecker(t, operation.Limits{})
	for text, want := range map[string]string{
		`subscription { changed { id } }`:                                                             `{ changed: node(id: $an event) { ... on Change { id } } }`,
		`subscription { told: changed { id } told: changed { at } }`:                                  `{ told: node(id: $an event) { ... on Change { id } ... on Change { at } } }`,
		`subscription { ...F } fragment F on Subscription { ... { messageReceived { id } } }`:         `{ messageReceived: node(id: $an event) { ... on Message { id } } }`,
		`subscription($of: ID) { appointmentChanged(practitionerId: $of) @include(if: true) { id } }`: "is always asked for",
		`subscription { a: changed { id } b: changed { id } }`:                                        "has one field",
		`subscription { ... @skip(if: false) { changed { id } } }`:                                    "is always asked for",
	} {
		document, faults := checker.Document(text)
		require.Empty(t, faults, text)
		op, fault := document.Operation("")
		require.Nil(t, fault)
		found, fault := checker.Subscribed(op)
		if fault != nil {
			assert.Contains(t, fault.Err.Error(), want, text)
			continue
		}
		var out bytes.Buffer
		formatter.NewFormatter(&out).FormatQueryDocument(&ast.QueryDocument{Operations: ast.OperationList{{Operation: ast.Query, SelectionSet: found.Query.SelectionSet}}})
		assert.Contains(t, strings.Join(strings.Fields(out.String()), " "), want, text)
		assert.Equal(t, ast.Query, found.Query.Operation)
		again, _ := checker.Subscribed(op)
		assert.Same(t, found, again, "it is made once")
	}
}
