// Package e2e holds the tests that use TaskMed as a person does: the whole
// server on a real Postgres and Redis, seen through a browser.
package e2e
