package scheduling

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/taskmed/taskmed/internal/availability"
	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/entity"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/internal/validate"
	"github.com/taskmed/taskmed/models"
)

const (
	// mostWaiting bounds who is in line in a clinic, mostWaitingFor how often one is.
	mostWaiting    = 5000
	mostWaitingFor = 10
	fieldRange     = "range"
)

// constraintSameEntry refuses whoever waits for the same already.
const constraintSameEntry = "idx_waitlist_same"

// WaitlistEntry is who waits for a time to become free, as it is read.
func WaitlistEntry() entity.Declaration {
	offer := []string{"offered_practitioner_id", "offered_starts_at", "offered_ends_at", "offer_expires_at"}
	return entity.Noun[models.WaitlistEntry]{
		Kind: models.KindWaitlistEntry,
		Age:  func(now time.Time, row *models.WaitlistEntry) time.Time { return row.AgeAt(now) },
		Columns: map[string][]string{
			"range": {"range_from", "range_to"}, "status": {"status", "offer_expires_at"}, "offeredSlot": offer,
		},
		One: map[string]entity.One{
			"contact":      {Kind: models.KindContact, Column: "contact_id"},
			"practitioner": {Kind: models.KindPractitioner, Column: "practitioner_id"},
			"service":      {Kind: models.KindService, Column: "service_id"},
			"appointment":  {Kind: models.KindAppointment, Column: "appointment_id"},
		},
		Lists: []entity.List{{Field: "Query.waitlist", Order: "created_at", Filter: waitlistFilter, Where: "status = 'aguardando'"}},
	}
}

func waitlistFilter(q *entity.Query, args entity.Args) error {
	if err := q.PointsAt("service_id", fieldServiceID, models.KindService, entity.Arg[*string](args, fieldServiceID)); err != nil {
		return err
	}
	return q.PointsAt("practitioner_id", fieldPractitionerID, models.KindPractitioner, entity.Arg[*string](args, fieldPractitionerID))
}

// Waitlist is who waits for times of the context's clinic to become free, and what is
// offered to them. It may be used by many goroutines at once.
type Waitlist struct {
	diary *Diary
	// offered is for how long an offer holds its slot.
	offered time.Duration
	counted Counted
}

// NewWaitlist makes the waiting list of a diary.
func NewWaitlist(diary *Diary, counted Counted) *Waitlist {
	return &Waitlist{diary, usualOffer, counted}
}

// Join puts a contact in line. Mistakes come back as models.Invalid.
func (w *Waitlist) Join(ctx context.Context, input models.JoinWaitlistInput) (*models.WaitlistEntry, error) {
	scope, err := tenant.From(ctx)
	if err != nil {
		return nil, err
	}
	var entry *models.WaitlistEntry
	err = w.diary.db.InTenant(ctx, func(tx *gorm.DB) (err error) {
		entry, err = w.join(tx, scope, input)
		return err
	})
	if err != nil {
		return nil, w.sameEntry(ctx, scope, entry, err)
	}
	return entry, nil
}

func (w *Waitlist) join(tx *gorm.DB, scope *tenant.Scope, input models.JoinWaitlistInput) (*models.WaitlistEntry, error) {
	var in validate.Input
	entry := &models.WaitlistEntry{ID: models.NewID(), Status: models.WaitlistEntryStatusWaiting, JoinedBy: scope.Subject}
	entry.ContactID = in.ID(fieldContactID, models.KindContact, input.ContactID)
	entry.ServiceID = in.ID(fieldServiceID, models.KindService, input.ServiceID)
	if input.PractitionerID != nil {
		id := in.ID(fieldPractitionerID, models.KindPractitioner, *input.PractitionerID)
		entry.PractitionerID = &id
	}
	if input.Range != nil {
		entry.RangeFrom, entry.RangeTo = input.Range.From, input.Range.To
		checkRange(&in, *input.Range, w.diary.now())
	}
	if in.Err() == nil {
		if err := w.suits(tx, &in, scope, entry); err != nil {
			return nil, err
		}
	}
	if err := in.Err(); err != nil {
		return nil, inOrderOf(err, fieldContactID, fieldServiceID, fieldPractitionerID, fieldRange)
	}
	return entry, tx.Clauses(clause.Returning{}).Create(entry).Error
}

func checkRange(in *validate.Input, within models.DateTimeRange, now time.Time) {
	switch from, to := within.From, within.To; {
	case from != nil && to != nil && !from.Before(*to):
		in.AddAt(models.UserErrorCodeInvalid, []string{fieldRange, "to"}, "the range ends before it begins")
	case to != nil && !to.After(now):
		in.AddAt(models.UserErrorCodeInvalid, []string{fieldRange, "to"}, "this time is past")
	case from != nil && from.After(availability.Latest(now)):
		in.AddAt(models.UserErrorCodeInvalid, []string{fieldRange, "from"}, "this is more than two years ahead")
	case to != nil && to.After(availability.Latest(now)):
		in.AddAt(models.UserErrorCodeInvalid, []string{fieldRange, "to"}, "this is more than two years ahead")
	}
}

// suits looks whether what an entry names is there, and whether there is room for it.
// The contact is locked: they are not put away meanwhile, and do not join elsewhere.
func (w *Waitlist) suits(tx *gorm.DB, in *validate.Input, scope *tenant.Scope, entry *models.WaitlistEntry) error {
	if err := w.diary.lockContact(tx, in, entry.ContactID); err != nil {
		return err
	}
	known, err := factsOf(tx, scope.ClinicID, entry.ServiceID, nil)
	if err != nil {
		return err
	}
	offered := checkService(in, entry.ServiceID, known)
	if entry.PractitionerID != nil {
		if err := offersIt(tx, in, scope, *entry.PractitionerID, entry.ServiceID, offered); err != nil {
			return err
		}
	}
	if in.Err() == nil {
		return roomFor(tx, in, scope, entry)
	}
	return nil
}

// roomFor refuses who has died, and whoever finds the line full.
func roomFor(tx *gorm.DB, in *validate.Input, scope *tenant.Scope, entry *models.WaitlistEntry) error {
	// One after the other: the last two may not both find room for one.
	if err := tx.Exec("SELECT pg_advisory_xact_lock(hashtextextended('taskmed waitlist ' || app_clinic()::text, 0))").Error; err != nil {
		return err
	}
	var count struct {
		Died        bool
		All, Theirs int
	}
	err := tx.Raw(`SELECT (SELECT deceased_on IS NOT NULL FROM contacts WHERE clinic_id = $1 AND id = $2) AS died,
		(SELECT count(*) FROM waitlist_entries WHERE clinic_id = $1 AND status = 'aguardando') AS "all",
		(SELECT count(*) FROM waitlist_entries WHERE clinic_id = $1 AND status = 'aguardando' AND contact_id = $2) AS theirs`,
		scope.ClinicID, entry.ContactID).Find(&count).Error
	switch {
	case err != nil:
		return err
	case count.Died:
		in.Add(models.UserErrorCodeConflict, fieldContactID, "this contact has died", models.KindContact.Global(entry.ContactID))
	case count.Theirs >= mostWaitingFor:
		in.Add(models.UserErrorCodeLimit, fieldContactID, fmt.Sprintf("this contact waits for %d things already, which is the most", mostWaitingFor))
	case count.All >= mostWaiting:
		in.Add(models.UserErrorCodeLimit, "", fmt.Sprintf("%d wait already, which is the most: take off those who need nothing any more", mostWaiting))
	}
	return nil
}

// offersIt refuses a practitioner that there is not, who takes no appointments, or who
// does not offer the service; offered is whether anybody does.
func offersIt(tx *gorm.DB, in *validate.Input, scope *tenant.Scope, practitioner, service uuid.UUID, offered bool) error {
	var found []struct{ Active, Offers bool }
	err := tx.Raw(`SELECT active, EXISTS (SELECT FROM practitioner_services o WHERE o.clinic_id = $1 AND o.practitioner_id = $2 AND o.service_id = $3) AS offers
		FROM practitioners WHERE clinic_id = $1 AND id = $2`, scope.ClinicID, practitioner, service).Find(&found).Error
	switch {
	case err != nil:
		return err
	case len(found) == 0:
		in.Add(models.UserErrorCodeNotFound, fieldPractitionerID, "this clinic has no such practitioner")
	case !found[0].Active:
		in.Add(models.UserErrorCodeConflict, fieldPractitionerID, "this practitioner takes no appointments at present", models.KindPractitioner.Global(practitioner))
	case offered && !found[0].Offers:
		in.Add(models.UserErrorCodeConflict, fieldServiceID, "this practitioner does not offer this service", models.KindPractitioner.Global(practitioner))
	}
	return nil
}

// sameEntry says which entry refuses another one like it.
func (w *Waitlist) sameEntry(ctx context.Context, scope *tenant.Scope, entry *models.WaitlistEntry, refused error) error {
	if constraint, violated := database.Violation(refused); !violated || constraint != constraintSameEntry {
		return refused
	}
	ids, err := database.Rows[models.WaitlistEntry](ctx, w.diary.db, `SELECT id FROM waitlist_entries
		WHERE clinic_id = $1 AND contact_id = $2 AND service_id = $3 AND practitioner_id IS NOT DISTINCT FROM $4
		  AND range_from IS NOT DISTINCT FROM $5 AND range_to IS NOT DISTINCT FROM $6 AND status = 'aguardando'`,
		scope.ClinicID, entry.ContactID, entry.ServiceID, entry.PractitionerID, entry.RangeFrom, entry.RangeTo)
	if err != nil {
		return errors.Join(refused, err)
	}
	var same []string
	for _, one := range ids {
		same = append(same, one.GetID())
	}
	return models.Refuse(models.UserErrorCodeTaken, fieldContactID, "this contact waits for the same already", same...)
}

// Leave takes a contact off the list; what was offered goes to the next in line.
// Mistakes come back as models.Invalid.
func (w *Waitlist) Leave(ctx context.Context, input models.LeaveWaitlistInput) (*models.WaitlistEntry, error) {
	return w.end(ctx, input.ID, func(tx *gorm.DB, scope *tenant.Scope, entry *models.WaitlistEntry) error {
		if entry.Status != models.WaitlistEntryStatusWaiting {
			return refuseEntry(entry, "this contact waits no more: the entry is "+entry.Status.String())
		}
		if err := endOffer(tx, scope, entry.ID, "withdrawn", &scope.Subject); err != nil {
			return err
		}
		return leaves(tx, entry, models.WaitlistEntryStatusLeft, &scope.Subject)
	})
}

// Decline gives what is offered to the next in line. Mistakes come back as
// models.Invalid.
func (w *Waitlist) Decline(ctx context.Context, input models.WaitlistOfferInput) (*models.WaitlistEntry, error) {
	entry, err := w.end(ctx, input.ID, func(tx *gorm.DB, scope *tenant.Scope, entry *models.WaitlistEntry) error {
		if err := stands(tx, entry); err != nil {
			return err
		}
		return endOffer(tx, scope, entry.ID, "declined", &scope.Subject)
	})
	if err == nil {
		w.diary.db.Committed(ctx, w.counted.Declined)
	}
	return entry, err
}

// end changes a locked entry, and gives it as it is then.
func (w *Waitlist) end(ctx context.Context, global string, change func(*gorm.DB, *tenant.Scope, *models.WaitlistEntry) error) (*models.WaitlistEntry, error) {
	scope, err := tenant.From(ctx)
	if err != nil {
		return nil, err
	}
	var in validate.Input
	id := in.ID(fieldID, models.KindWaitlistEntry, global)
	if err := in.Err(); err != nil {
		return nil, err
	}
	var entry *models.WaitlistEntry
	err = w.diary.db.InTenant(ctx, func(tx *gorm.DB) error {
		locked, err := lockEntry(tx, id)
		if err != nil {
			return err
		}
		if err := change(tx, scope, locked); err != nil {
			return err
		}
		entry, err = findEntry(tx, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	return entry, nil
}

func findEntry(tx *gorm.DB, id uuid.UUID) (*models.WaitlistEntry, error) {
	entry := &models.WaitlistEntry{}
	err := tx.Where("id = ?", id).Take(entry).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return nil, models.Refuse(models.UserErrorCodeNotFound, fieldID, "this clinic has no such entry on its waiting list")
	}
	return entry, err
}

func lockEntry(tx *gorm.DB, id uuid.UUID) (*models.WaitlistEntry, error) {
	return findEntry(tx.Clauses(clause.Locking{Strength: "NO KEY UPDATE"}), id)
}

func refuseEntry(entry *models.WaitlistEntry, why string) error {
	return models.Refuse(models.UserErrorCodeConflict, fieldID, why, entry.GetID())
}

// leaves writes down that a locked entry, to which nothing is offered, has ended; by is
// nil where it ended by itself.
func leaves(tx *gorm.DB, entry *models.WaitlistEntry, as models.WaitlistEntryStatus, by *string) error {
	return tx.Model(entry).Updates(map[string]any{"status": as, "ended_by": by, "ended_at": gorm.Expr("clock_timestamp()")}).Error
}
