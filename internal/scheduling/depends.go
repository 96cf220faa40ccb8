package scheduling

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/cachetag"
	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/models"
)

const (
	// longestByDay bounds the ranges whose days are named one by one.
	longestByDay = 62 * 24 * time.Hour
	// mostPerDay bounds the days of practitioners that are named one by one.
	mostPerDay = 400
)

// dependsOn are the tags of what a query's list depends on, the narrowest that
// say all. None where nobody collects them.
func (d *Diary) dependsOn(ctx context.Context, q *AppointmentQuery) ([]cachetag.Tag, error) {
	switch {
	case !cachetag.Collecting(ctx):
		return nil, nil
	case q.ContactID != nil:
		return ofContacts(ctx, []uuid.UUID{*q.ContactID}), nil
	case q.PractitionerID != nil:
		return d.ofPractitioners(ctx, []uuid.UUID{*q.PractitionerID}, q.Range)
	}
	days, err := d.days(ctx, q.Range)
	if err != nil {
		return nil, err
	}
	if len(days) == 0 {
		return []cachetag.Tag{cachetag.Of("appointment/all")}, nil
	}
	return onDays(days), nil
}

func onDays(days []string) []cachetag.Tag {
	tags := make([]cachetag.Tag, len(days))
	for i, day := range days {
		tags[i] = cachetag.OnDay(day)
	}
	return tags
}

// ofContacts are the tags of all appointments of contacts.
func ofContacts(ctx context.Context, ids []uuid.UUID) []cachetag.Tag {
	return database.TagsOf(ctx, ids, func(id uuid.UUID) cachetag.Tag { return cachetag.OnID("appointment", "contact", id) })
}

// ofPractitioners are the tags of practitioners' appointments in a range.
func (d *Diary) ofPractitioners(ctx context.Context, ids []uuid.UUID, within *models.DateTimeRange) ([]cachetag.Tag, error) {
	if !cachetag.Collecting(ctx) {
		return nil, nil
	}
	days, err := d.days(ctx, within)
	if err != nil {
		return nil, err
	}
	if len(days) == 0 || len(days)*len(ids) > mostPerDay {
		return database.TagsOf(ctx, ids, func(id uuid.UUID) cachetag.Tag { return cachetag.OnID("appointment", "practitioner", id) }), nil
	}
	tags := make([]cachetag.Tag, 0, len(days)*len(ids))
	for _, id := range ids {
		for _, day := range days {
			tags = append(tags, cachetag.OnPractitionerDay(id, day))
		}
	}
	return tags, nil
}

// days are the days of the clinic's calendar that a range touches; none if an
// end is open or they are too many. Postgres tells them, as it does for the
// tags of writes: two programs may know different time zones. That they change
// with the clinic's zone needs no tag: such a change concerns every answer.
func (d *Diary) days(ctx context.Context, within *models.DateTimeRange) ([]string, error) {
	if within == nil || within.From == nil || within.To == nil || within.To.Sub(*within.From) > longestByDay {
		return nil, nil
	}
	scope, err := tenant.From(ctx)
	if err != nil {
		return nil, err
	}
	key := "days " + instant(*within.From) + " " + instant(*within.To)
	return cachetag.Remember(ctx, key, func() ([]string, error) {
		days, err := database.Value[[]string](database.DependsOnZone(ctx), d.db,
			"SELECT ARRAY(SELECT cache_days(time_zone, $2, $3)) FROM clinics WHERE id = $1", scope.ClinicID, *within.From, *within.To)
		if errors.Is(err, models.ErrNotFound) {
			return nil, nil
		}
		return days, err
	})
}
