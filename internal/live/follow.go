package live

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/outbox"
	"github.com/taskmed/taskmed/internal/paging"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/models"
)

// Event is what a follower is told.
type Event struct {
	// ID is the global id of the change: who has seen it goes on after it.
	ID string
	// Node is the global id of what is to be read.
	Node string
	// StampedAt is when the change got its position; zero where it was caught up on.
	StampedAt time.Time
}

// Follower is a place in a clinic's changes. One goroutine uses it.
type Follower struct {
	feed *feed
	wish wish
	// position is that of the last change that was looked at.
	position int64
	// waiting are changes that were read and not looked at yet, and through is the
	// position that they reach to.
	waiting []Change
	through int64
	// late tells that they were read from the table.
	late  bool
	leave sync.Once
}

// Follow begins to follow what a field of Subscription is about, with the arguments that
// it was sent, for the context's scope. after is a change's global id or a cursor of
// changes; "" for what happens from now on. Its errors are *models.Error: EXPIRED where
// what came after is no longer known, FORBIDDEN where the role is told of nothing.
// Close the Follower.
func (h *Hub) Follow(ctx context.Context, field string, args map[string]any, after string) (*Follower, error) {
	scope, err := tenant.From(ctx)
	if err != nil {
		return nil, err
	}
	wish, err := h.wanted(scope, field, args)
	if err != nil {
		return nil, err
	}
	if sent, _ := args["after"].(string); wish.from.whole && after == "" {
		after = sent
	}
	begins := int64(-1)
	if after != "" {
		if begins, err = h.place(ctx, scope.ClinicID, after); err != nil {
			return nil, err
		}
	}
	feed, err := h.join(scope.ClinicID) //nolint:contextcheck // a feed ends with its last follower, not with the first one's request
	if err != nil {
		return nil, err
	}
	f := &Follower{feed: feed, wish: wish}
	select {
	case <-ctx.Done():
		f.Close()
		return nil, ctx.Err()
	case <-feed.begun:
	}
	_, _, _, last, err := feed.since(0)
	if err != nil {
		f.Close()
		return nil, unavailable(err)
	}
	if f.position = begins; begins < 0 {
		f.position = last
	}
	return f, nil
}

// Close ends it.
func (f *Follower) Close() { f.leave.Do(func() { f.feed.hub.left(f.feed) }) }

// Next waits for what is told next. Its error is the context's, EXPIRED, or UNAVAILABLE:
// then Postgres does not answer, or the server stops.
func (f *Follower) Next(ctx context.Context) (Event, error) {
	for {
		for len(f.waiting) > 0 {
			change := &f.waiting[0]
			f.waiting = f.waiting[1:]
			if change.Position <= f.position {
				continue
			}
			f.position = change.Position
			if f.wish.wants(change) {
				event := Event{ID: models.KindChange.Global(change.ID), Node: f.wish.node(change)}
				if !f.late {
					event.StampedAt = change.StampedAt
				}
				return event, nil
			}
		}
		f.position = max(f.position, f.through)
		more, news, inMemory, last, err := f.feed.since(f.position)
		switch {
		case errors.Is(err, errRestored):
			return Event{}, errRestored
		case err != nil:
			return Event{}, unavailable(err)
		case !inMemory:
			if err := f.page(ctx, last); err != nil {
				return Event{}, err
			}
		case len(more) > 0:
			f.waiting, f.through, f.late = more, more[len(more)-1].Position, false
		default:
			f.waiting = nil
			select {
			case <-ctx.Done():
				return Event{}, ctx.Err()
			case <-news:
			}
		}
	}
}

// page reads on from the table, only what is wanted. last was committed before.
func (f *Follower) page(ctx context.Context, last int64) error {
	reading, done := context.WithTimeout(ctx, longest)
	defer done()
	h := f.feed.hub
	release, err := h.turn(reading)
	if err != nil {
		return errors.Join(ctx.Err(), unavailable(err))
	}
	defer release()
	rows, err := database.Rows[Change](within(reading, f.feed.clinic), h.config.DB,
		selectChanges+" AND c.event = ANY($3) ORDER BY c.position LIMIT $4", f.feed.clinic, f.position, f.wish.words, page)
	if err != nil {
		return err
	}
	f.waiting, f.late = make([]Change, len(rows)), true
	for i, row := range rows {
		f.waiting[i] = *row
	}
	f.through = last
	if len(rows) == page { // there is more of what is wanted
		f.through = rows[page-1].Position
	}
	return nil
}

// listed is what cursors of Query.changes are bound to.
const listed = "Query.changes by position"

// place finds the position after which a client goes on.
func (h *Hub) place(ctx context.Context, clinic uuid.UUID, after string) (int64, error) {
	if id, err := models.KindChange.Parse(after); err == nil {
		position, err := database.Value[int64](ctx, h.config.DB, "SELECT position FROM changes WHERE clinic_id = $1 AND id = $2", clinic, id)
		if errors.Is(err, models.ErrNotFound) {
			return 0, outbox.Expired()
		}
		return position, err
	}
	key, err := h.config.Cursors.Decode(clinic, listed, after, 2)
	if err != nil {
		return 0, models.BadInput("after is neither the id of a change nor a cursor of changes")
	}
	position, err := strconv.ParseInt(key[0], 10, 64)
	if err != nil {
		return 0, paging.BadCursor("after")
	}
	id, err := uuid.Parse(key[1])
	if err != nil {
		return 0, paging.BadCursor("after")
	}
	stands, err := database.Value[bool](ctx, h.config.DB, outbox.Stands, clinic, key[0], id)
	if err == nil && !stands {
		err = outbox.Expired()
	}
	return position, err
}

func unavailable(cause error) error {
	return &models.Error{Code: models.Unavailable, Message: "what happens cannot be told at the moment; go on after the last event that you saw", Cause: cause}
}
