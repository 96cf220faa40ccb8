package persisted

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Published says what Publish did.
type Published struct {
	// Added are new, Known were there before.
	Added, Known int
}

// errTooMany is returned where a registry would not fit into servers' memory.
var errTooMany = fmt.Errorf("there would be more than %d published operations: retire some", mostOperations)

// Publish writes operations, all or none, over a connection of the database's
// owner. What an id means does not change: another text under an id that was
// published is an error, for clients in use rely on it.
func Publish(ctx context.Context, conn *pgx.Conn, operations []*Operation) (Published, error) {
	var done Published
	err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		// One at a time, so that the count below is true.
		if _, err := tx.Exec(ctx, "LOCK TABLE registered_operations IN SHARE ROW EXCLUSIVE MODE"); err != nil {
			return err
		}
		for _, operation := range operations {
			added, err := publish(ctx, tx, operation)
			if err != nil {
				return err
			}
			if added {
				done.Added++
			} else {
				done.Known++
			}
		}
		var count int
		if err := tx.QueryRow(ctx, "SELECT count(*) FROM registered_operations").Scan(&count); err != nil {
			return err
		}
		if count > mostOperations {
			return errTooMany
		}
		return nil
	})
	if err != nil {
		return Published{}, fmt.Errorf("publish operations: %w", err)
	}
	return done, nil
}

func publish(ctx context.Context, tx pgx.Tx, operation *Operation) (added bool, err error) {
	tag, err := tx.Exec(ctx, `INSERT INTO registered_operations (id, hash, name, kind, body) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (id) DO NOTHING`,
		operation.ID, Hash(operation.Body), operation.Name, operation.Kind, operation.Body)
	if err != nil {
		return false, fmt.Errorf("%s: %w", operation.Name, err)
	}
	if tag.RowsAffected() == 1 {
		return true, nil
	}
	var body string
	if err := tx.QueryRow(ctx, "SELECT body FROM registered_operations WHERE id = $1", operation.ID).Scan(&body); err != nil {
		return false, err
	}
	if body != operation.Body {
		return false, fmt.Errorf("%s: another document is published as %s", operation.Name, operation.ID)
	}
	return false, nil
}

// List gives what is published, by name.
func List(ctx context.Context, conn *pgx.Conn) ([]*Operation, error) {
	rows, err := conn.Query(ctx, "SELECT id, name, kind, body FROM registered_operations ORDER BY name, published_at, id")
	if err != nil {
		return nil, fmt.Errorf("list operations: %w", err)
	}
	operations, err := pgx.CollectRows(rows, pgx.RowToAddrOfStructByNameLax[Operation])
	if err != nil {
		return nil, fmt.Errorf("list operations: %w", err)
	}
	return operations, nil
}

// ErrNotPublished is returned for an id that is not published.
var ErrNotPublished = errors.New("no such operation is published")

// Retire takes operations back, all or none. Servers that run registered
// operations alone refuse them from their next look at the table on.
func Retire(ctx context.Context, conn *pgx.Conn, ids []string) error {
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		for _, id := range ids {
			tag, err := tx.Exec(ctx, "DELETE FROM registered_operations WHERE id = $1", id)
			if err != nil {
				return fmt.Errorf("retire %s: %w", id, err)
			}
			if tag.RowsAffected() == 0 {
				return fmt.Errorf("%w: %s", ErrNotPublished, id)
			}
		}
		return nil
	})
}
