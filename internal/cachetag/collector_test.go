package cachetag_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/cachetag"
	"github.com/taskmed/taskmed/models"
)

func TestTags_AreSpelledAsTheTriggersDo(t *testing.T) {
	t.Parallel()
	id := uuid.MustParse("0193AAAA-0000-7000-8000-00000000000a")
	require.Equal(t, cachetag.Tag("contact:0193aaaa-0000-7000-8000-00000000000a"), cachetag.Entity(models.KindContact, id))
	require.Equal(t, cachetag.Tag("contact/list"), cachetag.Of("contact/list"))
	require.Equal(t, cachetag.Tag("appointment/contact=0193aaaa-0000-7000-8000-00000000000a"), cachetag.OnID("appointment", "contact", id))
	require.Equal(t, cachetag.Tag("membership/subject=a b"), cachetag.On("membership", "subject", "a\nb"), "a tag is one line")
	zone, err := time.LoadLocation("America/Sao_Paulo")
	require.NoError(t, err)
	day := cachetag.Day(time.Date(2026, 11, 23, 2, 59, 0, 0, time.UTC), zone)
	require.Equal(t, cachetag.Tag("appointment/day=2026-11-22"), cachetag.OnDay(day))
	require.Equal(t, cachetag.Tag("appointment/practitioner=0193aaaa-0000-7000-8000-00000000000a/day=2026-11-22"), cachetag.OnPractitionerDay(id, day))
}

func TestCollector_GathersEachTagOnceFromManyGoroutines(t *testing.T) {
	t.Parallel()
	ctx, collector := cachetag.Collect(t.Context())
	require.True(t, cachetag.Collecting(ctx))
	require.False(t, cachetag.Collecting(t.Context()))
	var group sync.WaitGroup
	for worker := range 8 {
		group.Go(func() {
			for i := range 100 {
				cachetag.Add(ctx, cachetag.Of(fmt.Sprint("list/", (i+worker)%100)))
				cachetag.AddProtected(ctx, fmt.Sprint("contact_", i))
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
	ctx, collector := cachetag.Collect(t.Context())
	for i := range cachetag.MaxTags {
		cachetag.Add(ctx, cachetag.Of(fmt.Sprint(i)))
	}
	_, reason := collector.Tags()
	require.Empty(t, reason)
	cachetag.Add(ctx, cachetag.Of("0"))
	_, reason = collector.Tags()
	require.Empty(t, reason, "a tag that is there already adds nothing")
	cachetag.Add(ctx, cachetag.Of("one more"))
	tags, reason := collector.Tags()
	require.NotEmpty(t, reason)
	require.Len(t, tags, cachetag.MaxTags)
}

func TestCollector_TheFirstReasonAndTheFirstInstantStay(t *testing.T) {
	t.Parallel()
	ctx, collector := cachetag.Collect(t.Context())
	require.Zero(t, collector.Until())
	soon := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	cachetag.Until(ctx, soon.Add(time.Hour))
	cachetag.Until(ctx, soon)
	cachetag.Until(ctx, soon.Add(time.Minute))
	require.Equal(t, soon, collector.Until())
	cachetag.Poison(ctx, "first")
	cachetag.Poison(ctx, "second")
	_, reason := collector.Tags()
	require.Equal(t, "first", reason)
}

func TestAdd_WithoutACollectorDoesNothing(t *testing.T) {
	t.Parallel()
	cachetag.Add(t.Context(), "contact/list")
	cachetag.Poison(t.Context(), "nobody listens")
	cachetag.Until(t.Context(), time.Now())
	cachetag.AddProtected(t.Context(), "contact_0")
}
