package scheduling

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/taskmed/taskmed/internal/availability"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/internal/validate"
	"github.com/taskmed/taskmed/models"
)

// Update changes what of an appointment is neither its time nor its course. What the
// input leaves out stays; a reference that another appointment has is TAKEN, and another
// service must be one that the practitioner offers.
func (d *Diary) Update(ctx context.Context, input models.UpdateAppointmentInput) (*models.Appointment, error) {
	scope, err := tenant.From(ctx)
	if err != nil {
		return nil, err
	}
	var updated *models.Appointment
	asked := &proposal{}
	const attempts = 3
	for range attempts {
		err = d.db.InTenant(ctx, func(tx *gorm.DB) (err error) {
			updated, err = d.update(tx, scope, input, asked)
			return err
		})
		if !errors.Is(err, errMoved) {
			break
		}
	}
	if errors.Is(err, errMoved) {
		return nil, errBusy(input.ID)
	}
	if err != nil {
		return nil, d.explain(ctx, err, asked)
	}
	return updated, nil
}

func (d *Diary) update(tx *gorm.DB, scope *tenant.Scope, input models.UpdateAppointmentInput, asked *proposal) (*models.Appointment, error) {
	var in validate.Input
	id := in.ID(fieldID, models.KindAppointment, input.ID)
	changes := map[string]any{}
	if notes, given := input.Notes.ValueOK(); given {
		changes["notes"] = in.OptionalLines("notes", notes, longestNotes)
	}
	if reference, given := input.ExternalReference.ValueOK(); given {
		asked.reference = in.OptionalText(fieldExternalReference, reference, longestReference)
		changes["external_reference"] = asked.reference
	}
	service := uuid.Nil
	if global, given := input.ServiceID.ValueOK(); given {
		changes["service_id"] = nil
		if global != nil {
			service = in.ID(fieldServiceID, models.KindService, *global)
			changes["service_id"] = service
		}
	}
	if err := in.Err(); err != nil {
		return nil, err
	}
	whose := uuid.Nil
	if service != uuid.Nil {
		before, err := (&change{id: id}).look(tx)
		if err != nil {
			return nil, err
		}
		// Locked first, as in every booking: what they offer is as it is until the end.
		whose = before.PractitionerID
		if err := d.lockPractitioner(tx, &validate.Input{}, whose); err != nil {
			return nil, err
		}
	}
	updated, err := lockAppointment(tx, id, input.ExpectedVersion)
	if err != nil || len(changes) == 0 {
		return updated, err
	}
	if service != uuid.Nil {
		if updated.PractitionerID != whose {
			return nil, errMoved
		}
		if err := d.mayBecome(tx, &in, scope, updated, service); err != nil {
			return nil, err
		}
	}
	return updated, tx.Model(updated).Clauses(everyColumn()).Updates(changes).Error
}

// mayBecome refuses another service than the appointment's that is not offered, by the
// clinic or by the practitioner.
func (d *Diary) mayBecome(tx *gorm.DB, in *validate.Input, scope *tenant.Scope, appointment *models.Appointment, service uuid.UUID) error {
	if appointment.ServiceID != nil && *appointment.ServiceID == service {
		return nil
	}
	known, err := factsOf(tx, scope.ClinicID, service, nil)
	if err != nil {
		return err
	}
	if !checkService(in, service, known) {
		return in.Err()
	}
	span := availability.Span{From: appointment.StartsAt, To: appointment.EndsAt}
	facts, err := d.In(tx).Ask(tx.Statement.Context, appointment.PractitionerID, service, uuid.Nil, span)
	if err != nil {
		return err
	}
	asked := availability.Question{Practitioner: appointment.PractitionerID, Span: span, Appointment: appointment.ID}
	for _, o := range facts.Obstacles(scope, asked, d.now()) {
		if o.Kind == models.SlotObstacleKindServiceNotOffered {
			in.Add(codeOf(o.Kind), fieldOf(o.Kind), o.Message, o.EntityIds...)
		}
	}
	return in.Err()
}
