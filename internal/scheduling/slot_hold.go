package scheduling

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/taskmed/taskmed/internal/availability"
	"github.com/taskmed/taskmed/internal/entity"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/internal/validate"
	"github.com/taskmed/taskmed/models"
)

const (
	usualHold   = 5 * time.Minute
	longestHold = time.Hour
	// mostHolds bounds what one subject holds at a time, or a diary could be closed by
	// holds alone.
	mostHolds = 20
)

const fieldHoldID = "holdId"

// The constraints that refuse a hold which the checks before it let through.
const (
	constraintDoubleHold = "slot_holds_no_double_hold"
	constraintHeldTaken  = "slot_holds_respect_appointments"
)

// SlotHold keeps a practitioner's time while a booking is being made, as it is read.
func SlotHold() entity.Declaration {
	return entity.Noun[models.SlotHold]{
		Kind: models.KindSlotHold,
		One:  map[string]entity.One{"practitioner": {Kind: models.KindPractitioner, Column: "practitioner_id"}},
	}
}

// Hold keeps a free time for the context's subject. It is refused like a booking, and
// then free slots near to it come with the refusal.
func (d *Diary) Hold(ctx context.Context, input models.HoldSlotInput) (*models.SlotHold, []*models.Slot, error) {
	scope, err := tenant.From(ctx)
	if err != nil {
		return nil, nil, err
	}
	var held *models.SlotHold
	asked := &proposal{strict: true}
	err = d.db.InTenant(ctx, func(tx *gorm.DB) (err error) {
		held, err = d.hold(tx, scope, input, asked)
		return err
	})
	if err = d.explain(ctx, err, asked); err == nil {
		return held, []*models.Slot{}, nil
	}
	_, instead, err := d.outcome(ctx, nil, asked, err)
	return nil, instead, err
}

func (d *Diary) hold(tx *gorm.DB, scope *tenant.Scope, input models.HoldSlotInput, asked *proposal) (*models.SlotHold, error) {
	var in validate.Input
	asked.practitioner = in.ID(fieldPractitionerID, models.KindPractitioner, input.PractitionerID)
	asked.span = availability.Span{From: input.StartsAt, To: input.EndsAt}
	lasts := usualHold
	if input.TTLSeconds != nil {
		lasts = time.Duration(*input.TTLSeconds) * time.Second
	}
	if lasts < time.Second || lasts > longestHold {
		in.Add(models.UserErrorCodeInvalid, "ttlSeconds", "a hold lasts 1 to 3600 seconds")
	}
	if asked.practitioner != uuid.Nil {
		if err := d.lockPractitioner(tx, &in, asked.practitioner); err != nil {
			return nil, err
		}
	}
	zone, err := d.zoneOf(tx, scope)
	if err != nil {
		return nil, err
	}
	checkStart(&in, scope.Role, input.StartsAt, d.now(), zone)
	checkEnd(&in, input.StartsAt, input.EndsAt, zone)
	if in.Err() == nil {
		if err := mayHoldMore(tx, &in, scope); err != nil {
			return nil, err
		}
	}
	if in.Err() == nil {
		if _, err := d.checkFree(tx, &in, scope, asked); err != nil {
			return nil, err
		}
	}
	if err := in.Err(); err != nil {
		return nil, inOrderOf(err, fieldPractitionerID, fieldStartsAt, fieldEndsAt, "ttlSeconds")
	}
	return insertHold(tx, scope, asked, lasts)
}

// insertHold writes a hold, the subject's or that of the entry to which the time is
// offered, which expires by the database's clock.
func insertHold(tx *gorm.DB, scope *tenant.Scope, asked *proposal, lasts time.Duration) (*models.SlotHold, error) {
	held := &models.SlotHold{}
	var entry *uuid.UUID
	if asked.entry != uuid.Nil {
		entry = &asked.entry
	}
	err := tx.Raw(`INSERT INTO slot_holds (clinic_id, id, practitioner_id, subject, waitlist_entry_id, starts_at, ends_at, created_at, expires_at)
		SELECT $1, $2, $3, $4, $5, $6, $7, at, at + make_interval(secs => $8) FROM clock_timestamp() AS at
		RETURNING clinic_id, id, practitioner_id, subject, waitlist_entry_id, starts_at, ends_at, expires_at`,
		scope.ClinicID, models.NewID(), asked.practitioner, scope.Subject, entry, asked.span.From, asked.span.To, lasts.Seconds()).Take(held).Error
	return held, err
}

// mayHoldMore refuses whoever holds as much as one may.
func mayHoldMore(tx *gorm.DB, in *validate.Input, scope *tenant.Scope) error {
	var live int64
	err := tx.Model(&models.SlotHold{}).Where("subject = ? AND waitlist_entry_id IS NULL AND expires_at > clock_timestamp()", scope.Subject).Count(&live).Error
	if err == nil && live >= mostHolds {
		in.Add(models.UserErrorCodeLimit, fieldStartsAt, fmt.Sprintf("you hold %d slots already: book or release them first", live))
	}
	return err
}

// Release gives a held time free. Mistakes come back as models.Invalid.
func (d *Diary) Release(ctx context.Context, input models.ReleaseSlotInput) (*models.SlotHold, error) {
	scope, err := tenant.From(ctx)
	if err != nil {
		return nil, err
	}
	var in validate.Input
	id := in.ID(fieldID, models.KindSlotHold, input.ID)
	if err := in.Err(); err != nil {
		return nil, err
	}
	var held *models.SlotHold
	err = d.db.InTenant(ctx, func(tx *gorm.DB) (err error) {
		if held, err = findHold(tx, fieldID, id); err != nil {
			return err
		}
		if held.WaitlistEntryID != nil {
			return models.Refuse(models.UserErrorCodeConflict, fieldID, "this slot is offered to somebody on the waiting list: have them decline it",
				models.KindWaitlistEntry.Global(*held.WaitlistEntryID))
		}
		if held.Subject != scope.Subject && scope.Role != models.RoleOwner && scope.Role != models.RoleAdmin {
			return models.Refuse(models.UserErrorCodeForbidden, fieldID, "somebody else holds this slot: ask them, an owner or an admin", held.GetID())
		}
		return deleteHold(tx, fieldID, id)
	})
	if err != nil {
		return nil, err
	}
	return held, nil
}

// findHold finds a hold that has not been released, redeemed or cleared away yet.
func findHold(tx *gorm.DB, field string, id uuid.UUID) (*models.SlotHold, error) {
	held := &models.SlotHold{}
	err := tx.Where("id = ?", id).Take(held).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return nil, holdGone(field)
	}
	return held, err
}

// deleteHold deletes a hold, unless somebody else was faster.
func deleteHold(tx *gorm.DB, field string, id uuid.UUID) error {
	deleted := tx.Where("id = ?", id).Delete(&models.SlotHold{})
	if deleted.Error == nil && deleted.RowsAffected == 0 {
		return holdGone(field)
	}
	return deleted.Error
}

func holdGone(field string) error {
	return models.Refuse(models.UserErrorCodeNotFound, field, "this clinic has no such hold; it may have expired: hold or book the slot anew")
}

// redeem deletes the hold that a booking was made under, in the booking's transaction:
// from then on the booking takes the time. A hold of somebody else's, for another time or
// that has expired is a mistake.
func (p *proposal) redeem(tx *gorm.DB, in *validate.Input, scope *tenant.Scope) error {
	if err := p.lockOffered(tx); err != nil {
		return err
	}
	held, err := findHold(tx, fieldHoldID, p.hold)
	var refused models.Invalid
	switch {
	case errors.As(err, &refused):
		in.Add(refused[0].Code, fieldHoldID, refused[0].Message)
		return nil
	case err != nil:
		return err
	}
	var live int64
	if err := tx.Model(&models.SlotHold{}).Where("id = ? AND expires_at > clock_timestamp()", held.ID).Count(&live).Error; err != nil {
		return err
	}
	switch {
	case held.WaitlistEntryID != nil && *held.WaitlistEntryID != p.entry:
		in.Add(models.UserErrorCodeForbidden, fieldHoldID, "this slot is offered to somebody on the waiting list", models.KindWaitlistEntry.Global(*held.WaitlistEntryID))
	case held.WaitlistEntryID == nil && held.Subject != scope.Subject:
		in.Add(models.UserErrorCodeForbidden, fieldHoldID, "somebody else holds this slot", held.GetID())
	case held.PractitionerID != p.practitioner || !p.span.Overlaps(availability.Span{From: held.StartsAt, To: held.EndsAt}):
		in.Add(models.UserErrorCodeConflict, fieldHoldID, "this hold is for another time or practitioner", held.GetID())
	case live == 0:
		in.Add(models.UserErrorCodeExpired, fieldHoldID, "the slot was held until "+held.ExpiresAt.UTC().Format(time.RFC3339)+": hold it anew, or book it without holdId", held.GetID())
	default:
		return deleteHold(tx, fieldHoldID, held.ID)
	}
	return nil
}
