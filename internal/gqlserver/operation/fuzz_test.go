package operation_test

import (
	"testing"
	"time"

	"github.com/taskmed/taskmed/internal/gqlserver/hostile"
	"github.com/taskmed/taskmed/internal/gqlserver/operation"
	"github.com/taskmed/taskmed/models"
)

// Promise H6: whatever the document, the checks neither panic nor take long,
// and what they admit keeps to the limits.
func FuzzDocument(f *testing.F) {
	for _, document := range hostile.Documents() {
		if len(document.Text) < 4000 {
			f.Add(document.Text)
		}
	}
	f.Add(dayView)
	f.Add(introspectionQuery)
	f.Add(`query($n: Int = 5, $yes: Boolean! = true) { contacts(first: $n) @include(if: $yes) { ...F } } fragment F on ContactConnection { nodes { id } }`)
	checker := newChecker(f, operation.Limits{})
	limits := operation.Limits{}.WithDefaults()
	f.Fuzz(func(t *testing.T, text string) {
		start := time.Now()
		document, faults := checker.Document(text)
		if len(faults) > 0 {
			return
		}
		for _, definition := range document.AST.Operations {
			op, fault := document.Operation(definition.Name)
			if fault != nil {
				continue
			}
			variables, faults := checker.Variables(op, map[string]any{})
			if len(faults) > 0 {
				continue
			}
			verdict := checker.Admit(op, variables, models.RoleFinance)
			if len(verdict.Faults) == 0 && (verdict.Cost > limits.Cost || verdict.Fields > limits.Fields) {
				t.Fatalf("admitted at a cost of %d with %d fields", verdict.Cost, verdict.Fields)
			}
			if verdict.Cost < 0 || verdict.Fields < 0 {
				t.Fatalf("cost %d, fields %d", verdict.Cost, verdict.Fields)
			}
		}
		if took := time.Since(start); took > time.Second*slowness {
			t.Fatalf("took %s", took)
		}
	})
}
