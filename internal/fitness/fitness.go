// Package fitness tells whether a database is fit to be served: whether what
// keeps one clinic's rows from another's, and what keeps answers current, is
// there in the catalogue, and the schema is the one that the program was built
// for. A server looks before it serves and every two seconds while it does.
package fitness

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/taskmed/taskmed/migrations"
)

// Finding is one reason why a database must not be served, in words for whoever
// operates it. It names roles, tables and migrations, never what is in a row.
type Finding struct {
	// What is wrong.
	What string
	// Why it matters.
	Why string
	// Do is how it is mended.
	Do string
}

// UnfitError is the error of a database that must not be served: all that was found.
type UnfitError struct{ Findings []Finding }

// Error has all findings, one to a paragraph.
func (u *UnfitError) Error() string {
	var text strings.Builder
	text.WriteString("this database must not be served:")
	for _, f := range u.Findings {
		fmt.Fprintf(&text, "\n- %s: %s.\n  To mend it: %s", f.What, f.Why, f.Do)
	}
	return text.String()
}

// Querier is a connection, a pool or a transaction.
type Querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// Rule finds what is wrong in a catalogue. Rules of others, which know more than
// the catalogue does (what the schema reads), are handed to Examine.
type Rule func(*Catalogue) []Finding

// Examine looks at the catalogue, as the role that will serve, and gives what
// the rules find: this package's own and more. It takes no lock and waits for
// none. An error says that it could not look.
func Examine(ctx context.Context, db Querier, more ...Rule) ([]Finding, error) {
	found, err := examine(ctx, db, more)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	// The catalogue is not read in one instant: a migration that was committed
	// meanwhile may seem half done. What is wrong is wrong the second time, too.
	return examine(ctx, db, more)
}

func examine(ctx context.Context, db Querier, more []Rule) ([]Finding, error) {
	catalogue, err := Look(ctx, db)
	if err != nil {
		return nil, err
	}
	var found []Finding
	for _, rule := range append(Rules(migrations.Versions()), more...) {
		found = append(found, rule(catalogue)...)
	}
	return found, nil
}
