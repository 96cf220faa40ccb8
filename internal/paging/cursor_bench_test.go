package paging_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/paging"
	"github.com/taskmed/taskmed/models"
)

func BenchmarkCursor(b *testing.B) {
	cursors, err := paging.NewCursors([]byte("a secret of the benchmark, 32 bytes or more"))
	require.NoError(b, err)
	clinic, key := models.NewID(), []string{"maria aparecida da costa", models.NewID().String()}
	sealed := cursors.Encode(clinic, "Query.contacts by name_key", key)
	b.Run("seal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			cursors.Encode(clinic, "Query.contacts by name_key", key)
		}
	})
	b.Run("open", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := cursors.Decode(clinic, "Query.contacts by name_key", sealed, len(key)); err != nil {
				b.Fatal(err)
			}
		}
	})
}
