package coherence_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/coherence"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/touched"
)

// alone is a journal's readers and writers on one instance, with nobody beside it.
type alone struct{ journal coherence.Journal }

var _ coherence.Others = alone{}

func (a alone) Journal() coherence.Journal                     { return a.journal }
func (a alone) AwaitJournal(context.Context) coherence.Journal { return a.journal }
func (a alone) Told()                                          {}
func (a alone) StandAside(context.Context, func(context.Context) error) (bool, func(time.Duration)) {
	return false, nil
}

// everywhere runs a test on each kind of journal.
func everywhere(t *testing.T, test func(t *testing.T, journal coherence.Journal)) {
	t.Helper()
	server := testkit.NewRedis(t)
	t.Run("with Redis", func(t *testing.T) { test(t, newShared(t, server, 10*time.Second)) })
	t.Run("without Redis", func(t *testing.T) { test(t, coherence.NewLocal(time.Minute)) })
}

// reader begins to read in a clinic that is open.
func reader(t *testing.T, journal coherence.Journal, clinic uuid.UUID) coherence.Begun {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	opener := coherence.NewOpener(func(context.Context) error { return nil }, time.Second, slog.New(slog.DiscardHandler), coherence.Seams{})
	go opener.Run(ctx)
	for {
		begun, _, err := journal.Begin(t.Context(), clinic, 1, coherence.Key{1})
		require.NoError(t, err)
		pending := opener.For(journal, clinic, begun)
		if pending == nil {
			return begun
		}
		pending.Wait(t.Context())
	}
}

func refusal(t *testing.T, journal coherence.Journal, clinic uuid.UUID, begun coherence.Begun, tags ...touched.Tag) coherence.Refusal {
	t.Helper()
	said, err := journal.Store(t.Context(), coherence.Storing{Clinic: clinic, Epoch: 1, Key: coherence.Key{1}, Begun: begun, Tags: tags, Value: []byte("v"), Life: time.Minute})
	require.NoError(t, err)
	return said.Refusal
}

// TestWriter_FencesFromTheRaiseToTheSettling goes through the proof's table: a
// reader notes, and stores, at each place between a writer's steps.
func TestWriter_FencesFromTheRaiseToTheSettling(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, journal coherence.Journal) {
		t.Helper()
		writer, err := coherence.NewWriter(coherence.WriterConfig{
			Others: alone{journal}, LongestCommit: time.Minute, LongestRequest: time.Minute, Log: slog.New(slog.DiscardHandler),
		})
		require.NoError(t, err)
		clinic := uuid.New()
		before := reader(t, journal, clinic)
		require.Empty(t, refusal(t, journal, clinic, before, "contact:1"))

		settle, err := writer.Raise(t.Context(), clinic, []touched.Tag{"contact:1"})
		require.NoError(t, err)
		between := reader(t, journal, clinic)
		require.Equal(t, coherence.RefusedChanged, refusal(t, journal, clinic, before, "contact:1"), "noted before the raise")
		require.Equal(t, coherence.RefusedFenced, refusal(t, journal, clinic, between, "contact:1"), "noted after the raise")
		require.Equal(t, coherence.RefusedFenced, refusal(t, journal, clinic, between, "contact:2", "contact:1"))
		require.Empty(t, refusal(t, journal, clinic, between, "contact:2"), "another tag")

		settle(t.Context(), touched.Committed)
		require.Equal(t, coherence.RefusedChanged, refusal(t, journal, clinic, between, "contact:1"), "noted before the settling")
		require.Empty(t, refusal(t, journal, clinic, reader(t, journal, clinic), "contact:1"), "noted after it")
	})
}

// TestView_StandsUntilATagChanges looks with what is known, with a view that is far
// behind, and after more steps than are kept.
func TestView_StandsUntilATagChanges(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, journal coherence.Journal) {
		t.Helper()
		clinic := uuid.New()
		view := coherence.NewView(clinic, journal, coherence.Seams{})
		begun := reader(t, journal, clinic)
		view.Start(begun.Seq)
		var mark coherence.Mark
		mark.ReadAfter(begun.Seq)
		stands := func(mark *coherence.Mark, tags ...touched.Tag) (bool, string) {
			at, err := journal.Head(t.Context(), clinic)
			require.NoError(t, err)
			good, why, err := view.Stands(t.Context(), mark, tags, at)
			require.NoError(t, err)
			return good, why
		}
		good, _ := stands(&mark, "contact:1")
		require.True(t, good)
		for range 3000 { // more than are kept: the view asks about the tags themselves
			write(t, journal, clinic, "contact:2")
		}
		good, why := stands(&mark, "contact:1")
		require.True(t, good, why)
		write(t, journal, clinic, "contact:1")
		good, why = stands(&mark, "contact:1")
		require.False(t, good)
		require.Contains(t, why, "invalidated by contact:1")
		// Everything is every tag, by a step that the view knows and by one that it does not.
		var now coherence.Mark
		at, err := journal.Head(t.Context(), clinic)
		require.NoError(t, err)
		now.ReadAfter(at)
		write(t, journal, clinic, touched.Everything)
		good, why = stands(&now, "contact:3")
		require.False(t, good)
		require.Contains(t, why, "whole clinic")
		for range 3000 {
			write(t, journal, clinic, "contact:2")
		}
		good, _ = stands(&now, "contact:3")
		require.False(t, good)
		good, why, err = view.Stands(t.Context(), &now, nil, 0)
		require.NoError(t, err)
		require.False(t, good, "a journal that does not know the clinic: %s", why)
	})
}

// TestOpener_StoresNothingBeforeTheBarrier has the barrier fail, be slow, and end.
func TestOpener_StoresNothingBeforeTheBarrier(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, journal coherence.Journal) {
		t.Helper()
		passes := make(chan error)
		opener := coherence.NewOpener(func(context.Context) error { return <-passes }, time.Minute, slog.New(slog.DiscardHandler), coherence.Seams{})
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go opener.Run(ctx)
		clinic := uuid.New()
		for _, said := range []error{errors.New("Postgres is away"), nil} {
			begun, _, err := journal.Begin(t.Context(), clinic, 1, coherence.Key{1})
			require.NoError(t, err)
			pending := opener.For(journal, clinic, begun)
			require.NotNil(t, pending)
			require.Same(t, pending, opener.For(journal, clinic, begun), "it is asked for once")
			require.Equal(t, coherence.RefusedClosed, refusal(t, journal, clinic, begun, "contact:1"))
			passes <- said
			require.Eventually(t, func() bool { return pending.Wait(t.Context()) }, 20*time.Second, time.Millisecond)
			require.Equal(t, coherence.RefusedClosed, refusal(t, journal, clinic, begun, "contact:1"), "who began before stores nothing at all")
		}
		begun, _, err := journal.Begin(t.Context(), clinic, 1, coherence.Key{1})
		require.NoError(t, err)
		require.Nil(t, opener.For(journal, clinic, begun))
		require.Empty(t, refusal(t, journal, clinic, begun, "contact:1"))
	})
}
