package testkit

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/models"
)

// Commits is how many transactions a race has whose events are followed: few, or what
// TASKMED_OUTBOX_COMMITS says, by 32 writers.
func Commits(t testing.TB, few int) (writers, transactions int) {
	t.Helper()
	said := os.Getenv("TASKMED_OUTBOX_COMMITS")
	if said == "" {
		return 8, few
	}
	n, err := strconv.Atoi(said)
	require.NoError(t, err, "TASKMED_OUTBOX_COMMITS is a number")
	return 32, n
}

// Racer is one of a race's writers.
type Racer struct {
	Clinic uuid.UUID
	// Name is what the contacts are called that the nth transaction adds.
	Name func(n int) string
	// Shared are contacts that all writers change; there may be none.
	Shared []uuid.UUID
	// Begins is called before each transaction, and Ended after it with the contacts that
	// it has added and the one that it has changed. Either may be nil.
	Begins func()
	Ended  func(added []uuid.UUID, changed *uuid.UUID, committed bool)
}

// Write runs transactions that add contacts. One contact in twenty makes its transaction
// long, and one transaction in eight is given up.
func (w Racer) Write(ctx context.Context, conn *pgx.Conn, transactions int, dice *rand.Rand) error {
	for n := range transactions {
		if w.Begins != nil {
			w.Begins()
		}
		if err := w.transact(ctx, conn, n, dice); err != nil {
			return fmt.Errorf("a racer's transaction: %w", err)
		}
	}
	return nil
}

func (w Racer) transact(ctx context.Context, conn *pgx.Conn, n int, dice *rand.Rand) error {
	tx, err := conn.Begin(ctx)
	if err != nil {
		return err
	}
	var added []uuid.UUID
	for range 1 + dice.IntN(2) {
		id := models.NewID()
		if _, err := tx.Exec(ctx, "INSERT INTO contacts (clinic_id, id, name) VALUES ($1, $2, $3)", w.Clinic, id, w.Name(n)); err != nil {
			return err
		}
		added = append(added, id)
		if dice.IntN(20) == 0 {
			if _, err := tx.Exec(ctx, "SELECT pg_sleep($1)", dice.Float64()/40); err != nil {
				return err
			}
		}
	}
	var changed *uuid.UUID
	if len(w.Shared) > 0 && dice.IntN(3) == 0 { // last, so that nobody holds one and waits for another
		changed = &w.Shared[dice.IntN(len(w.Shared))]
		if _, err := tx.Exec(ctx, "UPDATE contacts SET notes = $3 WHERE clinic_id = $1 AND id = $2", w.Clinic, *changed, fmt.Sprint(dice.Int())); err != nil {
			return err
		}
	}
	committed := dice.IntN(8) > 0
	end := tx.Rollback
	if committed {
		end = tx.Commit
	}
	if err := end(ctx); err != nil {
		return err
	}
	if w.Ended != nil {
		w.Ended(added, changed, committed)
	}
	return nil
}
