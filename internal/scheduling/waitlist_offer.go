package scheduling

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/taskmed/taskmed/internal/availability"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/internal/validate"
	"github.com/taskmed/taskmed/models"
)

// usualOffer is for how long an offer holds its slot, unless that begins before.
const usualOffer = 15 * time.Minute

// The inputs' fields that tell of a right.
const (
	fieldAnyHours = "allowOutsideHours"
	fieldOverbook = "overbook"
)

// Accept books what is offered to an entry. Refusals are those of Schedule, told at the
// entry's id, where nothing else is to be mended.
func (w *Waitlist) Accept(ctx context.Context, input models.WaitlistOfferInput) (*models.Appointment, []*models.Slot, error) {
	scope, err := tenant.From(ctx)
	if err != nil {
		return nil, nil, err
	}
	var in validate.Input
	id := in.ID(fieldID, models.KindWaitlistEntry, input.ID)
	if err := in.Err(); err != nil {
		return nil, nil, err
	}
	var booked *models.Appointment
	asked := &proposal{}
	const attempts = 3
	for range attempts {
		err = w.diary.db.InTenant(ctx, func(tx *gorm.DB) (err error) {
			booked, err = w.accept(tx, scope, id, input, asked)
			return err
		})
		if !errors.Is(err, errMoved) {
			break
		}
	}
	if errors.Is(err, errMoved) {
		return nil, nil, models.Refuse(models.UserErrorCodeStale, fieldID, "somebody else is at this entry right now: read it again and decide anew", input.ID)
	}
	if err == nil {
		w.diary.db.Committed(ctx, w.counted.Accepted)
	}
	booked, instead, err := w.diary.outcome(ctx, booked, asked, w.diary.explain(ctx, err, asked))
	return booked, instead, atEntry(err)
}

// atEntry tells a booking's mistakes at the entry's id, but for those of the input's own
// fields.
func atEntry(err error) error {
	var mistakes models.Invalid
	if !errors.As(err, &mistakes) {
		return err
	}
	for _, mistake := range mistakes {
		if len(mistake.Field) == 1 && mistake.Field[0] != fieldAnyHours && mistake.Field[0] != fieldOverbook {
			mistake.Field = []string{fieldID}
		}
	}
	return mistakes
}

// accept locks in the order of every booking: the practitioner, the contact, and then
// what is theirs.
func (w *Waitlist) accept(tx *gorm.DB, scope *tenant.Scope, id uuid.UUID, input models.WaitlistOfferInput, asked *proposal) (*models.Appointment, error) {
	entry, err := findEntry(tx, id)
	if err != nil {
		return nil, err
	}
	if err := stands(tx, entry); err != nil {
		return nil, err
	}
	r := &scheduleRequest{hasEnd: true}
	r.entry, r.contact, r.service, r.practitioner = entry.ID, entry.ContactID, entry.ServiceID, *entry.OfferedPractitionerID
	r.span = availability.Span{From: *entry.OfferedStartsAt, To: *entry.OfferedEndsAt}
	r.anyHours = privilege(&r.in, scope.Role, fieldAnyHours, input.AllowOutsideHours)
	r.overbook = privilege(&r.in, scope.Role, fieldOverbook, input.Overbook)
	r.hold, err = offerOf(tx, entry.ID)
	if err != nil {
		return nil, err
	}
	*asked = r.proposal
	booked, err := w.diary.schedule(tx, scope, r)
	if err != nil {
		return nil, err
	}
	// The entry's row was locked as its hold was redeemed.
	err = tx.Exec("UPDATE waitlist_offers SET outcome = 'accepted', ended_at = clock_timestamp(), actor = $3, appointment_id = $4 WHERE clinic_id = $1 AND id = $2",
		scope.ClinicID, r.hold, scope.Subject, booked.ID).Error
	if err != nil {
		return nil, err
	}
	return booked, tx.Model(entry).Updates(map[string]any{
		"status": models.WaitlistEntryStatusBooked, "appointment_id": booked.ID, "ended_by": scope.Subject, "ended_at": gorm.Expr("clock_timestamp()"),
		"offered_practitioner_id": nil, "offered_starts_at": nil, "offered_ends_at": nil, "offer_expires_at": nil,
	}).Error
}

// offerOf is the offer that an entry has, whose id is its hold's.
func offerOf(tx *gorm.DB, entry uuid.UUID) (uuid.UUID, error) {
	var offers []struct{ ID uuid.UUID }
	err := tx.Raw("SELECT id FROM waitlist_offers WHERE clinic_id = app_clinic() AND entry_id = $1 AND outcome IS NULL", entry).Find(&offers).Error
	if err != nil {
		return uuid.Nil, err
	}
	if len(offers) == 0 {
		return uuid.Nil, errMoved
	}
	return offers[0].ID, nil
}

// lockOffered locks the entry whose offer is redeemed; the practitioner and the contact
// are. Where it has another one by now, or none, it has moved.
func (p *proposal) lockOffered(tx *gorm.DB) error {
	if p.entry == uuid.Nil {
		return nil
	}
	if _, err := lockEntry(tx, p.entry); err != nil {
		return err
	}
	standing, err := offerOf(tx, p.entry)
	if err == nil && standing != p.hold {
		return errMoved
	}
	return err
}

// stands refuses an entry to which nothing is offered, by the database's clock.
func stands(tx *gorm.DB, entry *models.WaitlistEntry) error {
	if entry.Status != models.WaitlistEntryStatusWaiting {
		return refuseEntry(entry, "this contact waits no more: the entry is "+entry.Status.String())
	}
	if entry.OfferExpiresAt == nil {
		return refuseEntry(entry, "nothing is offered at present")
	}
	var offer struct{ Live bool }
	err := tx.Raw("SELECT $1::timestamptz > clock_timestamp() AS live", *entry.OfferExpiresAt).Find(&offer).Error
	if err == nil && !offer.Live {
		return models.Refuse(models.UserErrorCodeExpired, fieldID, "the slot was offered until "+entry.OfferExpiresAt.UTC().Format(time.RFC3339), entry.GetID())
	}
	return err
}

// endOffer ends the offer of a locked entry, if it has one, and gives its slot free; by
// is nil where nobody did. "lapsed" ends it only if it has expired.
func endOffer(tx *gorm.DB, scope *tenant.Scope, entry uuid.UUID, how string, by *string) error {
	return tx.Exec("SELECT waitlist_end_offer($1, $2, $3, $4)", scope.ClinicID, entry, how, by).Error
}
