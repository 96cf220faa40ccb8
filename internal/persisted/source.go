package persisted

import (
	"context"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/tenant"
)

// mostOperations bounds what is published at a time: a registry is held in memory.
const mostOperations = 10_000

// inPostgres reads the table registered_operations, which is no clinic's.
type inPostgres struct{ db *database.DB }

// InPostgres is what `taskmed operations publish` wrote.
func InPostgres(db *database.DB) Source { return inPostgres{db} }

// Revision implements Source: whatever is published or retired changes one of the two.
func (s inPostgres) Revision(ctx context.Context) (string, error) {
	rows, err := database.Lookup[struct{ Revision string }](tenant.Without(ctx), s.db,
		"SELECT count(*) || ' ' || coalesce(max(published_at)::text, '') AS revision FROM registered_operations")
	if err != nil {
		return "", err
	}
	return rows[0].Revision, nil
}

// All implements Source.
func (s inPostgres) All(ctx context.Context) ([]*Operation, error) {
	return database.Lookup[Operation](tenant.Without(ctx), s.db,
		"SELECT id, name, kind, body FROM registered_operations ORDER BY published_at DESC, id LIMIT $1", mostOperations)
}
