package touched_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/touched"
	"github.com/taskmed/taskmed/models"
)

func TestTags_AreSpelledAsTheTriggersDo(t *testing.T) {
	t.Parallel()
	id := uuid.MustParse("0193AAAA-0000-7000-8000-00000000000a")
	require.Equal(t, touched.Tag("contact:0193aaaa-0000-7000-8000-00000000000a"), touched.Entity(models.KindContact, id))
	require.Equal(t, touched.Tag("contact/list"), touched.Of("contact/list"))
	require.Equal(t, touched.Tag("appointment/contact=0193aaaa-0000-7000-8000-00000000000a"), touched.OnID("appointment", "contact", id))
	require.Equal(t, touched.Tag("membership/subject=a b"), touched.On("membership", "subject", "a\nb"), "a tag is one line")
	zone, err := time.LoadLocation("America/Sao_Paulo")
	require.NoError(t, err)
	day := touched.Day(time.Date(2026, 11, 23, 2, 59, 0, 0, time.UTC), zone)
	require.Equal(t, touched.Tag("appointment/day=2026-11-22"), touched.OnDay(day))
	require.Equal(t, touched.Tag("appointment/practitioner=0193aaaa-0000-7000-8000-00000000000a/day=2026-11-22"), touched.OnPractitionerDay(id, day))
}

func TestCollector_GathersEachTagOnceFromManyGoroutines(t *testing.T) {
	t.Parallel()
	ctx, collector := touched.Collect(t.Context())
	require.True(t, touched.Collecting(ctx))
	require.False(t, touched.Collecting(t.Context()))
	var group sync.WaitGroup
	for worker := range 8 {
		group.Go(func() {
			for i := range 100 {
				touched.Add(ctx, touched.Of(fmt.Sprint("list/", (i+worker)%100)))
				touched.AddProtected(ctx, fmt.Sprint("contact_", i))
			}
		})
	}
	group.Wait()
	tags, reason := collector.Tags()
	require.Empty(t, reason)
	require.Len(t, tags, 100)
	require.Len(t, collector.Protected(), 100)
}

func TestCollector_WhatDependsOnTooMuchIsNotKept(t *testing.T) {
	t.Parallel()
	ctx, collector := touched.Collect(t.Context())
	for i := range touched.MaxTags {
		touched.Add(ctx, touched.Of(fmt.Sprint(i)))
	}
	_, reason := collector.Tags()
	require.Empty(t, reason)
	touched.Add(ctx, touched.Of("0"))
	_, reason = collector.Tags()
	require.Empty(t, reason, "a tag that is there already adds nothing")
	touched.Add(ctx, touched.Of("one more"))
	tags, reason := collector.Tags()
	require.NotEmpty(t, reason)
	require.Len(t, tags, touched.MaxTags)
}

func TestCollector_TheFirstReasonAndTheFirstInstantStay(t *testing.T) {
	t.Parallel()
	ctx, collector := touched.Collect(t.Context())
	require.Zero(t, collector.Until())
	soon := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	touched.Until(ctx, soon.Add(time.Hour))
	touched.Until(ctx, soon)
	touched.Until(ctx, soon.Add(time.Minute))
	require.Equal(t, soon, collector.Until())
	touched.Poison(ctx, "first")
	touched.Poison(ctx, "second")
	_, reason := collector.Tags()
	require.Equal(t, "first", reason)
}

func TestAdd_WithoutACollectorDoesNothing(t *testing.T) {
	t.Parallel()
	touched.Add(t.Context(), "contact/list")
	touched.Poison(t.Context(), "nobody listens")
	touched.Until(t.Context(), time.Now())
	touched.AddProtected(t.Context(), "contact_0")
}
