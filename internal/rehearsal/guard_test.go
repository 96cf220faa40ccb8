package rehearsal_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/rehearsal"
	"github.com/taskmed/taskmed/internal/testkit"
)

// guarded connects so that nothing is written unless a transaction may.
func guarded(t *testing.T, url string, tracer pgx.QueryTracer) *pgx.Conn {
	t.Helper()
	config, err := pgx.ParseConfig(url)
	require.NoError(t, err)
	config.RuntimeParams["default_transaction_read_only"] = "on"
	config.Tracer = tracer
	conn, err := pgx.ConnectConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) }) // it may have been closed by what is tested
	return conn
}

func TestGuard_LetsTransactionsWriteAndKeepsNothing(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	d.Exec(t, "CREATE TABLE notes (words text); INSERT INTO notes VALUES ('one')")
	conn := guarded(t, d.SuperuserURL, rehearsal.Guard{})

	_, err := conn.Exec(t.Context(), "INSERT INTO notes VALUES ('alone')")
	require.ErrorContains(t, err, "read-only", "outside of a transaction nothing is written")
	for _, ending := range []string{"commit", "COMMIT;", "end", "PREPARE TRANSACTION 'kept'"} {
		tx, err := conn.Begin(t.Context())
		require.NoError(t, err)
		_, err = tx.Exec(t.Context(), "INSERT INTO notes VALUES ('inside')")
		require.NoError(t, err)
		var words string
		require.NoError(t, tx.QueryRow(t.Context(), "SELECT string_agg(words, ' ') FROM notes").Scan(&words))
		require.Equal(t, "one inside", words, "what comes after a write is run over what it wrote")
		_, err = tx.Exec(t.Context(), ending)
		require.ErrorIs(t, err, context.Canceled)
		require.NoError(t, tx.Rollback(t.Context()))
	}
	tx, err := conn.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "DELETE FROM notes")
	require.NoError(t, err)
	require.Error(t, tx.Commit(t.Context()))
	require.True(t, conn.IsClosed(), "Postgres rolls back what it was not told to commit")
	require.Equal(t, 1, d.Count(t, "SELECT count(*) FROM notes"))

	// Without the guard the same transaction is kept.
	unguarded := guarded(t, d.SuperuserURL, nil)
	require.NoError(t, pgx.BeginTxFunc(t.Context(), unguarded, pgx.TxOptions{AccessMode: pgx.ReadWrite}, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), "DELETE FROM notes")
		return err
	}))
	require.Zero(t, d.Count(t, "SELECT count(*) FROM notes"))
}

func TestRecorder_TalliesWhatWasWrittenAndRefused(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	d.Exec(t, "CREATE TABLE notes (words text)")
	recorder := &rehearsal.Recorder{}
	conn := guarded(t, d.SuperuserURL, recorder)
	for _, sql := range []string{"SELECT 1", "INSERT INTO notes VALUES ('one')", "UPDATE nowhere SET words = ''"} {
		_, _ = conn.Exec(t.Context(), sql) // two are refused, as the tally says
	}
	require.Equal(t, rehearsal.Tally{Failed: 2}, recorder.Tally(), "both writes are refused: the connection is read-only")
	_, err := conn.Exec(t.Context(), "BEGIN READ WRITE")
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), "INSERT INTO notes VALUES ('one')")
	require.NoError(t, err)
	require.Equal(t, rehearsal.Tally{Written: 1}, recorder.Tally())
	require.Zero(t, recorder.Tally(), "it begins anew each time")
}
