package scheduling

import (
	"context"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/internal/validate"
	"github.com/taskmed/taskmed/models"
)

// Update changes what of an appointment is neither its time nor its course. What the
// input leaves out stays; a reference that another appointment has is TAKEN.
func (d *Diary) Update(ctx context.Context, input models.UpdateAppointmentInput) (*models.Appointment, error) {
	scope, err := tenant.From(ctx)
	if err != nil {
		return nil, err
	}
	var updated *models.Appointment
	asked := &proposal{}
	err = d.db.InTenant(ctx, func(tx *gorm.DB) error {
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
		if service, given := input.ServiceID.ValueOK(); given {
			if changes["service_id"], err = offered(tx, &in, scope, service); err != nil {
				return err
			}
		}
		if err := in.Err(); err != nil {
			return err
		}
		updated, err = lockAppointment(tx, id, input.ExpectedVersion)
		if err != nil || len(changes) == 0 {
			return err
		}
		return tx.Model(updated).Clauses(everyColumn()).Updates(changes).Error
	})
	if err != nil {
		return nil, d.explain(ctx, err, asked)
	}
	return updated, nil
}

// offered reads a service's id, of one that is offered; nil for none.
func offered(tx *gorm.DB, in *validate.Input, scope *tenant.Scope, global *string) (any, error) {
	if global == nil {
		return nil, nil //nolint:nilnil // the column is to be emptied
	}
	id := in.ID(fieldServiceID, models.KindService, *global)
	if id == uuid.Nil {
		return nil, nil //nolint:nilnil // the mistake is noted
	}
	known, err := factsOf(tx, scope.ClinicID, id, nil)
	if err != nil {
		return nil, err
	}
	checkService(in, id, known)
	return id, nil
}
