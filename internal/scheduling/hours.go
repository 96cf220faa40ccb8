package scheduling

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/cachetag"
	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/models"
)

// longestTimeOffRange bounds how far TimeOffOf looks.
const longestTimeOffRange = 366 * 24 * time.Hour

// WorkingHoursOf gives each practitioner the weekly working hours, from Monday
// on, in one statement. Every practitioner asked for is in the map.
func (d *Diary) WorkingHoursOf(ctx context.Context, practitionerIDs []uuid.UUID) (map[uuid.UUID][]*models.WorkingHour, error) {
	scope, err := tenant.From(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := database.Rows[models.WorkingHour](dependsOnEach(ctx, "working_hours", practitionerIDs), d.db, `
		SELECT practitioner_id, weekday, from_minute, to_minute FROM working_hours
		WHERE clinic_id = $1 AND practitioner_id = ANY($2)
		ORDER BY practitioner_id, weekday, from_minute`, scope.ClinicID, practitionerIDs)
	if err != nil {
		return nil, err
	}
	return perPractitioner(practitionerIDs, rows, func(w *models.WorkingHour) uuid.UUID { return w.PractitionerID }), nil
}

// TimeOffOf gives each practitioner the absences that touch a range, in order,
// in one statement. Both ends of the range are needed, at most 366 days apart;
// otherwise the error has the code BAD_USER_INPUT.
func (d *Diary) TimeOffOf(ctx context.Context, practitionerIDs []uuid.UUID, within models.DateTimeRange) (map[uuid.UUID][]*models.TimeOff, error) {
	scope, err := tenant.From(ctx)
	if err != nil {
		return nil, err
	}
	span, err := closed(within)
	if err != nil {
		return nil, err
	}
	if span.To.Sub(span.From) > longestTimeOffRange {
		return nil, models.BadInput("the range may span 366 days at most")
	}
	rows, err := database.Rows[models.TimeOff](dependsOnEach(ctx, "time_off", practitionerIDs), d.db, `
		SELECT id, practitioner_id, starts_at, ends_at, reason FROM time_off
		WHERE clinic_id = $1 AND practitioner_id = ANY($2) AND starts_at < $4 AND ends_at > $3
		ORDER BY starts_at, id`, scope.ClinicID, practitionerIDs, span.From, span.To)
	if err != nil {
		return nil, err
	}
	return perPractitioner(practitionerIDs, rows, func(t *models.TimeOff) uuid.UUID { return t.PractitionerID }), nil
}

// dependsOnEach is the context of a read of all rows that each practitioner has
// in a table.
func dependsOnEach(ctx context.Context, table string, practitioners []uuid.UUID) context.Context {
	return database.Depends(ctx, database.TagsOf(ctx, practitioners, func(id uuid.UUID) cachetag.Tag {
		return cachetag.OnID(table, "practitioner", id)
	})...)
}

// closed is a range of which both ends are given, the end after the start.
func closed(within models.DateTimeRange) (Span, error) {
	if within.From == nil || within.To == nil {
		return Span{}, models.BadInput("the range needs both from and to")
	}
	span := Span{*within.From, *within.To}
	if span.empty() {
		return Span{}, models.BadInput("the range must end after it begins")
	}
	return span, nil
}

// perPractitioner groups rows; who has none gets an empty list.
func perPractitioner[T any](ids []uuid.UUID, rows []*T, of func(*T) uuid.UUID) map[uuid.UUID][]*T {
	grouped := make(map[uuid.UUID][]*T, len(ids))
	for _, id := range ids {
		grouped[id] = []*T{}
	}
	for _, row := range rows {
		grouped[of(row)] = append(grouped[of(row)], row)
	}
	return grouped
}
