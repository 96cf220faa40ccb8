package database_test

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// definers are the SECURITY DEFINER functions that the application may call,
// and why. They run past row-level security's usual subject, so each is looked at.
func definers() map[string]string {
	return map[string]string{
		"app_memberships(text)": "tells a subject's clinics before one is chosen; owned by a role nobody can log in as, gives out one subject's rows",
	}
}

// ours are the relations that are not Postgres' own.
const ours = `n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'`

// tenantTables gives every table and partition that holds rows of clinics, with
// the number and the name of the column that names the clinic.
const tenantTables = `tenant_tables AS (
	SELECT c.oid, c.oid::regclass::text AS name, c.relrowsecurity, c.relforcerowsecurity, a.attnum, a.attname, a.attnotnull
	FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
	JOIN pg_attribute a ON a.attrelid = c.oid AND NOT a.attisdropped
		AND a.attname = CASE WHEN c.relname = 'clinics' THEN 'id' ELSE 'clinic_id' END
	WHERE c.relkind IN ('r', 'p') AND ` + ours + `)`

// rule finds what breaks a rule of tenancy: one text per fault.
type rule struct{ name, faults string }

func rules() []rule {
	allowed := make([]string, 0, len(definers()))
	for function := range definers() {
		allowed = append(allowed, "'"+function+"'")
	}
	return []rule{
		{"row-level security is enabled and forced", `WITH ` + tenantTables + `
			SELECT name FROM tenant_tables WHERE NOT (relrowsecurity AND relforcerowsecurity)`},
		{"one policy over all commands, with USING and WITH CHECK, binds the application", `WITH ` + tenantTables + `
			SELECT t.name FROM tenant_tables t
			WHERE NOT EXISTS (
				SELECT FROM pg_policy p WHERE p.polrelid = t.oid AND p.polcmd = '*' AND p.polroles = '{0}'
					AND pg_get_expr(p.polqual, p.polrelid) = format('(%I = app_clinic())', t.attname)
					AND pg_get_expr(p.polwithcheck, p.polrelid) = format('(%I = app_clinic())', t.attname))`},
		{"no further policy lets the application see more", `
			SELECT format('%s on %s', p.polname, p.polrelid::regclass) FROM pg_policy p
			WHERE p.polpermissive AND EXISTS (SELECT FROM unnest(p.polroles) r WHERE r = 0 OR pg_has_role('taskmed_app', r, 'MEMBER'))
				AND NOT (p.polcmd = '*' AND p.polname = 'tenant')`},
		{"a row always has a clinic", `WITH ` + tenantTables + ` SELECT name FROM tenant_tables WHERE NOT attnotnull`},
		{"keys, uniques and exclusions lead with the clinic", `WITH ` + tenantTables + `
			SELECT i.indexrelid::regclass::text FROM pg_index i JOIN tenant_tables t ON t.oid = i.indrelid
			WHERE (i.indisunique OR i.indisprimary OR i.indisexclusion) AND i.indkey[0] <> t.attnum`},
		{"every table has a primary key", `WITH ` + tenantTables + `
			SELECT name FROM tenant_tables t WHERE NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = t.oid AND i.indisprimary)`},
		{"foreign keys lead with the clinic on both sides", `WITH ` + tenantTables + `
			SELECT format('%s on %s', f.conname, t.name) FROM pg_constraint f JOIN tenant_tables t ON t.oid = f.conrelid
			WHERE f.contype = 'f' AND NOT (f.conkey[1] = t.attnum AND EXISTS (
				SELECT FROM tenant_tables o WHERE o.oid = f.confrelid AND o.attnum = f.confkey[1]))`},
		{"what is no tenant's table is out of the application's reach", `WITH ` + tenantTables + `
			SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE c.relkind IN ('r', 'p', 'm', 'f') AND ` + ours + ` AND c.oid NOT IN (SELECT oid FROM tenant_tables)
				AND (has_table_privilege('taskmed_app', c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
					OR has_any_column_privilege('taskmed_app', c.oid, 'SELECT, INSERT, UPDATE, REFERENCES'))`},
		{"no view lends its owner's rights", `
			SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE c.relkind = 'v' AND ` + ours + ` AND NOT coalesce(c.reloptions && '{security_invoker=true,security_invoker=on}', false)
				AND has_any_column_privilege('taskmed_app', c.oid, 'SELECT, INSERT, UPDATE')`},
		{"no SECURITY DEFINER function beyond those listed", `
			SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
			WHERE p.prosecdef AND ` + ours + ` AND has_function_privilege('taskmed_app', p.oid, 'EXECUTE')
				AND p.oid::regprocedure::text NOT IN (` + strings.Join(allowed, ", ") + `)`},
		{"SECURITY DEFINER functions fix their search path and are owned by a role that cannot log in", `
			SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_roles r ON r.oid = p.proowner
			WHERE p.prosecdef AND ` + ours + ` AND has_function_privilege('taskmed_app', p.oid, 'EXECUTE')
				AND (r.rolcanlogin OR r.rolsuper OR r.rolbypassrls
					OR NOT EXISTS (SELECT FROM unnest(p.proconfig) s WHERE s LIKE 'search\_path=%pg\_temp'))`},
		{"the application's role is weak", `
			SELECT rolname::text FROM pg_roles
			WHERE rolname = 'taskmed_app' AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication)`},
		{"the application's role is a member of none", `
			SELECT r.rolname::text FROM pg_roles r WHERE r.rolname <> 'taskmed_app' AND pg_has_role('taskmed_app', r.oid, 'MEMBER')`},
		{"the application's role owns nothing", `
			SELECT c.oid::regclass::text FROM pg_class c WHERE pg_get_userbyid(c.relowner) = 'taskmed_app'
			UNION ALL SELECT p.oid::regprocedure::text FROM pg_proc p WHERE pg_get_userbyid(p.proowner) = 'taskmed_app'
			UNION ALL SELECT n.nspname FROM pg_namespace n WHERE pg_get_userbyid(n.nspowner) = 'taskmed_app'
			UNION ALL SELECT d.datname FROM pg_database d WHERE pg_get_userbyid(d.datdba) = 'taskmed_app'`},
		{"the application's role makes nothing", `
			SELECT n.nspname FROM pg_namespace n WHERE ` + ours + ` AND has_schema_privilege('taskmed_app', n.oid, 'CREATE')
			UNION ALL SELECT d.datname FROM pg_database d WHERE d.datname = current_database() AND has_database_privilege('taskmed_app', d.oid, 'CREATE')`},
		{"the application truncates nothing and points at nothing", `WITH ` + tenantTables + `
			SELECT name FROM tenant_tables WHERE has_table_privilege('taskmed_app', oid, 'TRUNCATE, REFERENCES, TRIGGER')`},
	}
}

// faults gives, per rule that is broken, what breaks it.
func faults(t *testing.T, db interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
},
) map[string][]string {
	t.Helper()
	broken := map[string][]string{}
	for _, r := range rules() {
		rows, err := db.Query(t.Context(), r.faults)
		require.NoError(t, err, r.name)
		found, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err, r.name)
		if len(found) > 0 {
			broken[r.name] = found
		}
	}
	return broken
}

// I1 of the promises: no exceptions.
func TestCatalog_EveryTenantTableIsUnderTheTenancyRule(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	require.Empty(t, faults(t, d.Connect(t, d.SuperuserURL)))

	// The rules looked at something.
	count := d.Count(t, "WITH "+tenantTables+" SELECT count(*) FROM tenant_tables")
	require.Greater(t, count, 30)
	for function, reason := range definers() {
		require.NotEmpty(t, reason)
		require.Equal(t, 1, d.Count(t, "SELECT count(*) FROM pg_proc WHERE prosecdef AND oid::regprocedure::text = $1", function),
			"%s is listed and does not exist", function)
	}
}

// Each rule is broken once, and found broken.
func TestCatalog_FindsWhatIsMadeWrong(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	super := d.Connect(t, d.SuperuserURL)
	// A table as it should be, to break in one way each.
	const right = `CREATE TABLE wrong (clinic_id uuid NOT NULL REFERENCES clinics (id), id uuid, PRIMARY KEY (clinic_id, id));
		SELECT protect_tenant_table('wrong', 'SELECT'); `
	broken := map[string]string{
		"row-level security is enabled and forced":                                       right + `ALTER TABLE wrong NO FORCE ROW LEVEL SECURITY`,
		"one policy over all commands, with USING and WITH CHECK, binds the application": right + `DROP POLICY tenant ON wrong; CREATE POLICY tenant ON wrong USING (clinic_id = app_clinic()) WITH CHECK (true)`,
		"no further policy lets the application see more":                                right + `CREATE POLICY more ON wrong FOR SELECT TO taskmed_app USING (true)`,
		"a row always has a clinic":                                                      right + `ALTER TABLE wrong DROP CONSTRAINT wrong_pkey; ALTER TABLE wrong ALTER clinic_id DROP NOT NULL`,
		"keys, uniques and exclusions lead with the clinic":                              right + `CREATE UNIQUE INDEX wrong_id ON wrong (id)`,
		"every table has a primary key":                                                  right + `ALTER TABLE wrong DROP CONSTRAINT wrong_pkey`,
		"foreign keys lead with the clinic on both sides": right + `ALTER TABLE wrong ADD contact_id uuid;
			ALTER TABLE wrong ADD FOREIGN KEY (id, contact_id) REFERENCES contacts (clinic_id, id)`,
		"what is no tenant's table is out of the application's reach":                                 `CREATE TABLE wrong (id uuid); GRANT SELECT (id) ON wrong TO taskmed_app`,
		"no view lends its owner's rights":                                                            `CREATE VIEW wrong AS SELECT * FROM contacts; GRANT SELECT ON wrong TO taskmed_app`,
		"no SECURITY DEFINER function beyond those listed":                                            `CREATE FUNCTION wrong() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM contacts'`,
		"SECURITY DEFINER functions fix their search path and are owned by a role that cannot log in": `ALTER FUNCTION app_memberships(text) RESET search_path`,
		"the application's role is weak":                                                              `ALTER ROLE taskmed_app BYPASSRLS`,
		"the application's role is a member of none":                                                  `GRANT taskmed_lookup TO taskmed_app`,
		"the application's role owns nothing":                                                         `ALTER TABLE consents OWNER TO taskmed_app`,
		"the application's role makes nothing":                                                        `GRANT CREATE ON SCHEMA public TO taskmed_app`,
		"the application truncates nothing and points at nothing":                                     right + `GRANT TRUNCATE ON wrong TO taskmed_app`,
	}
	for _, r := range rules() {
		wrong, listed := broken[r.name]
		require.True(t, listed, "nothing breaks the rule that %s", r.name)
		tx, err := super.Begin(t.Context())
		require.NoError(t, err)
		_, err = tx.Exec(t.Context(), wrong)
		require.NoError(t, err, wrong)
		require.Contains(t, faults(t, tx), r.name)
		require.NoError(t, tx.Rollback(t.Context()))
	}
	require.Empty(t, faults(t, super))
}

// The indexes that carry the daily queries keep their names and shapes.
func TestCatalog_HasTheNamedIndexes(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	super := d.Connect(t, d.SuperuserURL)
	for name, shape := range map[string]string{
		"idx_contacts_clinic_active":        "contacts USING btree (clinic_id, status) WHERE (status = 'ativo'::text)",
		"idx_appointments_clinic_date":      "appointments USING btree (clinic_id, scheduled_date)",
		"idx_conversations_clinic_updated":  "conversations USING btree (clinic_id, updated_at)",
		"idx_messages_conversation_created": "messages USING btree (clinic_id, conversation_id, created_at)",
		"idx_medical_records_contact_date":  "medical_records USING btree (clinic_id, contact_id, created_at)",
	} {
		var definition string
		require.NoError(t, super.QueryRow(t.Context(), "SELECT pg_get_indexdef($1::text::regclass)", name).Scan(&definition), name)
		require.Equal(t, "CREATE INDEX "+name+" ON public."+shape, definition)
		require.Equal(t, 1, d.Count(t, "SELECT count(*) FROM pg_index WHERE indexrelid = $1::text::regclass AND indisvalid AND indisready", name))
	}
	require.GreaterOrEqual(t, d.Count(t, "SELECT count(*) FROM pg_indexes WHERE schemaname = 'public' AND indexname LIKE 'idx\\_%'"), 20)
}
