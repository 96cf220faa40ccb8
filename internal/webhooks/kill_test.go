package webhooks_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/models"
)

// dying kills the process the nth time that it comes to a point ("sent 2"): what comes
// after it does not happen, nor does anything that is deferred.
func dying(at string) func(point string) {
	var wanted string
	var nth int64
	if at != "" {
		if _, err := fmt.Sscanf(at, "%s %d", &wanted, &nth); err != nil {
			panic(err)
		}
	}
	var times atomic.Int64
	return func(point string) {
		if point == wanted && times.Add(1) == nth {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {} // the signal may take a moment
		}
	}
}

var pointCall = regexp.MustCompile(`\bseams\.at\("([a-z]+)"\)`)

// points are those that the package's code comes to: a new one is among them by being
// there.
func points(t *testing.T) (all []string) {
	t.Helper()
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, found := range pointCall.FindAllSubmatch(text, -1) {
			all = append(all, string(found[1]))
		}
	}
	slices.Sort(all)
	all = slices.Compact(all)
	require.GreaterOrEqual(t, len(all), 3, "the points are looked for in another place than they are in")
	return all
}

// A sender that is killed at a point, the first time it comes there or a later one, loses
// nothing and sends nothing out of order.
func TestSender_KilledAtAnyPointMissesNothing(t *testing.T) {
	t.Parallel()
	for _, point := range points(t) {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, without()) // it sends nothing itself
			r := newReceiver(t, func(n int, _ *got) int {
				if n%3 == 0 {
					return http.StatusInternalServerError
				}
				return http.StatusNoContent
			})
			e := w.must(r.url, "CONTACT_CREATED", "CONTACT_UPDATED")
			before := w.d.Count(t, "SELECT cursor::integer FROM webhook_lanes")
			shared := []string{models.NewID().String(), models.NewID().String()}
			for _, id := range shared {
				w.d.Exec(t, "INSERT INTO contacts (clinic_id, id, name) VALUES ($1, $2, 'Ana Souza')", w.clinic.ID, id)
			}
			self, err := os.Executable()
			require.NoError(t, err)
			for nth := 1; nth <= 3; nth++ {
				// Some of one entity, one after the other, so that there are three turns at least.
				w.contact()
				for _, id := range slices.Concat(shared, shared) {
					w.d.Exec(t, "UPDATE contacts SET notes = gen_random_uuid()::text WHERE clinic_id = $1 AND id = $2", w.clinic.ID, id)
				}
				killed := start(t, []string{childDatabase + "=" + w.d.AppURL, fmt.Sprintf("%s=%s %d", childPoint, point, nth)}, self)
				died := make(chan error, 1)
				go func() { died <- killed.command.Wait() }()
				var ended *exec.ExitError
				select {
				case err := <-died:
					require.ErrorAs(t, err, &ended)
				case <-time.After(2 * time.Minute):
					require.Fail(t, fmt.Sprintf("it did not come to %q %d times", point, nth))
				}
				status, is := ended.Sys().(syscall.WaitStatus)
				require.True(t, is && status.Signaled() && status.Signal() == syscall.SIGKILL, "it ended otherwise: %s", ended)
			}
			start(t, []string{childDatabase + "=" + w.d.AppURL}, self)
			const wanted = `SELECT position FROM changes WHERE event IN ('contact.created', 'contact.updated') AND position > $1 ORDER BY position`
			require.Eventually(t, func() bool {
				return w.d.Count(t, "SELECT count(*) FROM outbox") == 0 &&
					w.d.Count(t, "SELECT count(*) FROM ("+wanted+") c", before) == w.d.Count(t, "SELECT count(*) FROM webhook_deliveries WHERE delivered_at IS NOT NULL")
			}, 2*time.Minute, 50*time.Millisecond)

			rows, err := w.d.Connect(t, w.d.SuperuserURL).Query(t.Context(), wanted, before)
			require.NoError(t, err)
			positions, err := pgx.CollectRows(rows, pgx.RowTo[int64])
			require.NoError(t, err)
			require.Len(t, positions, 2+3*5)
			require.NoError(t, w.judge(e, r, positions))
		})
	}
}

// judge looks at all that a receiver had, one server after the other having sent it: each
// position was taken, and nothing of an entity came after what comes later, repetitions
// included.
func (w *world) judge(e endpoint, r *receiver, positions []int64) error {
	taken, last := map[int64]string{}, map[string]int64{}
	for n, of := range r.had() {
		if err := e.verified(of); err != nil {
			return err
		}
		if (n+1)%3 == 0 {
			continue // it was told to fail
		}
		position, entity := of.data.Data.Position, of.data.Data.EntityID
		if position < last[entity] {
			return fmt.Errorf("%s: %d came after %d", entity, position, last[entity])
		}
		last[entity] = position
		if id, again := taken[position]; again && id != of.header.Get("webhook-id") {
			return errors.New("a repetition has another id")
		}
		taken[position] = of.header.Get("webhook-id")
	}
	for _, position := range positions {
		if taken[position] == "" {
			return fmt.Errorf("position %d was missed", position)
		}
	}
	if len(taken) != len(positions) {
		return fmt.Errorf("%d positions were taken of %d", len(taken), len(positions))
	}
	return nil
}
