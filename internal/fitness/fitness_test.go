package fitness_test

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/fitness"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/migrations"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// whats are the findings of one look.
func whats(ctx context.Context, t testing.TB, db fitness.Querier, more ...fitness.Rule) []string {
	t.Helper()
	found, err := fitness.Examine(ctx, db, more...)
	require.NoError(t, err)
	all := make([]string, 0, len(found))
	for _, f := range found {
		require.NotEmpty(t, f.Why)
		require.NotEmpty(t, f.Do)
		all = append(all, f.What)
	}
	return all
}

// spoiled gives what the application's role would find after SQL of a superuser
// in a transaction that nobody else sees and that is taken back.
func spoiled(t testing.TB, super *pgx.Conn, sql string) []string {
	t.Helper()
	tx, err := super.Begin(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, tx.Rollback(t.Context())) }()
	_, err = tx.Exec(t.Context(), sql)
	require.NoError(t, err, sql)
	_, err = tx.Exec(t.Context(), "SET LOCAL SESSION AUTHORIZATION taskmed_app")
	require.NoError(t, err)
	return whats(t.Context(), t, tx)
}

func TestExamine_FindsNothingWhereAllIsRight(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	app := d.Connect(t, d.AppURL)
	require.Empty(t, whats(t.Context(), t, app))
	require.Empty(t, spoiled(t, d.Connect(t, d.SuperuserURL), "SELECT 1"), "so spoiling is what the tests below find")

	// The rules looked at something.
	catalogue, err := fitness.Look(t.Context(), app)
	require.NoError(t, err)
	require.Equal(t, "taskmed_app", catalogue.Login)
	require.Len(t, catalogue.Roles, 1)
	require.Greater(t, len(catalogue.Tables), 30)
	require.Equal(t, migrations.Versions(), catalogue.Versions)
	require.Positive(t, catalogue.Oldest)
	require.True(t, catalogue.Announces("contacts"))
	require.True(t, catalogue.Announces("invoices"))
	require.False(t, catalogue.Announces("audit_events"))
	require.False(t, catalogue.Announces("no_such_table"))
}

// ways are how a table is spoiled, and what is then found. {t} is the table, {c}
// the column that names the clinic.
func ways(table fitness.Table) map[string]string {
	const none, more, past = "no policy of {t} keeps", "the policy more on {t} lets through more", "copied has rows of clinics"
	ways := map[string]string{
		"ALTER TABLE {t} DISABLE ROW LEVEL SECURITY":                                                                 "row-level security of {t} is switched off",
		"ALTER TABLE {t} NO FORCE ROW LEVEL SECURITY":                                                                "row-level security of {t} is not forced",
		"ALTER TABLE {t} OWNER TO taskmed_app":                                                                       "the role taskmed_app of DATABASE_URL owns the table {t}",
		"DROP POLICY tenant ON {t}":                                                                                  none,
		"ALTER POLICY tenant ON {t} USING (true)":                                                                    none,
		"ALTER POLICY tenant ON {t} WITH CHECK (true)":                                                               none,
		"ALTER POLICY tenant ON {t} USING ({c} = app_clinic() OR true)":                                              none,
		"ALTER POLICY tenant ON {t} USING ({c} <> app_clinic())":                                                     none,
		"ALTER POLICY tenant ON {t} USING (app_clinic() = app_clinic())":                                             none,
		"ALTER POLICY tenant ON {t} TO taskmed_owner":                                                                none,
		"DROP POLICY tenant ON {t}; CREATE POLICY tenant ON {t} FOR SELECT USING ({c} = app_clinic())":               none,
		"DROP POLICY tenant ON {t}; CREATE POLICY tenant ON {t} USING ({c} = app_clinic())":                          none,
		"DROP POLICY tenant ON {t}; CREATE POLICY tenant ON {t} AS RESTRICTIVE USING ({c} = app_clinic())":           none,
		"CREATE POLICY more ON {t} FOR SELECT USING (true)":                                                          more,
		"CREATE POLICY more ON {t} FOR INSERT TO taskmed_app WITH CHECK (true)":                                      more,
		"CREATE MATERIALIZED VIEW copied AS SELECT {c} AS clinic_id FROM {t}; GRANT SELECT ON copied TO taskmed_app": past,
		"CREATE VIEW copied AS SELECT {c} AS clinic_id FROM {t}; GRANT SELECT ON copied TO taskmed_app":              past,
	}
	if len(table.Silent) > 0 {
		return ways
	}
	for _, event := range []string{"insert", "update", "delete", "truncate"} {
		silent, trigger := "{t} does not announce to the cache what "+event+" changes", "cache_tags_"+event
		ways["ALTER TABLE {t} DISABLE TRIGGER "+trigger] = silent
		ways["ALTER TABLE {t} ENABLE REPLICA TRIGGER "+trigger] = silent
		ways["DROP TRIGGER "+trigger+" ON {t}"] = silent
		ways["DROP TRIGGER "+trigger+" ON {t}; CREATE TRIGGER "+trigger+" AFTER "+event+" ON {t} EXECUTE FUNCTION touch_row()"] = silent
	}
	return ways
}

// Made from the catalogue: each table of clinics is spoiled in each way.
func TestExamine_FindsEveryTableSpoiledInEveryWay(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	super := d.Connect(t, d.SuperuserURL)
	catalogue, err := fitness.Look(t.Context(), d.Connect(t, d.AppURL))
	require.NoError(t, err)
	announcing, tried := 0, 0
	for _, table := range catalogue.Tables {
		if len(table.Silent) == 0 {
			announcing++
		}
		names := strings.NewReplacer("{t}", table.Name, "{c}", map[bool]string{true: "id", false: "clinic_id"}[table.Name == "clinics"])
		for sql, what := range ways(table) {
			tried++
			found := spoiled(t, super, names.Replace(sql))
			require.Contains(t, strings.Join(found, "\n"), names.Replace(what), names.Replace(sql))
		}
	}
	t.Logf("%d tables, %d announcing, %d ways", len(catalogue.Tables), announcing, tried)
	require.Greater(t, announcing, 20)
}
