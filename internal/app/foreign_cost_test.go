package app_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/models"
)

// TestForeignValues_TakeTheWorkOfAbsentOnes is promise I4 for time, without a clock:
// what a request reads in Postgres, row by row and index by index, is the same whether
// another clinic has the value that is asked for or nobody has. Two databases differ
// in that alone and are asked the same. By how much the times differ, on a machine
// that does nothing else, BenchmarkForeignValues tells.
func TestForeignValues_TakeTheWorkOfAbsentOnes(t *testing.T) {
	t.Parallel()
	n := newNeighbours(t)
	n.d.DB.Close() // nobody may be connected while it is copied
	without := n.d.Restore(t)
	for _, table := range []string{"medical_records", "appointments", "contacts", "practitioners"} {
		column := map[string]string{"medical_records": "contact_id", "appointments": "contact_id"}[table]
		if column == "" {
			column = "id"
		}
		for _, p := range n.foreign {
			kind, global := models.KindContact, p.id
			if table == "practitioners" {
				kind, global = models.KindPractitioner, p.practitioner
			}
			id, err := kind.Parse(global)
			require.NoError(t, err)
			without.Exec(t, "DELETE FROM "+table+" WHERE "+column+" = $1", id)
		}
	}
	databases := []*testkit.Database{n.d, without}
	set := func(setting string) {
		for _, d := range databases {
			d.Exec(t, "DO $$ BEGIN EXECUTE format('ALTER ROLE taskmed_app IN DATABASE %I SET "+setting+"', current_database()); END $$")
		}
	}
	// Of tables as small as these the planner would read all.
	set("enable_seqscan = off")
	for _, d := range databases {
		d.Exec(t, "VACUUM ANALYZE")
	}
	work := func(p probe, values []probed) (all []string) {
		for _, d := range databases {
			all = append(all, n.work(t, d, p, values))
		}
		return all
	}
	read := 0
	for _, p := range probes() {
		with := work(p, n.foreign[:6])
		require.Equal(t, with[1], with[0], p.name)
		if with[0] != "" {
			read++ // a look-up by id reads nothing where there is nothing
		}
	}
	require.Greater(t, read, 4, "what is read is counted")
	// It would be seen if other clinics' rows were looked at: whoever reads the whole
	// table reads those of the people whom the other clinic knows, too.
	set("enable_seqscan = on")
	set("enable_indexscan = off")
	set("enable_indexonlyscan = off")
	set("enable_bitmapscan = off")
	with := work(probes()[0], n.foreign[:1])
	require.NotEqual(t, with[1], with[0])
}

// work is what Postgres read of a clinic's nouns for a probe, in rows and entries of
// indexes, as it counts them.
func (n *neighbours) work(t *testing.T, d *testkit.Database, p probe, values []probed) string {
	t.Helper()
	alone(t, d)
	before := readIn(t, d)
	t.Run(p.name, func(t *testing.T) { //nolint:paralleltest // the server ends with it
		server := api.NewServer(t, d, api.WithoutCache())
		owner := server.As(t, n.clinic, models.RoleOwner)
		for _, value := range values {
			require.Empty(t, owner.Do(t, p.query, p.variables(value)).Errors)
		}
	})
	alone(t, d)
	var text strings.Builder
	after := readIn(t, d)
	for _, place := range slices.Sorted(maps.Keys(after)) {
		if more := after[place] - before[place]; more > 0 {
			fmt.Fprintf(&text, "%s: %d\n", place, more)
		}
	}
	return text.String()
}

// alone waits until all connections have ended: what one counted is known then.
func alone(t *testing.T, d *testkit.Database) {
	t.Helper()
	require.Eventually(t, func() bool {
		return d.Count(t, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
			AND backend_type IN ('client backend', 'autovacuum worker')`) == 0
	}, time.Minute, 5*time.Millisecond)
}

// readIn counts what was read in a database of contacts and what belongs to them, by
// table and by index.
func readIn(t *testing.T, d *testkit.Database) map[string]int64 {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), d.SuperuserURL)
	require.NoError(t, err)
	defer func() { _ = conn.Close(t.Context()) }()
	rows, err := conn.Query(t.Context(), `SELECT place, read FROM (
		SELECT relname || ', rows' AS place, coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) AS read FROM pg_stat_user_tables
		UNION ALL SELECT relname || ', ' || indexrelname, coalesce(idx_tup_read, 0) FROM pg_stat_user_indexes) s
		WHERE place ~ '^(contact|appointment|practitioner|medical_record)'`)
	require.NoError(t, err)
	counts := map[string]int64{}
	var place string
	var read int64
	_, err = pgx.ForEachRow(rows, []any{&place, &read}, func() error {
		counts[place] = read
		return nil
	})
	require.NoError(t, err)
	return counts
}
