// Package chaos has the test that looks for stale answers of whole server
// processes while they, Redis and Postgres are killed and come back. It has a package
// of its own since it never runs again when it fails: docs/decisions/0008.
package chaos
