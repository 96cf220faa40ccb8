package app_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/attachments"
	"github.com/taskmed/taskmed/internal/attachments/store"
	"github.com/taskmed/taskmed/internal/testkit"
)

// gaugeOf is a gauge's value in a registry.
func gaugeOf(t *testing.T, registry *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		if family.GetName() == name {
			return family.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("no %s", name)
	return 0
}

func TestSweeper_TellsHowLongObjectsStay(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	clinic := d.NewClinic(t, "aurora")
	folder, err := store.NewFolder(t.TempDir())
	require.NoError(t, err)
	registry := prometheus.NewPedanticRegistry()
	files := attachments.New(attachments.Config{DB: d.DB, Store: folder, Counted: attachments.NewMetrics(registry)})
	// It was put off so often that it is due later again.
	d.Exec(t, "INSERT INTO attachment_removals (clinic_id, id, due_at, created_at) VALUES ($1, gen_random_uuid(), now() + interval '1 hour', now() - interval '4 hours')", clinic.ID)
	sweeper := attachments.NewSweeper(files, 10*time.Millisecond)
	stays := func() float64 { return gaugeOf(t, registry, "taskmed_attachment_removals_oldest_waiting_seconds") }
	require.NoError(t, sweeper.Beside(t.Context(), func() error {
		require.Eventually(t, func() bool { return stays() >= 4*3600 }, time.Minute, time.Millisecond)
		d.Exec(t, "UPDATE attachment_removals SET due_at = now()")
		require.Eventually(t, func() bool { return stays() == 0 }, time.Minute, time.Millisecond, "it is gone")
		return nil
	}))
}

// stuck is a store of which some calls hang, and do not care for their contexts, until they
// are let go.
type stuck struct {
	store.Store

	hangs    func(call string, name store.Name) bool
	released chan struct{}
	mu       sync.Mutex
	under    map[string]int
	most     map[string]int
}

func newStuck(t *testing.T, hangs func(call string, name store.Name) bool) *stuck {
	t.Helper()
	folder, err := store.NewFolder(t.TempDir())
	require.NoError(t, err)
	s := &stuck{Store: folder, hangs: hangs, released: make(chan struct{}), under: map[string]int{}, most: map[string]int{}}
	t.Cleanup(s.release)
	return s
}

func (s *stuck) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.released:
	default:
		close(s.released)
	}
}

// enter hangs where it is to.
func (s *stuck) enter(call string, name store.Name) {
	if !s.hangs(call, name) {
		return
	}
	s.mu.Lock()
	s.under[call]++
	s.most[call] = max(s.most[call], s.under[call])
	s.mu.Unlock()
	<-s.released
	s.mu.Lock()
	s.under[call]--
	s.mu.Unlock()
}

func (s *stuck) Check(ctx context.Context) error {
	s.enter("check", store.Name{})
	return s.Store.Check(ctx)
}

func (s *stuck) Tidy(ctx context.Context) error {
	s.enter("tidy", store.Name{})
	return s.Store.Tidy(ctx)
}

func (s *stuck) Remove(ctx context.Context, name store.Name) error {
	s.enter("remove", name)
	return s.Store.Remove(ctx, name)
}

// A store that hangs keeps the sweep from what it is asked alone, and no server from its end.
func TestSweeper_GoesOnWhereTheStoreHangs(t *testing.T) {
	t.Parallel()
	for name, hanging := range map[string]struct {
		call string
		most int
		up   float64
	}{
		"check": {"check", 1, 0}, "tidy": {"tidy", 1, 1}, "one object": {"remove", 4, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := testkit.NewDatabase(t)
			clinic := d.NewClinic(t, "aurora")
			bad := uuid.New()
			kept := newStuck(t, func(call string, of store.Name) bool {
				return call == hanging.call && (call != "remove" || of.ID == bad)
			})
			registry := prometheus.NewPedanticRegistry()
			files := attachments.New(attachments.Config{
				DB: d.DB, Store: kept, Counted: attachments.NewMetrics(registry), Seams: attachments.Seams{Patience: 20 * time.Millisecond},
			})
			due := func(id uuid.UUID) {
				d.Exec(t, "INSERT INTO attachment_removals (clinic_id, id, due_at) VALUES ($1, $2, now())", clinic.ID, id)
			}
			due(bad)
			waits := func() int {
				return d.Count(t, "SELECT count(*) FROM attachment_removals WHERE id <> $1 AND due_at <= now()", bad)
			}
			require.NoError(t, attachments.NewSweeper(files, 5*time.Millisecond).Beside(t.Context(), func() error {
				require.Eventually(t, func() bool {
					kept.mu.Lock()
					defer kept.mu.Unlock()
					return kept.under[hanging.call] > 0
				}, time.Minute, time.Millisecond)
				for range 3 {
					due(uuid.New())
					d.Exec(t, "UPDATE attachment_removals SET due_at = now()") // and what hung is tried again
					require.Eventually(t, func() bool { return waits() == 0 }, time.Minute, 5*time.Millisecond, "others go")
				}
				require.Eventually(t, func() bool { return gaugeOf(t, registry, "taskmed_attachments_store_up") == hanging.up }, time.Minute, time.Millisecond)
				return nil
			}), "it ends though the store hangs")
			kept.mu.Lock()
			require.LessOrEqual(t, kept.most[hanging.call], hanging.most, "calls that hang at once")
			kept.mu.Unlock()

			kept.release()
			require.NoError(t, attachments.NewSweeper(files, 5*time.Millisecond).Beside(t.Context(), func() error {
				d.Exec(t, "UPDATE attachment_removals SET due_at = now()")
				require.Eventually(t, func() bool { return d.Count(t, "SELECT count(*) FROM attachment_removals") == 0 }, time.Minute, 5*time.Millisecond)
				require.Eventually(t, func() bool { return gaugeOf(t, registry, "taskmed_attachments_store_up") == 1 }, time.Minute, time.Millisecond)
				return nil
			}))
		})
	}
}
