package fitness_test

import (
	"context"
	"fmt"
	"slices"
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

// way is how tables are spoiled, and what is then found. {t} is a table, {c} its
// column that names the clinic.
type way struct {
	sql, what string
	// announcing tells that it is for tables that announce.
	announcing bool
}

func ways() []way {
	const none, more, past = "no policy of {t} keeps all", "the policy more on {t} lets through more", "copied_{t} has rows of clinics"
	ways := []way{
		{sql: "ALTER TABLE {t} DISABLE ROW LEVEL SECURITY", what: "row-level security of {t} is switched off"},
		{sql: "ALTER TABLE {t} NO FORCE ROW LEVEL SECURITY", what: "row-level security of {t} is not forced"},
		{sql: "DROP POLICY tenant ON {t}", what: none},
		{sql: "ALTER POLICY tenant ON {t} USING (true)", what: none},
		{sql: "ALTER POLICY tenant ON {t} WITH CHECK (true)", what: none},
		{sql: "ALTER POLICY tenant ON {t} USING ({c} = app_clinic() OR true)", what: none},
		{sql: "ALTER POLICY tenant ON {t} USING ({c} <> app_clinic())", what: none},
		{sql: "ALTER POLICY tenant ON {t} USING (app_clinic() = app_clinic())", what: none},
		{sql: "ALTER POLICY tenant ON {t} TO taskmed_owner", what: none},
		{sql: "DROP POLICY tenant ON {t}; CREATE POLICY tenant ON {t} FOR SELECT USING ({c} = app_clinic())", what: none},
		{sql: "DROP POLICY tenant ON {t}; CREATE POLICY tenant ON {t} USING ({c} = app_clinic())", what: none},
		{sql: "DROP POLICY tenant ON {t}; CREATE POLICY tenant ON {t} AS RESTRICTIVE USING ({c} = app_clinic()) WITH CHECK ({c} = app_clinic())", what: none},
		{sql: "CREATE POLICY more ON {t} FOR SELECT USING (true)", what: more},
		{sql: "CREATE POLICY more ON {t} FOR INSERT TO taskmed_app WITH CHECK (true)", what: more},
		{sql: "CREATE MATERIALIZED VIEW copied_{t} AS SELECT {c} AS clinic_id FROM {t}; GRANT SELECT ON copied_{t} TO taskmed_app", what: past},
		{sql: "CREATE VIEW copied_{t} AS SELECT {c} AS clinic_id FROM {t}; GRANT SELECT ON copied_{t} TO taskmed_app", what: past},
	}
	for _, event := range []string{"insert", "update", "delete", "truncate"} {
		silent, trigger := "{t} does not announce to the cache what "+event+" changes", "cache_tags_"+event
		ways = append(ways,
			way{"ALTER TABLE {t} DISABLE TRIGGER " + trigger, silent, true},
			way{"ALTER TABLE {t} ENABLE REPLICA TRIGGER " + trigger, silent, true},
			way{"DROP TRIGGER " + trigger + " ON {t}", silent, true},
			way{"DROP TRIGGER " + trigger + " ON {t}; CREATE TRIGGER " + trigger + " AFTER " + event + " ON {t} EXECUTE FUNCTION touch_row()", silent, true})
	}
	return ways
}

// Made from the catalogue: all tables of clinics are spoiled in each way, and
// each of them is named.
func TestExamine_FindsEveryTableSpoiledInEveryWay(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	super := d.Connect(t, d.SuperuserURL)
	catalogue, err := fitness.Look(t.Context(), d.Connect(t, d.AppURL))
	require.NoError(t, err)
	spoilt := 0
	for _, way := range ways() {
		var sql strings.Builder
		var wanted []string
		for _, table := range catalogue.Tables {
			if way.announcing && len(table.Silent) > 0 {
				continue
			}
			names := strings.NewReplacer("{t}", table.Name, "{c}", map[bool]string{true: "id", false: "clinic_id"}[table.Name == "clinics"])
			sql.WriteString(names.Replace(way.sql) + ";\n")
			wanted = append(wanted, names.Replace(way.what))
		}
		found := spoiled(t, super, sql.String())
		for _, what := range wanted {
			require.True(t, slices.ContainsFunc(found, func(f string) bool { return strings.HasPrefix(f, what) }), "%s: %s in %q", way.sql, what, found)
			spoilt++
		}
		require.Zero(t, len(found)%len(wanted), "%s: the same is found of each: %q", way.sql, found)
	}
	t.Logf("%d tables in %d ways: %d findings", len(catalogue.Tables), len(ways()), spoilt)
	require.Greater(t, spoilt, 1000)
}

// A new table is found until its migration has said what it is.
func TestExamine_AsksWhatANewTableIs(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	super := d.Connect(t, d.SuperuserURL)
	const made = "CREATE TABLE news (clinic_id uuid NOT NULL, id uuid NOT NULL, PRIMARY KEY (clinic_id, id)); "
	const protected = made + "SELECT protect_tenant_table('news', 'SELECT'); "
	const silent = "news does not announce to the cache what insert, update, delete, truncate changes in it"
	require.Equal(t, []string{
		"row-level security of news is switched off", "row-level security of news is not forced", "no policy of news keeps all reads and writes to app_clinic()",
	}, spoiled(t, super, made))
	require.Equal(t, []string{silent}, spoiled(t, super, protected))
	require.Equal(t, []string{silent}, spoiled(t, super, protected+"COMMENT ON TABLE news IS 'the news'"), "a comment is no reason")
	require.Empty(t, spoiled(t, super, protected+"SELECT cache_unread('news', 'nobody reads them')"))
	require.Empty(t, spoiled(t, super, protected+"SELECT cache_announce('news', $$ARRAY['news:' || r.id]$$, $$'{}'::text[]$$, '{id}')"))
	require.Empty(t, spoiled(t, super, made+"SELECT protect_tenant_table('news', '')"), "what the server cannot read")
	_, err := super.Exec(t.Context(), made+"SELECT cache_unread('news', ' ')")
	require.ErrorContains(t, err, "say why")
}

func TestExamine_TakesAnotherRule(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	found := whats(t.Context(), t, d.Connect(t, d.AppURL), func(c *fitness.Catalogue) []fitness.Finding {
		return []fitness.Finding{{What: c.Login + " is known", Why: "a test", Do: "nothing"}}
	})
	require.Equal(t, []string{"taskmed_app is known"}, found)
}

// A role is found by each of the ways in which row-level security does not bind it.
func TestExamine_FindsARoleThatIsNotBound(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	super := d.Connect(t, d.SuperuserURL)
	const role, other = "the role taskmed_app of DATABASE_URL ", "the role taskmed_app of DATABASE_URL is a member of "
	for sql, what := range map[string]string{
		"ALTER ROLE taskmed_app SUPERUSER":                          role + "is a superuser",
		"ALTER ROLE taskmed_app BYPASSRLS":                          role + "has BYPASSRLS",
		"ALTER ROLE taskmed_app CREATEROLE":                         role + "has CREATEROLE and can make itself a member",
		"ALTER ROLE taskmed_app REPLICATION":                        role + "has REPLICATION and can copy the files",
		"ALTER TABLE messages OWNER TO taskmed_app":                 role + "owns the table messages",
		"ALTER FUNCTION app_clinic() OWNER TO taskmed_app":          role + "owns the function app_clinic()",
		"ALTER SCHEMA public OWNER TO taskmed_app":                  role + "owns the schema public",
		"GRANT pg_read_server_files TO taskmed_app":                 other + "pg_read_server_files, which reaches the server's files",
		"GRANT taskmed_lookup TO taskmed_app":                       other + "taskmed_lookup, which sees more by the policy lookup on attachment_removals, lookup on attachment_uploads, stamping on changes and 17 more",
		"GRANT taskmed_owner TO taskmed_app":                        other + "taskmed_owner, which owns the database, owns the function app_clinic(), cache_",
		"CREATE ROLE strong SUPERUSER; GRANT strong TO taskmed_app": other + "strong, which is a superuser",
		"CREATE ROLE strong BYPASSRLS; CREATE ROLE way NOINHERIT; GRANT strong TO way; GRANT way TO taskmed_app; ALTER ROLE taskmed_app NOINHERIT": other + "strong, which has BYPASSRLS",
	} {
		found := spoiled(t, super, sql)
		require.True(t, slices.ContainsFunc(found, func(f string) bool { return strings.HasPrefix(f, what) }), "%s: %q", sql, found)
	}
	// Neither rights nor a harmless role are strength.
	require.Empty(t, spoiled(t, super, "CREATE ROLE weak; GRANT weak TO taskmed_app; GRANT pg_monitor TO taskmed_app; ALTER ROLE taskmed_app CREATEDB"))
	// Who becomes another role has not become weaker.
	conn := d.Connect(t, d.SuperuserURL)
	_, err := conn.Exec(t.Context(), "SET ROLE taskmed_app")
	require.NoError(t, err)
	require.Equal(t, []string{"the role postgres of DATABASE_URL is a superuser"}, whats(t.Context(), t, conn))
	require.Equal(t, []string{"session_replication_role is replica for taskmed_app"}, spoiled(t, super, "SET LOCAL session_replication_role = replica"))
}

// A binary serves the schema it was built for, and a newer one that says so.
func TestExamine_FindsASchemaOfAnotherProgram(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	super := d.Connect(t, d.SuperuserURL)
	newest := slices.Max(migrations.Versions())
	const oldest = "COMMENT ON TABLE goose_db_version IS 'oldest binary: %d'; "
	const newer = "INSERT INTO goose_db_version (version_id, is_applied) VALUES (%d, true); "
	lacks := fmt.Sprintf("the database lacks the migrations %d", newest)
	for sql, what := range map[string]string{
		fmt.Sprintf("DELETE FROM goose_db_version WHERE version_id = %d", newest):                       lacks,
		fmt.Sprintf("INSERT INTO goose_db_version (version_id, is_applied) VALUES (%d, false)", newest): lacks,
		"DELETE FROM goose_db_version WHERE version_id = 7":                                             "the database lacks the migrations 7",
		"DELETE FROM goose_db_version":                                                                  "the database lacks the migrations 1, 2,",
		"DROP TABLE goose_db_version":                                                                   "which migrations were applied cannot be read by taskmed_app",
		"REVOKE SELECT ON goose_db_version FROM taskmed_app":                                            "which migrations were applied cannot be read by taskmed_app",
		fmt.Sprintf(newer+oldest, newest+2, newest+1):                                                   fmt.Sprintf("the database is at migration %d, this binary at %d, and it serves binaries from %d on", newest+2, newest, newest+1),
		fmt.Sprintf(newer+"COMMENT ON TABLE goose_db_version IS NULL", newest+1):                        fmt.Sprintf("the database is at migration %d, this binary at %d, and it does not say", newest+1, newest),
	} {
		found := spoiled(t, super, sql)
		require.Len(t, found, 1, sql)
		require.Contains(t, found[0], what, sql)
	}
	require.Empty(t, spoiled(t, super, fmt.Sprintf(newer, newest+1)), "a newer one that only adds")
	require.Empty(t, spoiled(t, super, fmt.Sprintf(newer+oldest, newest+1, newest)))
	require.Empty(t, spoiled(t, super, "COMMENT ON TABLE goose_db_version IS NULL"), "its own needs no word")
}

// A look must not wait for whoever alters a table.
func TestExamine_WaitsForNoLock(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	catalogue, err := fitness.Look(t.Context(), d.Connect(t, d.AppURL))
	require.NoError(t, err)
	tx, err := d.Connect(t, d.SuperuserURL).Begin(t.Context())
	require.NoError(t, err)
	for _, table := range catalogue.Tables {
		_, err = tx.Exec(t.Context(), "LOCK TABLE "+table.Name+" IN ACCESS EXCLUSIVE MODE")
		require.NoError(t, err)
	}
	app := d.Connect(t, d.AppURL)
	_, err = app.Exec(t.Context(), "SET lock_timeout = '1s'")
	require.NoError(t, err)
	require.Empty(t, whats(t.Context(), t, app))
	_, err = app.Exec(t.Context(), "SELECT pg_advisory_lock(1), count(*) FROM clinics")
	require.ErrorContains(t, err, "lock timeout", "the locks are held")
}
