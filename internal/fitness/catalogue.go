package fitness

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
)

// Catalogue is what the rules are judged by: the role that serves, the clinics'
// tables and the migrations that were applied.
type Catalogue struct {
	// Login is the role that the connection was opened as.
	Login string
	// Roles are those that it can act as, itself included.
	Roles []Role
	// Tables hold rows of clinics: everything that has a clinic_id, and clinics.
	Tables []Table
	// Raises are the triggers that write down what happened.
	Raises []Raise
	// Replication is session_replication_role, by which triggers are silent.
	Replication string
	// Versions are the migrations that were applied; nil where that cannot be read.
	Versions []int64
	// Oldest is the oldest binary's newest migration that the schema still
	// serves, as it says itself; 0 where it does not.
	Oldest int64
}

// Role is one that the server can act as, and by what row-level security would
// not bind it.
type Role struct {
	Name                                          string
	Superuser, BypassRLS, CreateRole, Replication bool
	// OwnsDatabase, Schemas, Tables and Functions are what it owns, and so could put
	// out of force: the tables of clinics, and what policies and triggers call.
	OwnsDatabase               bool
	Schemas, Tables, Functions []string
}

// Table is a table, partition or view that has rows of clinics.
type Table struct {
	Name string
	// Kind is pg_class.relkind.
	Kind string
	// Enabled and Forced are its row-level security.
	Enabled, Forced bool
	// Invoker is a view that reads with the rights of who asks.
	Invoker bool
	// Readable tells that the server may read it, or what it is a partition of.
	Readable bool
	// Silent lists the events (insert, update, delete, truncate) that it does not
	// announce to the cache.
	Silent []string
	// Unread is why no answer is read from it, as declared by cache_unread.
	Unread string
	// Policies are those that apply to the server's roles.
	Policies []Policy
}

// Raise is a trigger that executes outbox_raise.
type Raise struct {
	Table, Trigger string
	// Event and Kind are its arguments, By the statement that fires it for each row: it
	// is empty for whatever else one can make.
	Event, Kind, By string
	// Off tells that it is disabled, or enabled for replicas alone.
	Off bool
}

// Policy is one of row-level security's.
type Policy struct {
	Name string
	// Command is pg_policy.polcmd: * is all.
	Command string
	// Permissive adds rows; a restrictive one takes some away.
	Permissive bool
	// Everyone tells that it applies to every role, Roles to which of the server's.
	Everyone bool
	Roles    []string
	// Using and Check tell that it has them; OwnUsing and OwnCheck that they let
	// through the connection's clinic alone.
	Using, Check, OwnUsing, OwnCheck bool
}

// Announces tells whether every change of a table is told to the cache: whoever
// reads answers from it may keep them.
func (c *Catalogue) Announces(table string) bool {
	return slices.ContainsFunc(c.Tables, func(t Table) bool { return t.Name == table && len(t.Silent) == 0 })
}

// look is everything but the versions. No function in it takes a lock on a
// table (pg_get_expr does): a look must not wait for a migration. So policies
// are compared as trees, column = app_clinic() and nothing else.
const look = `WITH
	me AS (SELECT oid, rolsuper FROM pg_roles WHERE rolname = session_user),
	roles AS (
		SELECT r.oid, r.rolname, r.rolsuper, r.rolbypassrls, r.rolcreaterole, r.rolreplication
		FROM pg_roles r, me
		-- A superuser is a member of every role: that it is one says enough.
		WHERE r.rolname IN (session_user, current_user) OR NOT me.rolsuper AND pg_has_role(me.oid, r.oid, 'MEMBER')),
	relations AS (
		SELECT c.oid, c.oid::regclass::text AS name, c.relname, c.relkind, c.relrowsecurity, c.relforcerowsecurity, c.relowner, c.relnamespace,
			c.reloptions, a.attnum, CASE WHEN c.relispartition THEN pg_partition_root(c.oid) ELSE c.oid END AS root
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		JOIN pg_attribute a ON a.attrelid = c.oid AND NOT a.attisdropped
			AND a.attname = CASE WHEN c.relname = 'clinics' THEN 'id' ELSE 'clinic_id' END
		WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'),
	policies AS (
		SELECT p.polrelid, p.polname, p.polcmd, p.polpermissive, p.polroles, p.polroles = '{0}' AS everyone,
			p.polqual::text AS qual, p.polwithcheck::text AS checked,
			format('^\{OPEXPR :opno %s [^{}]*:args \(\{VAR :varno 1 :varattno %s [^{}]*\} \{FUNCEXPR :funcid %s [^{}]*:args <> [^{}]*\}\)[^{}]*\}$',
				'=(uuid,uuid)'::regoperator::oid, t.attnum, to_regprocedure('app_clinic()')::oid) AS own
		FROM pg_policy p JOIN relations t ON t.oid = p.polrelid
		WHERE p.polroles && ARRAY(SELECT 0::oid UNION ALL SELECT oid FROM roles)),
	-- As cache_announce makes them: after each statement, whatever it changed.
	announcing AS (
		SELECT t.oid, g.tgname
		FROM relations t JOIN pg_trigger g ON g.tgrelid = t.oid JOIN pg_proc f ON f.oid = g.tgfoid
		WHERE NOT g.tgisinternal AND g.tgenabled IN ('O', 'A') AND g.tgqual IS NULL AND g.tgattr::text = ''
			AND (g.tgname, g.tgtype, f.proname, coalesce(g.tgoldtable, ''), coalesce(g.tgnewtable, '')) IN (
				('cache_tags_insert', 4, 'cache_tags_' || t.relname, '', 'new_rows'),
				('cache_tags_update', 16, 'cache_tags_' || t.relname, 'old_rows', 'new_rows'),
				('cache_tags_delete', 8, 'cache_tags_' || t.relname, 'old_rows', ''),
				('cache_tags_truncate', 32, 'cache_truncated', '', '')))
SELECT json_build_object(
	'Login', session_user,
	'Replication', current_setting('session_replication_role'),
	'Oldest', coalesce(substring(obj_description(to_regclass('goose_db_version'), 'pg_class') FROM '^oldest binary: (\d{1,18})$')::bigint, 0),
	'Roles', (SELECT json_agg(json_build_object(
		'Name', r.rolname, 'Superuser', r.rolsuper, 'BypassRLS', r.rolbypassrls, 'CreateRole', r.rolcreaterole, 'Replication', r.rolreplication,
		'OwnsDatabase', EXISTS (SELECT FROM pg_database d WHERE d.datname = current_database() AND d.datdba = r.oid),
		'Schemas', ARRAY(SELECT n.nspname FROM pg_namespace n WHERE n.nspowner = r.oid AND n.oid IN (SELECT relnamespace FROM relations) ORDER BY 1),
		'Tables', ARRAY(SELECT t.name FROM relations t WHERE t.relowner = r.oid ORDER BY 1),
		'Functions', ARRAY(SELECT f.oid::regprocedure::text FROM pg_proc f
			WHERE f.proowner = r.oid AND f.pronamespace IN (SELECT relnamespace FROM relations)
				AND (f.proname IN ('app_clinic', 'outbox_raise') OR f.proname LIKE 'cache\_%') ORDER BY 1)) ORDER BY r.rolname) FROM roles r),
	'Raises', (SELECT json_agg(json_build_object(
		'Table', t.name, 'Trigger', g.tgname, 'Event', split_part(encode(g.tgargs, 'escape'), '\000', 1), 'Kind', split_part(encode(g.tgargs, 'escape'), '\000', 2),
		'By', CASE WHEN g.tgattr::text = '' THEN CASE g.tgtype WHEN 5 THEN 'insert' WHEN 17 THEN 'update' END END,
		'Off', g.tgenabled NOT IN ('O', 'A')) ORDER BY t.name, g.tgname)
		FROM relations t JOIN pg_trigger g ON g.tgrelid = t.oid WHERE g.tgfoid = to_regproc('outbox_raise')),
	'Tables', (SELECT json_agg(json_build_object(
		'Name', t.name, 'Kind', t.relkind, 'Enabled', t.relrowsecurity, 'Forced', t.relforcerowsecurity,
		'Invoker', coalesce(t.reloptions && '{security_invoker=true,security_invoker=on}', false),
		'Readable', has_any_column_privilege(t.oid, 'SELECT') OR has_any_column_privilege(t.root, 'SELECT'),
		'Silent', ARRAY(SELECT e FROM unnest('{insert,update,delete,truncate}'::text[]) e
			WHERE 'cache_tags_' || e NOT IN (SELECT g.tgname::text FROM announcing g WHERE g.oid = t.oid)),
		'Unread', coalesce(substring(obj_description(t.root, 'pg_class') FROM '^no answer is read from it: (.+)$'), ''),
		'Policies', (SELECT json_agg(json_build_object(
			'Name', p.polname, 'Command', p.polcmd, 'Permissive', p.polpermissive, 'Everyone', p.everyone,
			'Roles', ARRAY(SELECT r.rolname FROM roles r WHERE r.oid = ANY (p.polroles) ORDER BY 1),
			'Using', p.qual IS NOT NULL, 'Check', p.checked IS NOT NULL,
			'OwnUsing', coalesce(p.qual ~ p.own, false), 'OwnCheck', coalesce(p.checked ~ p.own, false)) ORDER BY p.polname)
			FROM policies p WHERE p.polrelid = t.oid)) ORDER BY t.name) FROM relations t)),
	coalesce(has_table_privilege(to_regclass('goose_db_version'), 'SELECT'), false)`

// versions are the migrations whose last word is that they were applied.
const versions = `SELECT ARRAY(SELECT v.version_id FROM (
		SELECT DISTINCT ON (version_id) version_id, is_applied FROM goose_db_version ORDER BY version_id, id DESC) v
	WHERE v.is_applied AND v.version_id > 0 ORDER BY 1)`

// Look reads the catalogue, as the role that will serve, in two statements.
func Look(ctx context.Context, db Querier) (*Catalogue, error) {
	var text []byte
	var versioned bool
	if err := db.QueryRow(ctx, look).Scan(&text, &versioned); err != nil {
		return nil, fmt.Errorf("look at the catalogue: %w", err)
	}
	var c Catalogue
	if err := json.Unmarshal(text, &c); err != nil {
		return nil, fmt.Errorf("read the catalogue: %w", err)
	}
	if versioned {
		if err := db.QueryRow(ctx, versions).Scan(&c.Versions); err != nil {
			return nil, fmt.Errorf("look at the migrations: %w", err)
		}
	}
	return &c, nil
}
