package live

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/models"
)

const (
	// kept is how many of a clinic's latest changes stay in memory, some 170 bytes each.
	kept = 1000
	// page is how many changes one statement reads.
	page = 500
	// longest bounds one reading.
	longest = 10 * time.Second
)

// Change is a row of changes.
type Change struct {
	Position   int64
	ID         uuid.UUID
	Event      string
	EntityKind string
	EntityID   uuid.UUID
	StampedAt  time.Time
	// Within is what the entity belonged to before and after: an appointment's
	// practitioners, a message's conversation.
	Within []uuid.UUID
}

// selectChanges reads changes after a position.
const selectChanges = `SELECT c.position, c.id, c.event, c.entity_kind, c.entity_id, c.within, c.stamped_at
	FROM changes c WHERE c.clinic_id = $1 AND c.position > $2`

// feed has the latest changes of a clinic.
type feed struct {
	hub    *Hub
	clinic uuid.UUID
	stop   context.CancelFunc
	// rung holds one ring of the bell.
	rung chan struct{}
	// begun is closed once it is known where it begins, or why it cannot.
	begun chan struct{}

	// followers is the hub's to guard.
	followers int

	mu sync.Mutex
	// changes are gapless and end at last. What stands in it is never written again, so
	// that followers read parts of it without the lock.
	changes []Change
	last    int64
	// news is closed when there is more, or when it ends.
	news chan struct{}
	// ended is why nothing follows any more.
	ended error
}

// errEnded ends followers of a feed that ends.
var errEnded = errors.New("live: the feed has ended")

// errRestored ends followers of a clinic whose positions were taken back.
var errRestored = &models.Error{Code: models.Expired, Message: "the database was restored: what was told may not have happened; begin anew"}

func within(ctx context.Context, clinic uuid.UUID) context.Context {
	return tenant.With(ctx, &tenant.Scope{Subject: "live", ClinicID: clinic, Role: models.RolePartner})
}

// latest is the position of the last change, 0 before the first.
func (f *feed) latest(ctx context.Context) (int64, error) {
	return database.Value[int64](within(ctx, f.clinic), f.hub.config.DB,
		"SELECT coalesce((SELECT last FROM counters WHERE clinic_id = $1 AND name = 'changes'), 0)", f.clinic)
}

// run reads what is new until its context ends.
func (f *feed) run(ctx context.Context) {
	first, err := f.latest(ctx)
	f.mu.Lock()
	f.last = first
	f.mu.Unlock()
	if err != nil {
		f.hub.forget(f)
		f.end(err)
		close(f.begun)
		return
	}
	close(f.begun)
	look := time.NewTicker(f.hub.config.Every)
	defer look.Stop()
	failing := false
	for {
		ringing := false
		select {
		case <-ctx.Done():
			f.end(errEnded)
			return
		case <-f.rung:
			ringing = true
		case <-look.C:
		}
		err := f.read(ctx, !ringing)
		if err != nil && !failing && ctx.Err() == nil {
			f.hub.config.Log.WarnContext(ctx, "changes cannot be read now; who follows them waits", slog.String("error", err.Error()))
		}
		failing = err != nil
		if errors.Is(err, errRestored) {
			return // its followers are told, and it is no longer found
		}
	}
}

// read takes all that is new. Where nobody rang it also looks whether positions were
// taken back.
func (f *feed) read(ctx context.Context, unasked bool) error {
	ctx, done := context.WithTimeout(ctx, longest)
	defer done()
	release, err := f.hub.turn(ctx)
	if err != nil {
		return err
	}
	defer release()
	for {
		rows, err := database.Rows[Change](within(ctx, f.clinic), f.hub.config.DB, selectChanges+" ORDER BY c.position LIMIT $3", f.clinic, f.last, page)
		if err != nil {
			return err
		}
		f.add(rows)
		if len(rows) < page {
			if unasked && len(rows) == 0 {
				return f.stands(ctx)
			}
			return nil
		}
	}
}

// stands ends the feed where positions that it has told were taken back.
func (f *feed) stands(ctx context.Context) error {
	now, err := f.latest(ctx)
	if err != nil || now >= f.last {
		return err
	}
	f.hub.forget(f)
	f.end(errRestored)
	return errRestored
}

// add takes changes that follow the last one.
func (f *feed) add(rows []*Change) {
	if len(rows) == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, row := range rows {
		if row.Position != f.last+1 {
			f.changes = nil // who is behind reads the table
		}
		f.changes = append(f.changes, *row)
		f.last = row.Position
	}
	if len(f.changes) > 2*kept {
		f.changes = append(make([]Change, 0, 2*kept+page), f.changes[len(f.changes)-kept:]...)
	}
	close(f.news)
	f.news = make(chan struct{})
}

func (f *feed) end(why error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended == nil {
		f.ended = why
		close(f.news)
	}
}

// ring has it look at once; it does not wait.
func (f *feed) ring() {
	select {
	case f.rung <- struct{}{}:
	default:
	}
}

// since gives what follows a position, as far as it is in memory; false if it is not.
// Where nothing follows yet, news is closed when something may.
func (f *feed) since(position int64) (more []Change, news <-chan struct{}, inMemory bool, last int64, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended != nil {
		return nil, nil, false, 0, f.ended
	}
	if position >= f.last {
		return nil, f.news, true, f.last, nil
	}
	first := f.last - int64(len(f.changes)) + 1
	if position+1 < first {
		return nil, nil, false, f.last, nil
	}
	return f.changes[position+1-first:], nil, true, f.last, nil
}
