package fitness_test

import (
	"testing"

	"github.com/taskmed/taskmed/internal/fitness"
	"github.com/taskmed/taskmed/internal/testkit"
)

func BenchmarkExamine(b *testing.B) {
	d := testkit.NewDatabase(b)
	b.Run("first, with its connection", func(b *testing.B) {
		for b.Loop() {
			whats(b.Context(), b, d.Connect(b, d.AppURL))
		}
	})
	conn := d.Connect(b, d.AppURL)
	b.Run("again", func(b *testing.B) {
		for b.Loop() {
			if found, err := fitness.Examine(b.Context(), conn); err != nil || len(found) > 0 {
				b.Fatal(found, err)
			}
		}
	})
}
