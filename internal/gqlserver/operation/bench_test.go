package operation_test

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/gqlserver/operation"
	"github.com/taskmed/taskmed/models"
)

// What the check of a known operation adds to a request.
func BenchmarkDayView_Known(b *testing.B) { benchmark(b, dayView) }

// The same with the page's size in a variable, so that its cost is taken anew.
func BenchmarkDayView_SizeInAVariable(b *testing.B) {
	benchmark(b, `query DayView($range: DateTimeRange!, $first: Int) {
  appointments(filter: { range: $range }, first: $first) {
    nodes { id startsAt endsAt status contact { id name phone } practitioner { id name } service { id name } }
    pageInfo { hasNextPage endCursor }
  }
}`)
}

// A document that was not seen before: parsed, checked, validated and weighed.
func BenchmarkDayView_Unknown(b *testing.B) {
	checker := newChecker(b, operation.Limits{})
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		document, faults := checker.Document(dayView + "#" + strconv.Itoa(i))
		require.Empty(b, faults)
		op, _ := document.Operation("")
		checker.Admit(op, nil, models.RoleOwner)
	}
}

func benchmark(b *testing.B, text string) {
	b.Helper()
	checker := newChecker(b, operation.Limits{})
	b.ReportAllocs()
	for b.Loop() {
		document, faults := checker.Document(text)
		if len(faults) > 0 {
			b.Fatal(faults)
		}
		op, _ := document.Operation("DayView")
		variables, faults := checker.Variables(op, map[string]any{"range": map[string]any{"from": "2026-11-22T00:00:00-03:00", "to": "2026-11-23T00:00:00-03:00"}})
		if len(faults) > 0 {
			b.Fatal(faults)
		}
		if verdict := checker.Admit(op, variables, models.RoleOwner); len(verdict.Faults) > 0 {
			b.Fatal(verdict.Faults)
		}
	}
}
