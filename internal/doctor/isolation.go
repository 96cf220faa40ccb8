package doctor

import (
	"context"
	"fmt"
	"strings"
)

// Definers are the SECURITY DEFINER functions that the application may call,
// and why. They run past row-level security's usual subject, so each is looked at.
func Definers() map[string]string {
	const asked = "changes who belongs to the connection's clinic, which the application may not by itself; checks that an owner or an admin asks, and that no admin makes an owner"
	return map[string]string{
		"app_memberships(text)":                                                   "tells a subject's clinics before one is chosen; owned by a role nobody can log in as, gives out one subject's rows",
		"member_add(text,uuid,text,text,text)":                                    asked,
		"member_change(text,uuid,integer,boolean,text,text)":                      asked,
		"member_revoke(text,uuid,integer)":                                        asked,
		"api_key_create(text,uuid,text,text,bytea,text,timestamp with time zone)": asked,
		"api_key_revoke(text,uuid)":                                               asked,
		"attachment_work(integer)":                                                "tells which clinics have files or uploads to clear, which the application cannot list",
		"attachment_figures()":                                                    "tells for how long the oldest object that is to go is to, over all clinics; gives out one figure alone",
		"channel_work(integer)":                                                   "tells which clinics have something to send or to understand, for workers that serve all of them; owned by a role nobody can log in as, gives out ids of clinics alone",
		"channel_figures()":                                                       "counts what waits in each channel over all clinics, and how long the oldest has; gives out figures alone",
		"channel_prune(interval,integer)":                                         "deletes what channels' providers posted to all clinics more than eight days ago and nobody is still to understand; a policy keeps it to that, and it gives out counts alone",
		"maintenance_begin(interval)":                                             "takes the period's maintenance run for one instance, by Postgres' clock; writes one row of no clinic's, gives out yes or no",
		"maintenance_expire(integer)": "deletes idempotency keys and holds that have expired, of all clinics, which the application cannot list; " +
			"a policy keeps it to what has expired, and it gives out counts alone",
		"waitlist_due(boolean)": "tells in which clinics something is due in the waiting list, which the application cannot list; " +
			"a policy keeps it to what is due, and it gives out the clinics' ids alone",
		"waitlist_figures()":             "counts who waits, in one clinic after the other; gives out one count alone",
		"webhook_work(uuid[],integer)":   "tells which endpoints of all clinics have something to send, which the application cannot list; gives out their ids alone",
		"webhook_figures()":              "counts what waits over all clinics, and how long the oldest has; gives out figures alone",
		"webhook_prune(integer)":         "deletes deliveries of all clinics whose changes or endpoints are gone; gives out counts alone",
		"outbox_stamp(integer)":          "gives events of all clinics their positions, which the application cannot list; gives out clinics and counts alone",
		"outbox_figures()":               "tells for how long the event that waits longest for its position has, over all clinics; gives out one figure alone",
		"outbox_prune(interval,integer)": "deletes changes of all clinics that are older than a week at least; gives out counts alone",
	}
}

// Shared are the tables that are no clinic's and that the application may read,
// though never write, and why.
func Shared() map[string]string {
	return map[string]string{
		"registered_operations": "the documents that front ends were built with: program text, the same for every clinic",
		"goose_db_version":      "the migrations that were applied: a server compares them with its own before it serves (internal/fitness)",
	}
}

// Lending are the views that run with their owner's rights and that the
// application may read, and why.
func Lending() map[string]string {
	return map[string]string{
		"pg_stat_statements":      "Postgres' own; it shows a role the texts of its own statements alone, and those hold no values",
		"pg_stat_statements_info": "Postgres' own; two figures about the view above",
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

// Rule is one rule of tenancy.
type Rule struct {
	Name string
	// faults finds what breaks it: one text per fault.
	faults string
}

// Rules are the rules of tenancy, over pg_catalog. Whoever asks needs no rights
// but to read the catalogue.
func Rules() []Rule {
	allowed := make([]string, 0, len(Definers()))
	for function := range Definers() {
		allowed = append(allowed, "'"+function+"'")
	}
	readable := make([]string, 0, len(Shared()))
	for table := range Shared() {
		readable = append(readable, "'"+table+"'")
	}
	lending := make([]string, 0, len(Lending()))
	for view := range Lending() {
		lending = append(lending, "'"+view+"'")
	}
	return []Rule{
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
				AND (has_table_privilege('taskmed_app', c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
					OR has_any_column_privilege('taskmed_app', c.oid, 'INSERT, UPDATE, REFERENCES')
					OR has_any_column_privilege('taskmed_app', c.oid, 'SELECT') AND c.oid::regclass::text NOT IN (` + strings.Join(readable, ", ") + `))`},
		{"no view lends its owner's rights", `
			SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE c.relkind = 'v' AND ` + ours + ` AND NOT coalesce(c.reloptions && '{security_invoker=true,security_invoker=on}', false)
				AND c.oid::regclass::text NOT IN (` + strings.Join(lending, ", ") + `)
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

// Isolation checks that one clinic's rows are out of every other's reach: that
// every rule of tenancy holds in this database's catalogue, without exception.
func Isolation(ctx context.Context, db Querier) (Report, error) {
	report := Report{Check: "isolation"}
	rules := Rules()
	for _, rule := range rules {
		found, err := texts(ctx, db, rule.faults)
		if err != nil {
			return report, fmt.Errorf("whether %s: %w", rule.Name, err)
		}
		for _, subject := range found {
			report.Findings = append(report.Findings, Finding{Level: Problem, Rule: rule.Name, Subject: subject})
		}
	}
	tables, err := TenantTables(ctx, db)
	if err != nil {
		return report, err
	}
	if len(tables) == 0 {
		report.Findings = append(report.Findings, Finding{
			Level: Problem, Rule: "the schema is there", Subject: "no tenant's table",
			Detail: "there is nothing to examine", Remedy: "taskmed migrate up",
		})
	}
	report.Examined = fmt.Sprintf("%d rules over %d tables", len(rules), len(tables))
	return report.finish(), nil
}

// TenantTables are the tables and partitions that hold rows of clinics.
func TenantTables(ctx context.Context, db Querier) ([]string, error) {
	tables, err := texts(ctx, db, "WITH "+tenantTables+" SELECT name FROM tenant_tables ORDER BY name")
	if err != nil {
		return nil, fmt.Errorf("list the clinics' tables: %w", err)
	}
	return tables, nil
}
