package database

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/internal/touched"
	"github.com/taskmed/taskmed/models"
)

// Coherence tells caches what a transaction changes. Triggers in Postgres
// compute the tags (migrations/00002_announcements.sql); a transaction for which
// Raise succeeds sends no notification, every other one does.
type Coherence interface {
	// Raise is called once before the commit of a transaction that changed
	// something, with one tag at least: at most 400 tags, each once, or
	// touched.Everything alone. From then on nothing may be stored that has one
	// of the tags, until settle has been called. settle is called exactly once,
	// also when the commit was refused or its outcome is unknown, with a context
	// that outlives the request's. With an error, after which settle may be nil,
	// the transaction notifies instead.
	Raise(ctx context.Context, clinic uuid.UUID, tags []touched.Tag) (settle func(ctx context.Context, outcome touched.Outcome), err error)
	// AwaitNotified waits until the notification with the token has arrived at
	// this instance's listener: it is sent where Raise failed, and may arrive
	// before this is called. The write is committed whatever it returns, so an
	// error is the implementation's to log and to draw conclusions from.
	AwaitNotified(ctx context.Context, token string) error
}

// NotifyChannel is the channel on which the triggers notify. The payload is
// JSON: {"c": clinic's UUID, "t": [tags], "k": token}. Without "t" it stands for
// the whole clinic, with a "c" of null for every clinic; "k" is there only for
// AwaitNotified.
const NotifyChannel = "taskmed_cache"

const (
	// mostTags bounds the tags of one write; more become Everything.
	mostTags = 400
	// longestAwait bounds the wait for the own notification.
	longestAwait = 2 * time.Second
)

// raised is what a transaction told the caches.
type raised struct {
	settle func(ctx context.Context, outcome touched.Outcome)
	// token is set where the transaction notifies itself.
	token string
}

// collectTags makes the triggers collect a transaction's tags instead of
// notifying.
func collectTags(ctx context.Context, tx *gorm.DB) error {
	_, err := tx.Statement.ConnPool.ExecContext(uncounted(ctx), "SET LOCAL app.cache_writer = 'api'")
	return err
}

// raise tells the caches what the transaction is about to change, and makes it
// notify where they cannot be told.
func (db *DB) raise(ctx context.Context, tx *gorm.DB) (raised, error) {
	scope, err := tenant.From(ctx)
	if err != nil {
		return raised{}, err
	}
	tags, err := collectedTags(ctx, tx)
	if len(tags) == 0 || err != nil {
		return raised{}, err
	}
	settle, failed := db.coherence.Raise(ctx, scope.ClinicID, tags)
	if failed == nil {
		return raised{settle: settle}, nil
	}
	told := raised{settle: settle, token: uuid.NewString()}
	if _, err := tx.Statement.ConnPool.ExecContext(uncounted(ctx), "SELECT cache_notify_collected($1)", told.token); err != nil {
		return told, fmt.Errorf("notify what a transaction changes: %w", err)
	}
	return told, nil
}

// collectedTags are the tags of what a transaction has changed so far.
func collectedTags(ctx context.Context, tx *gorm.DB) ([]touched.Tag, error) {
	var collected sql.NullString
	row := tx.Statement.ConnPool.QueryRowContext(uncounted(ctx), "SELECT current_setting('app.cache_tags', true)")
	if err := row.Scan(&collected); err != nil {
		return nil, fmt.Errorf("read the tags of a transaction: %w", err)
	}
	return distinctTags(collected.String), nil
}

// distinctTags reads the tags that the triggers collected, one a line.
func distinctTags(collected string) []touched.Tag {
	var tags []touched.Tag
	for tag := range strings.Lines(collected) {
		tags = append(tags, touched.Tag(strings.TrimSuffix(tag, "\n")))
	}
	slices.Sort(tags)
	tags = slices.Compact(tags)
	if len(tags) > mostTags || slices.Contains(tags, touched.Everything) {
		return []touched.Tag{touched.Everything}
	}
	return tags
}

// ended settles what was raised. The request's end must not keep it from that.
func (r raised) ended(ctx context.Context, coherence Coherence, outcome touched.Outcome) {
	ctx = context.WithoutCancel(ctx)
	if r.settle != nil {
		r.settle(ctx, outcome)
	}
	if r.token == "" || outcome != touched.Committed {
		return
	}
	ctx, done := context.WithTimeout(ctx, longestAwait)
	defer done()
	// The write is done; what it means that the notification did not come is
	// decided by the cache, which knows whether it can still be trusted.
	_ = coherence.AwaitNotified(ctx, r.token)
}

type declaredKey struct{}

// Depends declares what a read's answer depends on, and returns the context in
// which that read runs. A read without it makes an answer that is being
// collected for a cache one that is never kept; so does a call without tags.
func Depends(ctx context.Context, tags ...touched.Tag) context.Context {
	if len(tags) == 0 || !touched.Collecting(ctx) {
		return ctx
	}
	touched.Add(ctx, tags...)
	return context.WithValue(ctx, declaredKey{}, true)
}

// DependsOnZone is Depends for a read of the clinic's time zone alone. It needs
// no tag: a write that changes the zone has touched.Everything.
func DependsOnZone(ctx context.Context) context.Context {
	return context.WithValue(ctx, declaredKey{}, true)
}

// failClosed keeps an answer out of caches that is made of more than it says.
func failClosed(ctx context.Context) {
	if touched.Collecting(ctx) && ctx.Value(declaredKey{}) == nil {
		touched.Poison(ctx, "reads something without saying what it depends on")
	}
}

// Entities are the tags of entities of one kind; none where nobody collects them.
func Entities(ctx context.Context, kind models.Kind, ids []uuid.UUID) []touched.Tag {
	return TagsOf(ctx, ids, func(id uuid.UUID) touched.Tag { return touched.Entity(kind, id) })
}

// TagsOf makes a tag of each id; none where nobody collects them.
func TagsOf(ctx context.Context, ids []uuid.UUID, tag func(uuid.UUID) touched.Tag) []touched.Tag {
	if !touched.Collecting(ctx) {
		return nil
	}
	tags := make([]touched.Tag, len(ids))
	for i, id := range ids {
		tags[i] = tag(id)
	}
	return tags
}
