package database_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/doctor"
	"github.com/taskmed/taskmed/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// faults gives, per rule that is broken, what breaks it.
func faults(t *testing.T, db doctor.Querier) map[string][]string {
	t.Helper()
	report, err := doctor.Isolation(t.Context(), db)
	require.NoError(t, err)
	broken := map[string][]string{}
	for _, found := range report.Findings {
		broken[found.Rule] = append(broken[found.Rule], found.Subject)
	}
	require.Equal(t, len(broken) == 0, report.Healthy)
	return broken
}

// I1 of the promises: no exceptions.
func TestCatalog_EveryTenantTableIsUnderTheTenancyRule(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	require.Empty(t, faults(t, d.Connect(t, d.SuperuserURL)))
	// Operators ask as the owner, who must see as much.
	require.Empty(t, faults(t, d.Connect(t, d.OwnerURL)))

	// The rules looked at something.
	tables, err := doctor.TenantTables(t.Context(), d.Connect(t, d.OwnerURL))
	require.NoError(t, err)
	require.Greater(t, len(tables), 30)
	page, err := os.ReadFile("../../docs/tenancy.md")
	require.NoError(t, err)
	for function, reason := range doctor.Definers() {
		require.NotEmpty(t, reason)
		name, _, _ := strings.Cut(function, "(")
		require.Contains(t, string(page), "`"+name, "docs/tenancy.md says what crosses clinics, and why")
		require.Equal(t, 1, d.Count(t, "SELECT count(*) FROM pg_proc WHERE prosecdef AND oid::regprocedure::text = $1", function),
			"%s is listed and does not exist", function)
	}
	for table, reason := range doctor.Shared() {
		require.NotEmpty(t, reason)
		require.Equal(t, 1, d.Count(t, "SELECT count(*) FROM pg_class WHERE relname = $1", table), "%s is listed and does not exist", table)
	}
}

// What clinics share is read and nothing more, and the rule sees to it.
func TestCatalog_SharedTablesAreNotWrittenByTheApplication(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	super := d.Connect(t, d.SuperuserURL)
	for table := range doctor.Shared() {
		for _, wrong := range []string{"INSERT", "UPDATE (id)", "DELETE", "TRUNCATE"} {
			tx, err := super.Begin(t.Context())
			require.NoError(t, err)
			_, err = tx.Exec(t.Context(), "GRANT "+wrong+" ON "+table+" TO taskmed_app")
			require.NoError(t, err)
			require.Contains(t, faults(t, tx), "what is no tenant's table is out of the application's reach", wrong)
			require.NoError(t, tx.Rollback(t.Context()))
		}
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
	for _, r := range doctor.Rules() {
		wrong, listed := broken[r.Name]
		require.True(t, listed, "nothing breaks the rule that %s", r.Name)
		tx, err := super.Begin(t.Context())
		require.NoError(t, err)
		_, err = tx.Exec(t.Context(), wrong)
		require.NoError(t, err, wrong)
		require.Contains(t, faults(t, tx), r.Name)
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
