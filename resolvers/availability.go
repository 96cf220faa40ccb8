package resolvers

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/availability"
	"github.com/taskmed/taskmed/models"
)

func (r *queryResolver) Availability(ctx context.Context, practitionerIDs []string, serviceID string, rangeArg models.DateTimeRange) ([]*models.Slot, error) {
	service, err := queryID("serviceId", models.KindService, serviceID)
	if err != nil {
		return nil, err
	}
	practitioners, err := queryIDs("practitionerIds", models.KindPractitioner, practitionerIDs)
	if err != nil {
		return nil, err
	}
	free, err := r.diary.Availability(ctx, practitioners, service, rangeArg)
	return orEmpty(free), err
}

func (r *queryResolver) NextFreeSlots(ctx context.Context, serviceID string, practitionerIDs []string, after *time.Time, first *int) ([]*models.Slot, error) {
	service, err := queryID("serviceId", models.KindService, serviceID)
	if err != nil {
		return nil, err
	}
	practitioners, err := queryIDs("practitionerIds", models.KindPractitioner, practitionerIDs)
	if err != nil {
		return nil, err
	}
	free, err := r.diary.NextFree(ctx, practitioners, service, after, first)
	return orEmpty(free), err
}

func (r *queryResolver) SlotCheck(
	ctx context.Context, practitionerID string, startsAt time.Time, endsAt *time.Time, serviceID, contactID *string,
) (*models.SlotCheck, error) {
	asked := availability.Asked{StartsAt: startsAt, EndsAt: endsAt}
	for _, id := range []struct {
		argument string
		kind     models.Kind
		global   *string
		into     *uuid.UUID
	}{
		{"practitionerId", models.KindPractitioner, &practitionerID, &asked.Practitioner},
		{"serviceId", models.KindService, serviceID, &asked.Service},
		{"contactId", models.KindContact, contactID, &asked.Contact},
	} {
		if id.global == nil {
			continue
		}
		parsed, err := queryID(id.argument, id.kind, *id.global)
		if err != nil {
			return nil, err
		}
		*id.into = parsed
	}
	return r.diary.Check(ctx, asked)
}
