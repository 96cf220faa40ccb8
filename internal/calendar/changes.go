package calendar

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/internal/touched"
	"github.com/taskmed/taskmed/models"
)

const (
	// changesPage and mostChanges are how many appointments one answer has, unless
	// told otherwise and at most.
	changesPage = 100
	mostChanges = 100
	// tokenLife is for how long a token is good.
	tokenLife = 30 * 24 * time.Hour
)

// position is where a client stands that synchronises. Sealed it is the client's token.
type position struct {
	// database names the history that snapshots are of: the cluster, the database in
	// it and the timeline.
	database string
	// at is when base was taken.
	at time.Time
	// base is what the client has, but for what it has not read yet: with walked, the
	// appointments whose ids come after; with target, the changes from base to target
	// that come after seen.
	base   snapshot
	walked *uuid.UUID
	target *snapshot
	seen   change
}

// change is an entry of appointment_changes.
type change struct {
	Transaction    uint64
	AppointmentID  uuid.UUID
	PractitionerID uuid.UUID
}

// Changes are what changed of the clinic's appointments, or of a practitioner's, since
// a token was given, and with none all that there are. It misses nothing, whatever is
// written meanwhile and in whichever order it is committed: docs/decisions/0015 says
// why. Errors are BAD_USER_INPUT for what is no token, and EXPIRED for one that is no
// longer good.
func (c *Calendar) Changes(ctx context.Context, practitioner *uuid.UUID, token *string, first *int) (*models.CalendarChanges, error) {
	scope, err := tenant.From(ctx)
	if err != nil {
		return nil, err
	}
	limit := changesPage
	if first != nil {
		limit = *first
	}
	if limit < 1 || limit > mostChanges {
		return nil, models.BadInput("first must be between 1 and %d", mostChanges)
	}
	// Tags are raised when something is written; a token is another at each reading.
	touched.Poison(ctx, "is read by a token")
	list := "calendarChanges"
	if practitioner != nil {
		list += "/" + practitioner.String()
	}
	var from *position
	if token != nil {
		if from, err = c.open(scope.ClinicID, list, *token); err != nil {
			return nil, err
		}
	}
	// The snapshot is taken before anything is read: what is read sees as much, or more.
	here, err := c.here(ctx)
	if err != nil {
		return nil, err
	}
	if from == nil {
		from = here
		from.walked = &uuid.Nil
	} else if err := from.stillGood(here); err != nil {
		return nil, err
	}
	var answer *models.CalendarChanges
	if from.walked != nil {
		answer, err = c.walk(ctx, scope.ClinicID, practitioner, from, limit)
	} else {
		if from.target == nil {
			from.target = &here.base
		}
		answer, err = c.follow(ctx, scope.ClinicID, practitioner, from, here.at, limit)
	}
	if err != nil {
		return nil, err
	}
	answer.SyncToken = c.tokens.Encode(scope.ClinicID, list, from.parts())
	return answer, nil
}

// here is a position that has everything that is committed now.
func (c *Calendar) here(ctx context.Context) (*position, error) {
	// Of a server that was restored or promoted, transactions have other numbers: its
	// timeline is another one.
	text, err := database.Value[string](ctx, c.db, `
		SELECT (SELECT system_identifier FROM pg_control_system()) || '/' || (SELECT oid FROM pg_database WHERE datname = current_database())
			|| '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8) || ' ' || pg_current_snapshot()`)
	if err != nil {
		return nil, err
	}
	name, taken, _ := strings.Cut(text, " ")
	base, err := parseSnapshot(taken)
	if err != nil {
		return nil, err
	}
	return &position{database: name, at: c.now(), base: c.taken(base)}, nil
}

// stillGood refuses a position that is too old, or of another history.
func (p *position) stillGood(here *position) error {
	// A snapshot of what has not been yet is of rows that were taken back.
	if p.database == here.database && here.at.Sub(p.at) <= tokenLife && p.base.xmax <= here.base.xmax {
		return nil
	}
	return &models.Error{Code: models.Expired, Message: "this syncToken is no longer good: leave it out, and begin anew with all appointments"}
}

// walk gives the next of all appointments by their ids.
func (c *Calendar) walk(ctx context.Context, clinic uuid.UUID, practitioner *uuid.UUID, p *position, limit int) (*models.CalendarChanges, error) {
	all, err := database.Rows[models.Appointment](ctx, c.db, `SELECT `+c.columns()+` FROM appointments
		WHERE clinic_id = $1 AND ($2::uuid IS NULL OR practitioner_id = $2) AND id > $3 ORDER BY id LIMIT $4`,
		clinic, practitioner, *p.walked, limit+1)
	if err != nil {
		return nil, err
	}
	answer := &models.CalendarChanges{Changed: all, RemovedIds: []string{}}
	if answer.HasMore = len(all) > limit; answer.HasMore {
		answer.Changed = all[:limit]
		p.walked = &all[limit-1].ID
	} else {
		p.walked = nil // what changed since it began comes with the changes
	}
	return answer, nil
}

// logged is a row of appointment_changes.
type logged struct {
	Transaction    string
	AppointmentID  uuid.UUID
	PractitionerID uuid.UUID
}

// follow gives the next changes that the target sees and the base does not. What is
// changed again meanwhile is given as it is now, and once more with the changes after
// the target.
func (c *Calendar) follow(ctx context.Context, clinic uuid.UUID, practitioner *uuid.UUID, p *position, now time.Time, limit int) (*models.CalendarChanges, error) {
	log, err := database.Rows[logged](ctx, c.db, `
		SELECT transaction_id::text AS transaction, appointment_id, practitioner_id FROM appointment_changes
		WHERE clinic_id = $1 AND ($2::uuid IS NULL OR practitioner_id = $2)
		  AND (transaction_id, appointment_id, practitioner_id) > ($3::text::xid8, $4, $5) AND transaction_id < $6::text::xid8
		  AND NOT pg_visible_in_snapshot(transaction_id, $7::text::pg_snapshot) AND pg_visible_in_snapshot(transaction_id, $8::text::pg_snapshot)
		ORDER BY transaction_id, appointment_id, practitioner_id LIMIT $9`,
		clinic, practitioner, strconv.FormatUint(max(p.seen.Transaction, p.base.xmin-min(p.base.xmin, 1)), 10), p.seen.AppointmentID, p.seen.PractitionerID,
		strconv.FormatUint(p.target.xmax, 10), p.base.text, p.target.text, limit+1)
	if err != nil {
		return nil, err
	}
	more := len(log) > limit
	log = log[:min(len(log), limit)]
	var ids []uuid.UUID
	known := map[uuid.UUID]bool{}
	for _, entry := range log {
		if !known[entry.AppointmentID] {
			known[entry.AppointmentID] = true
			ids = append(ids, entry.AppointmentID)
		}
	}
	answer := &models.CalendarChanges{Changed: []*models.Appointment{}, RemovedIds: []string{}, HasMore: more}
	if len(ids) > 0 {
		answer.Changed, err = database.Rows[models.Appointment](ctx, c.db, `SELECT `+c.columns()+` FROM appointments
			WHERE clinic_id = $1 AND id = ANY($3) AND ($2::uuid IS NULL OR practitioner_id = $2) ORDER BY id`, clinic, practitioner, ids)
		if err != nil {
			return nil, err
		}
	}
	for _, there := range answer.Changed {
		delete(known, there.ID)
	}
	for _, id := range ids {
		if known[id] {
			answer.RemovedIds = append(answer.RemovedIds, models.KindAppointment.Global(id))
		}
	}
	if more {
		last := log[len(log)-1]
		transaction, err := strconv.ParseUint(last.Transaction, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("a change's transaction: %w", err)
		}
		p.seen = change{transaction, last.AppointmentID, last.PractitionerID}
		return answer, nil
	}
	p.base, p.target, p.seen, p.at = *p.target, nil, change{}, now
	return answer, nil
}

// columns are those of an appointment, all of them.
func (c *Calendar) columns() string {
	for _, noun := range c.entities.Nouns() {
		if noun.Kind == models.KindAppointment {
			return strings.Join(noun.Columns, ", ")
		}
	}
	return "*" // there is no such noun: the statement fails
}
