// Package migrations holds the database's schema as SQL.
package migrations

import _ "embed"

// Roles is the SQL that creates the roles taskmed_owner, taskmed_app and
// taskmed_lookup. It is run by a superuser once per server, may be repeated,
// and sets no passwords.
//
//go:embed roles.sql
var Roles string
