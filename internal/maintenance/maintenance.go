// Package maintenance does what a database needs regularly and nothing else
// does: the audit trail's coming months, rows that have expired, statistics
// that are out of date. It may run at any time beside servers, as often as one
// likes, and one at a time: whoever comes second does nothing. `taskmed
// maintain` runs it as the owner's role; servers run by themselves what their
// own role may do (Keeper), and all of it if they are told the owner's address.
// A run is a list of steps, asOwner or asServer; owner.go and server.go have them.
//
// The Attendant (attendant.go) is apart from it: it attends to the waiting lists, on
// every server, once a second.
package maintenance

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Result is what was done.
type Result struct {
	// Busy is true where another run was at it, and NotDue where one was not long
	// enough ago, so that this one did nothing.
	Busy   bool `json:"busy"`
	NotDue bool `json:"notDue,omitempty"`
	// Partitions are the months of the audit trail that were made.
	Partitions []string `json:"partitions"`
	// Keys and Holds are the idempotency keys and the holds on slots that had
	// expired and are gone.
	Keys  int64 `json:"expiredIdempotencyKeys"`
	Holds int64 `json:"expiredHolds"`
	// Changes are those that were kept for as long as they are.
	Changes int64 `json:"expiredChanges"`
	// Deliveries of webhooks are those of such changes, and of endpoints that are gone.
	Deliveries int64 `json:"expiredDeliveries"`
	// Posts of channels' providers are those that were done with, or given up, long ago.
	Posts int64 `json:"expiredPosts"`
	// Clinics is how many clinics were looked through.
	Clinics int `json:"clinics"`
	// Analyzed are the tables whose statistics were taken anew.
	Analyzed []string `json:"analyzed"`
	// Left is what is due and takes the owner's rights, which this run had not.
	Left []string `json:"left,omitempty"`
	// Warnings are what a person should look at.
	Warnings []string      `json:"warnings"`
	Took     time.Duration `json:"tookNanoseconds"`
}

const (
	// months is how far ahead the audit trail has partitions.
	months = 12
	// batch is how many rows one transaction deletes, so that none is long.
	batch = 5000
	// kept is for how long changes are, and so how long a reader of them may be away.
	kept = 30 * 24 * time.Hour
	// postsKept is for how long what a channel's provider posted is known by its name, and
	// kept where it was given up, once nothing more comes of it.
	postsKept = 30 * 24 * time.Hour
	// lockTimeout bounds what a server can wait for behind a waiting statement of ours.
	lockTimeout = "2s"
)

// step is a part of the work.
type step func(context.Context, *pgx.Conn, *Result) error

// Run does everything that is due, as the owner's role, however long ago the
// last run was.
func Run(ctx context.Context, ownerURL string) (Result, error) {
	return run(ctx, ownerURL, 0, asOwner())
}

func asOwner() []step { return []step{partitions, expired, pruned, statistics} }

// asServer is what the application's role may do.
func asServer() []step { return []step{expiredForServers, pruned, leftToOwner} }

// run takes the steps unless another run is at it, or began less than a period ago.
func run(ctx context.Context, url string, period time.Duration, steps []step) (result Result, err error) {
	began := time.Now()
	result = Result{Partitions: []string{}, Analyzed: []string{}, Warnings: []string{}}
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return result, fmt.Errorf("connect to the database: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // it takes the lock with it
	// The session's, not a transaction's: there are many transactions.
	if err := conn.QueryRow(ctx, "SELECT NOT pg_try_advisory_lock(hashtextextended('taskmed maintain', 0)), set_config('lock_timeout', $1, false)", lockTimeout).
		Scan(&result.Busy, nil); err != nil {
		return result, fmt.Errorf("see whether another run is at it: %w", err)
	}
	if result.Busy {
		return result, nil
	}
	// Under the lock, by Postgres' clock.
	var due bool
	if err := conn.QueryRow(ctx, "SELECT maintenance_begin($1)", period).Scan(&due); err != nil {
		return result, fmt.Errorf("see whether it is due: %w", err)
	}
	if result.NotDue = !due; result.NotDue {
		return result, nil
	}
	for _, step := range steps {
		if err := step(ctx, conn, &result); err != nil {
			return result, err
		}
	}
	result.Took = time.Since(began)
	return result, nil
}
