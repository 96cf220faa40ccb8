package outbox_test

import (
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/outbox"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/models"
)

// BenchmarkRaise is what a transaction of one write costs in Postgres with its events and
// without, in two databases that are asked in turns; medians in microseconds.
//
//	go run ./internal/testkit/teststack go test ./internal/outbox -run '^$' -bench BenchmarkRaise -benchtime 3000x
func BenchmarkRaise(b *testing.B) {
	type side struct {
		conn   *pgx.Conn
		clinic *testkit.Clinic
		taken  []time.Duration
	}
	sides := make([]*side, 2)
	for n := range sides {
		d := testkit.NewDatabase(b)
		clinic := d.NewClinic(b, "aurora")
		if n == 0 {
			d.Exec(b, "DROP FUNCTION outbox_raise() CASCADE")
		}
		sides[n] = &side{conn: d.Connect(b, d.AppURL), clinic: clinic}
		_, err := sides[n].conn.Exec(b.Context(), "SELECT set_config('app.clinic', $1, false), set_config('app.cache_writer', 'api', false)", clinic.ID.String())
		require.NoError(b, err)
	}
	for _, write := range []struct{ name, sql string }{
		{"insert a contact", "INSERT INTO contacts (clinic_id, id, name, phone) VALUES ($1, $2, 'Rita Lobo', '+5511987654321')"},
		{"update a contact", "UPDATE contacts SET notes = $2::uuid::text WHERE clinic_id = $1 AND id = (SELECT id FROM contacts WHERE clinic_id = $1 ORDER BY id LIMIT 1)"},
	} {
		b.Run(write.name, func(b *testing.B) {
			for _, s := range sides {
				s.taken = s.taken[:0]
			}
			order := slices.Clone(sides)
			for b.Loop() {
				for _, s := range order {
					began := time.Now()
					_, err := s.conn.Exec(b.Context(), write.sql, s.clinic.ID, models.NewID())
					s.taken = append(s.taken, time.Since(began))
					require.NoError(b, err)
				}
				slices.Reverse(order) // neither always comes first
			}
			for n, name := range []string{"without", "with"} {
				s := sides[n]
				slices.Sort(s.taken)
				b.ReportMetric(float64(s.taken[len(s.taken)/2].Nanoseconds())/1000, name+"-median-µs")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkLeader is how long an event waits for its position, from its commit on: while
// little happens, and beside a leader that looks and finds nothing.
//
//	go run ./internal/testkit/teststack go test ./internal/outbox -run '^$' -bench BenchmarkLeader -benchtime 200x
func BenchmarkLeader(b *testing.B) {
	d := testkit.NewDatabase(b)
	clinic := d.NewClinic(b, "aurora")
	quiet := d.Connect(b, d.AppURL)
	_, err := quiet.Exec(b.Context(), "SELECT outbox_stamp(500)")
	require.NoError(b, err)
	b.Run("a look at nothing", func(b *testing.B) {
		for b.Loop() {
			_, err := quiet.Exec(b.Context(), "SELECT outbox_stamp(500)")
			require.NoError(b, err)
		}
	})
	leader := outbox.NewLeader(outbox.LeaderConfig{URL: d.AppURL})
	b.Cleanup(leader.Close)
	conn := d.Connect(b, d.SuperuserURL)
	b.Run("from the commit to the position", func(b *testing.B) {
		var waited []time.Duration
		for b.Loop() {
			id := models.NewID()
			_, err := conn.Exec(b.Context(), "INSERT INTO contacts (clinic_id, id, name) VALUES ($1, $2, 'x')", clinic.ID, id)
			require.NoError(b, err)
			began := time.Now()
			for {
				var there bool
				require.NoError(b, conn.QueryRow(b.Context(), "SELECT EXISTS (SELECT FROM changes WHERE clinic_id = $1 AND entity_id = $2)", clinic.ID, id).Scan(&there))
				if there {
					break
				}
				time.Sleep(200 * time.Microsecond) //nolint:forbidigo // it measures a wait
			}
			waited = append(waited, time.Since(began))
		}
		slices.Sort(waited)
		b.ReportMetric(float64(waited[len(waited)/2].Microseconds())/1000, "median-ms")
		b.ReportMetric(float64(waited[len(waited)*99/100].Microseconds())/1000, "p99-ms")
		b.ReportMetric(0, "ns/op")
	})
}
