package fitness

import (
	"fmt"
	"slices"
	"strings"
)

// Rules are this package's own. built are the migrations that the program was
// built with.
func Rules(built []int64) []Rule {
	return []Rule{bound, migrated(built), isolated, announced}
}

const (
	unboundWhy = "row-level security does not bind it, so one clinic could be answered with another's rows"
	unboundDo  = "set DATABASE_URL to a role that owns nothing and is a member of nothing, as migrations/roles.sql makes taskmed_app"
)

// bound is that row-level security binds the server, whatever role it acts as.
func bound(c *Catalogue) []Finding {
	var found []Finding
	for _, r := range c.Roles {
		powers := r.powers()
		if more := c.lent(r.Name); r.Name != c.Login && len(more) > 0 {
			powers = append(powers, "sees more by the policy "+some(more))
		}
		// Who is a member of it owns the database, which is said already.
		if len(powers) == 0 || r.Name == "pg_database_owner" {
			continue
		}
		what := fmt.Sprintf("the role %s of DATABASE_URL %s", r.Name, strings.Join(powers, ", "))
		if r.Name != c.Login {
			what = fmt.Sprintf("the role %s of DATABASE_URL is a member of %s, which %s", c.Login, r.Name, strings.Join(powers, ", "))
		}
		found = append(found, Finding{What: what, Why: unboundWhy, Do: unboundDo})
	}
	return found
}

// lent are the policies that let a role see more than one clinic.
func (c *Catalogue) lent(role string) []string {
	var policies []string
	for _, t := range c.Tables {
		for _, p := range t.Policies {
			if p.wide() && slices.Contains(p.Roles, role) {
				policies = append(policies, p.Name+" on "+t.Name)
			}
		}
	}
	return policies
}

// serverAccess are Postgres' own roles that reach the files under all rows
// (PostgreSQL, "Predefined Roles": these "should be granted with care").
func serverAccess() []string {
	return []string{"pg_execute_server_program", "pg_read_server_files", "pg_write_server_files"}
}

// powers are by what row-level security does not bind a role.
func (r Role) powers() []string {
	if r.Superuser {
		return []string{"is a superuser"}
	}
	var powers []string
	for power, has := range map[string]bool{
		"has BYPASSRLS":                               r.BypassRLS,
		"has REPLICATION and can copy the files":      r.Replication,
		"has CREATEROLE and can make itself a member": r.CreateRole,
		"reaches the server's files":                  slices.Contains(serverAccess(), r.Name),
		"owns the database":                           r.OwnsDatabase,
		"owns the schema " + some(r.Schemas):          len(r.Schemas) > 0,
		"owns the table " + some(r.Tables):            len(r.Tables) > 0,
		"owns the function " + some(r.Functions):      len(r.Functions) > 0,
	} {
		if has {
			powers = append(powers, power)
		}
	}
	slices.Sort(powers)
	return powers
}

// some names the first few of many.
func some(names []string) string {
	const few = 3
	if len(names) <= few {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:few], ", "), len(names)-few)
}

// migrated is that the schema is what the program was built for, or newer and
// still serving it: a binary is rolled back without its migrations.
func migrated(built []int64) Rule {
	const why = "the program would ask for what is not there, or get another thing than it means"
	newest := slices.Max(built)
	return func(c *Catalogue) []Finding {
		if c.Versions == nil {
			return []Finding{{
				What: fmt.Sprintf("which migrations were applied cannot be read by %s (the program has %d)", c.Login, newest), Why: why,
				Do: "taskmed migrate up; where that was done, GRANT SELECT ON goose_db_version TO " + c.Login,
			}}
		}
		var found []Finding
		var missing []string
		for _, version := range built {
			if !slices.Contains(c.Versions, version) {
				missing = append(missing, fmt.Sprint(version))
			}
		}
		if missing != nil {
			found = append(found, Finding{
				What: "the database lacks the migrations " + strings.Join(missing, ", "), Why: why, Do: "taskmed migrate up, with this binary",
			})
		}
		if applied := slices.Max(append(c.Versions, 0)); applied > newest && (c.Oldest == 0 || newest < c.Oldest) {
			serves := "it does not say which older binaries it serves"
			if c.Oldest > 0 {
				serves = fmt.Sprintf("it serves binaries from %d on", c.Oldest)
			}
			found = append(found, Finding{
				What: fmt.Sprintf("the database is at migration %d, this binary at %d, and %s", applied, newest, serves), Why: why,
				Do: fmt.Sprintf("run the newer binary; or take the database back with it: taskmed migrate down --to %d", newest),
			})
		}
		return found
	}
}

// isolated is that row-level security lets through the connection's clinic alone.
func isolated(c *Catalogue) []Finding {
	const why = "one clinic could be answered with another's rows"
	var found []Finding
	if len(c.Tables) == 0 {
		found = append(found, Finding{What: "there is no table of clinics", Why: "there is nothing to serve", Do: "taskmed migrate up"})
	}
	for _, t := range c.Tables {
		add := func(what, do string) {
			found = append(found, Finding{What: what, Why: why, Do: do + "; taskmed doctor isolation tells more"})
		}
		if t.Kind != "r" && t.Kind != "p" {
			if t.Readable && !t.Invoker {
				add(fmt.Sprintf("%s has rows of clinics, and row-level security does not reach it", t.Name), "REVOKE ALL ON "+t.Name+" FROM "+c.Login)
			}
			continue
		}
		if !t.Enabled {
			add("row-level security of "+t.Name+" is switched off", "ALTER TABLE "+t.Name+" ENABLE ROW LEVEL SECURITY")
		}
		if !t.Forced {
			add("row-level security of "+t.Name+" is not forced", "ALTER TABLE "+t.Name+" FORCE ROW LEVEL SECURITY")
		}
		if !slices.ContainsFunc(t.Policies, Policy.tenants) {
			add("no policy of "+t.Name+" keeps all reads and writes to app_clinic()",
				"make the policy that protect_tenant_table makes (migrations/00001_tenancy.sql)")
		}
		for _, p := range t.Policies {
			// By another role's policy it is the membership that is wrong: bound says so.
			if p.wide() && (p.Everyone || slices.Contains(p.Roles, c.Login)) {
				add(fmt.Sprintf("the policy %s on %s lets through more than app_clinic()", p.Name, t.Name), fmt.Sprintf("DROP POLICY %s ON %s", p.Name, t.Name))
			}
		}
	}
	return found
}

// tenants is the policy that protect_tenant_table makes.
func (p Policy) tenants() bool {
	return p.Permissive && p.Everyone && p.Command == "*" && p.OwnUsing && p.OwnCheck
}

// wide is one that adds rows of other clinics. Without WITH CHECK, USING judges
// what is written.
func (p Policy) wide() bool {
	return p.Permissive && (p.Using && !p.OwnUsing || p.Check && !p.OwnCheck || !p.Using && !p.Check)
}

// announced is that the cache hears of every change of what answers are read from.
func announced(c *Catalogue) []Finding {
	const why = "answers would be kept that are no longer true"
	// Nothing says what was missed.
	const after = "then make the caches forget: SELECT pg_notify('taskmed_cache', '{\"c\": null}')"
	var found []Finding
	if c.Replication != "origin" {
		found = append(found, Finding{
			What: "session_replication_role is " + c.Replication + " for " + c.Login, Why: "triggers are silent, so " + why,
			Do: "take the setting off the role or the database; " + after,
		})
	}
	for _, t := range c.Tables {
		if t.Kind != "r" && t.Kind != "p" || !t.Readable || len(t.Silent) == 0 || t.Unread != "" {
			continue
		}
		found = append(found, Finding{
			What: fmt.Sprintf("%s does not announce to the cache what %s changes in it", t.Name, strings.Join(t.Silent, ", ")), Why: why,
			Do: fmt.Sprintf("ALTER TABLE %s ENABLE TRIGGER cache_tags_… where it was disabled, %s; for a new table, cache_announce or cache_unread in its migration", t.Name, after),
		})
	}
	return found
}
