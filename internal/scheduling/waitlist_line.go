package scheduling

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/taskmed/taskmed/internal/availability"
	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/internal/validate"
	"github.com/taskmed/taskmed/models"
)

// The bounds of one look at a clinic's line.
const (
	// mostSteps bounds what one call does; what is left is due at the next.
	mostSteps = 1000
	// mostServices, mostFree and mostTried bound the services that are waited for, the
	// free slots of each that are offered and who is found to have changed meanwhile, of
	// one time that is free.
	mostServices, mostFree, mostTried = 50, 100, 20
	// farthestOffer is how far the line looks from when a long time begins to be free.
	farthestOffer = 180 * 24 * time.Hour
	// shortestNotice is how long before it begins a slot is still offered.
	shortestNotice = time.Minute
)

// lineSubject is who holds what is offered.
const lineSubject = "waiting list"

// Attend does what is due in a clinic's waiting list: offers that have expired end,
// entries whose time is over end, and what is free is offered to the first in line whom
// it suits. Each step is one transaction, so that nothing is lost or done twice whoever
// else attends, and whenever one of them ends: what another one has in hand is passed
// over, and what was not finished is still there.
func (w *Waitlist) Attend(ctx context.Context, clinic uuid.UUID) error {
	scope := &tenant.Scope{Subject: lineSubject, ClinicID: clinic}
	ctx = tenant.With(ctx, scope)
	for range mostSteps {
		var done step
		err := w.diary.db.InTenant(ctx, func(tx *gorm.DB) (err error) {
			done, err = w.step(tx, scope)
			return err
		})
		if err == nil && done.did {
			if done.count != nil {
				done.count()
			}
			continue
		}
		if err == nil || done.at == uuid.Nil {
			return err
		}
		// Others must not wait for what fails: it comes again.
		postponed := w.postpone(ctx, scope, done.at)
		if _, taken := database.Violation(err); !taken || postponed != nil {
			return errors.Join(err, postponed)
		}
		// Somebody took the time past the locks, as an import might.
	}
	return nil
}

// postpone puts a note off for a moment.
func (w *Waitlist) postpone(ctx context.Context, scope *tenant.Scope, note uuid.UUID) error {
	return w.diary.db.InTenant(ctx, func(tx *gorm.DB) error {
		return tx.Exec("UPDATE waitlist_work SET due_at = clock_timestamp() + interval '1 second' WHERE clinic_id = $1 AND id = $2", scope.ClinicID, note).Error
	})
}

// step is one thing that was due.
type step struct {
	did bool
	// at is the note of the time that was looked at, if it was one.
	at uuid.UUID
	// count tells what came of it, once that is committed; nil where nobody counts it.
	count func()
}

// step does one thing that is due.
func (w *Waitlist) step(tx *gorm.DB, scope *tenant.Scope) (step, error) {
	if did, err := w.lapse(tx, scope); did || err != nil {
		return step{did: did, count: w.counted.Lapsed}, err
	}
	if did, err := w.expire(tx, scope); did || err != nil {
		return step{did: did}, err
	}
	return w.look(tx, scope)
}

// lapse ends an offer that has expired.
func (w *Waitlist) lapse(tx *gorm.DB, scope *tenant.Scope) (bool, error) {
	var entries []*models.WaitlistEntry
	err := tx.Raw(`SELECT e.id FROM waitlist_offers o JOIN waitlist_entries e ON e.clinic_id = o.clinic_id AND e.id = o.entry_id
		WHERE o.clinic_id = $1 AND o.outcome IS NULL AND o.expires_at <= clock_timestamp()
		ORDER BY o.expires_at, o.id LIMIT 1 FOR NO KEY UPDATE OF e SKIP LOCKED`, scope.ClinicID).Find(&entries).Error
	if err != nil || len(entries) == 0 {
		return false, err
	}
	return true, endOffer(tx, scope, entries[0].ID, "lapsed", nil)
}

// expire ends an entry whose time is over.
func (w *Waitlist) expire(tx *gorm.DB, scope *tenant.Scope) (bool, error) {
	var entries []*models.WaitlistEntry
	err := tx.Raw(`SELECT * FROM waitlist_entries WHERE clinic_id = $1 AND status = 'aguardando' AND range_to <= $2
		ORDER BY range_to LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED`, scope.ClinicID, w.diary.now()).Find(&entries).Error
	if err != nil || len(entries) == 0 {
		return false, err
	}
	if err := endOffer(tx, scope, entries[0].ID, "withdrawn", nil); err != nil {
		return false, err
	}
	return true, leaves(tx, entries[0], models.WaitlistEntryStatusExpired, nil)
}

// freed is a time that is to be looked through the line for.
type freed struct {
	ID uuid.UUID
	// PractitionerID is whose time it is; nil for everybody's.
	PractitionerID *uuid.UUID
	// StartsAt and EndsAt are nil for whatever is free.
	StartsAt, EndsAt *time.Time
	// DueAt is when it became free.
	DueAt time.Time
}

// look offers a slot of what is free to the first in line whom it suits. A time stays
// noted until a look finds nobody.
func (w *Waitlist) look(tx *gorm.DB, scope *tenant.Scope) (step, error) {
	var notes []*freed
	err := tx.Raw(`SELECT id, practitioner_id, starts_at, ends_at, due_at FROM waitlist_work WHERE clinic_id = $1 AND due_at <= clock_timestamp()
		ORDER BY due_at, id LIMIT 1 FOR UPDATE SKIP LOCKED`, scope.ClinicID).Find(&notes).Error
	if err != nil || len(notes) == 0 {
		return step{}, err
	}
	note := notes[0]
	done := step{did: true, at: note.ID}
	made := false
	if note.PractitionerID == nil {
		err = tx.Exec(`INSERT INTO waitlist_work (clinic_id, id, practitioner_id, starts_at, ends_at, due_at)
			SELECT $1, gen_random_uuid(), p.id, $2, $3, $4 FROM practitioners p WHERE p.clinic_id = $1 AND p.active`,
			scope.ClinicID, note.StartsAt, note.EndsAt, note.DueAt).Error
	} else {
		var offered time.Time
		offered, made, err = w.offer(tx, scope, note)
		if made {
			done.count = func() { w.counted.Offered(offered.Sub(note.DueAt)) }
		}
	}
	if err == nil && !made {
		err = tx.Exec("DELETE FROM waitlist_work WHERE clinic_id = $1 AND id = $2", scope.ClinicID, note.ID).Error
	}
	return done, err
}

// span is what of a noted time can be offered.
func (f *freed) span(now time.Time) (availability.Span, bool) {
	span := availability.Span{From: now.Add(shortestNotice), To: availability.Latest(now)}
	if f.StartsAt != nil && f.StartsAt.After(span.From) {
		span.From = *f.StartsAt
	}
	if f.EndsAt != nil && f.EndsAt.Before(span.To) {
		span.To = *f.EndsAt
	}
	if farthest := span.From.Add(farthestOffer); farthest.Before(span.To) {
		span.To = farthest
	}
	return span, span.From.Before(span.To)
}

// offer makes one offer of a time, and tells when; false where there is nobody whom it
// suits.
func (w *Waitlist) offer(tx *gorm.DB, scope *tenant.Scope, note *freed) (at time.Time, made bool, err error) {
	now := w.diary.now()
	span, some := note.span(now)
	if !some {
		return at, false, nil
	}
	// Locked first, as in every booking.
	var in validate.Input
	if err := w.diary.lockPractitioner(tx, &in, *note.PractitionerID); err != nil || in.Err() != nil {
		return at, false, err
	}
	free, err := w.free(tx, scope, *note.PractitionerID, span)
	if err != nil || len(free.starts) == 0 {
		return at, false, err
	}
	var passed []uuid.UUID
	for range mostTried {
		next, err := free.first(tx, scope, passed)
		if err != nil || next == nil {
			return at, false, err
		}
		at, made, err := w.hold(tx, scope, next, now)
		if err != nil || made {
			return at, made, err
		}
		passed = append(passed, next.entry)
	}
	return at, false, nil
}

// slots are the free ones of a practitioner, by the service that each is long enough
// for, in the order in which they are offered.
type slots struct {
	practitioner uuid.UUID
	services     []uuid.UUID
	starts, ends []time.Time
}

// free finds the slots that share time with a span and that somebody in line could want:
// of each service first those that lie within the span, so that what was freed is filled
// again as it was.
func (w *Waitlist) free(tx *gorm.DB, scope *tenant.Scope, practitioner uuid.UUID, span availability.Span) (*slots, error) {
	var wanted []struct {
		ID              uuid.UUID
		DurationMinutes int
	}
	err := tx.Raw(`SELECT s.id, s.duration_minutes FROM services s
		JOIN practitioner_services o ON o.clinic_id = s.clinic_id AND o.service_id = s.id AND o.practitioner_id = $2
		WHERE s.clinic_id = $1 AND s.active AND EXISTS (
			SELECT FROM waitlist_entries e WHERE e.clinic_id = s.clinic_id AND e.service_id = s.id AND e.status = 'aguardando'
			  AND e.offer_expires_at IS NULL AND (e.practitioner_id IS NULL OR e.practitioner_id = $2))
		ORDER BY s.id LIMIT $3`, scope.ClinicID, practitioner, mostServices).Find(&wanted).Error
	if err != nil {
		return nil, err
	}
	found := &slots{practitioner: practitioner}
	for _, service := range wanted {
		length := time.Duration(service.DurationMinutes) * time.Minute
		around := availability.Span{From: span.From.Add(-length), To: span.To.Add(length)}
		all, err := w.diary.In(tx).Free(tx.Statement.Context, practitioner, service.ID, around, mostFree)
		if err != nil {
			return nil, err
		}
		inside := func(slot *models.Slot) bool { return !slot.StartsAt.Before(span.From) && !slot.EndsAt.After(span.To) }
		slices.SortStableFunc(all, func(a, b *models.Slot) int {
			switch within, other := inside(a), inside(b); {
			case within == other:
				return 0
			case within:
				return -1
			default:
				return 1
			}
		})
		for _, slot := range all {
			if slot.StartsAt.Before(span.To) && slot.EndsAt.After(span.From) {
				found.services = append(found.services, service.ID)
				found.starts, found.ends = append(found.starts, slot.StartsAt), append(found.ends, slot.EndsAt)
			}
		}
	}
	return found, nil
}

// fitting is a slot for somebody in line.
type fitting struct {
	entry, contact, service uuid.UUID
	practitioner            uuid.UUID
	span                    availability.Span
}

// first finds the first in line whom one of the slots suits, but for those passed: who
// has no other offer, has not let a time go that shares any of it, and is with nobody
// else at that time.
func (s *slots) first(tx *gorm.DB, scope *tenant.Scope, passed []uuid.UUID) (*fitting, error) {
	if passed == nil {
		passed = []uuid.UUID{}
	}
	var found []struct {
		ID, ContactID, ServiceID uuid.UUID
		StartsAt, EndsAt         time.Time
	}
	err := tx.Raw(`SELECT e.id, e.contact_id, e.service_id, f.starts_at, f.ends_at
		FROM waitlist_entries e
		JOIN contacts c ON c.clinic_id = e.clinic_id AND c.id = e.contact_id AND c.status <> 'arquivado' AND c.deceased_on IS NULL
		JOIN unnest($3::uuid[], $4::timestamptz[], $5::timestamptz[]) WITH ORDINALITY AS f (service_id, starts_at, ends_at, place) ON f.service_id = e.service_id
		WHERE e.clinic_id = $1 AND e.status = 'aguardando' AND e.offer_expires_at IS NULL AND (e.practitioner_id IS NULL OR e.practitioner_id = $2)
		  AND (e.range_from IS NULL OR e.range_from <= f.starts_at) AND (e.range_to IS NULL OR e.range_to >= f.ends_at)
		  AND e.id <> ALL ($6::uuid[])
		  AND NOT EXISTS (SELECT FROM waitlist_offers o WHERE o.clinic_id = e.clinic_id AND o.entry_id = e.id AND o.practitioner_id = $2
		    AND o.starts_at < f.ends_at AND o.ends_at > f.starts_at)
		  AND NOT EXISTS (SELECT FROM appointments a WHERE a.clinic_id = e.clinic_id AND a.contact_id = e.contact_id AND a.status NOT IN ('cancelado', 'faltou')
		    AND a.starts_at > f.starts_at - interval '24 hours' AND a.starts_at < f.ends_at AND a.ends_at > f.starts_at)
		ORDER BY e.created_at, e.id, f.place LIMIT 1`,
		scope.ClinicID, s.practitioner, s.services, s.starts, s.ends, passed).Find(&found).Error
	if err != nil || len(found) == 0 {
		return nil, err
	}
	one := found[0]
	return &fitting{one.ID, one.ContactID, one.ServiceID, s.practitioner, availability.Span{From: one.StartsAt, To: one.EndsAt}}, nil
}

// hold offers a slot to an entry and holds it, and tells when; false if one of the two has
// changed meanwhile.
func (w *Waitlist) hold(tx *gorm.DB, scope *tenant.Scope, next *fitting, now time.Time) (at time.Time, made bool, err error) {
	var in validate.Input
	if err := w.diary.lockContact(tx, &in, next.contact); err != nil || in.Err() != nil {
		return at, false, err
	}
	entry, err := lockEntry(tx, next.entry)
	if err != nil {
		return at, false, err
	}
	asked := &proposal{practitioner: next.practitioner, contact: next.contact, service: next.service, span: next.span, entry: next.entry, strict: true}
	if entry.Status != models.WaitlistEntryStatusWaiting || entry.OfferExpiresAt != nil {
		return at, false, nil
	}
	if _, err := w.diary.checkFree(tx, &in, scope, asked); err != nil || in.Err() != nil {
		return at, false, err
	}
	held, err := insertHold(tx, scope, asked, min(w.offered, next.span.From.Sub(now)))
	if err != nil {
		return at, false, err
	}
	var offered struct{ OfferedAt time.Time }
	err = tx.Raw(`INSERT INTO waitlist_offers (clinic_id, id, entry_id, practitioner_id, starts_at, ends_at, offered_at, expires_at)
		SELECT clinic_id, id, waitlist_entry_id, practitioner_id, starts_at, ends_at, created_at, expires_at FROM slot_holds WHERE clinic_id = $1 AND id = $2
		RETURNING offered_at`, scope.ClinicID, held.ID).Take(&offered).Error
	if err != nil {
		return at, false, err
	}
	return offered.OfferedAt, true, tx.Model(entry).Updates(map[string]any{
		"offered_practitioner_id": held.PractitionerID, "offered_starts_at": held.StartsAt, "offered_ends_at": held.EndsAt, "offer_expires_at": held.ExpiresAt,
	}).Error
}
