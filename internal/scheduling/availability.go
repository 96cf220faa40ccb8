package scheduling

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/entity"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/internal/touched"
	"github.com/taskmed/taskmed/models"
)

// The bounds of Availability.
const (
	longestAvailabilityDays = 31
	mostPractitioners       = 50
	mostSlots               = 5000
)

// Availability lists the free slots of a service, by their start and then by
// practitioner, in three statements: working hours less live appointments
// (overbooked ones take time, too), holds that have not expired and time off,
// from now on; in each free stretch the slots stand side by side from its
// start. practitionerIDs that are nil mean all active ones; inactive and
// unknown ones have no free time, and a service that is not offered any more
// has no slots. Errors of code BAD_USER_INPUT tell that an end of the range is
// missing or wrong, that the clinic has no such service, or that the answer
// would be too long.
func (d *Diary) Availability(
	ctx context.Context, practitionerIDs []uuid.UUID, serviceID uuid.UUID, within models.DateTimeRange,
) ([]*models.Slot, error) {
	span, err := bounded(within)
	if err != nil {
		return nil, err
	}
	wanted := unique(practitionerIDs)
	if practitionerIDs == nil {
		wanted = nil
	}
	if len(wanted) > mostPractitioners {
		return nil, models.BadInput("ask for %d practitioners at most", mostPractitioners)
	}
	offer, err := d.offer(ctx, serviceID)
	if err != nil {
		return nil, err
	}
	zone, err := d.zone(offer.TimeZone)
	if err != nil {
		return nil, err
	}
	// Days of the clinic's: the one on which clocks are put back has 25 hours.
	if span.To.After(span.From.In(zone).AddDate(0, 0, longestAvailabilityDays)) {
		return nil, models.BadInput("the range may span %d days at most", longestAvailabilityDays)
	}
	now := d.now()
	// As time passes, slots pass too: later ones are laid out anew from the next
	// minute on.
	touched.Until(ctx, later(span.From, nextMinute(now)))
	asked := models.DateTimeRange{From: new(span.From), To: new(span.To)}
	span.From = later(span.From, now)
	if span.empty() || !offer.Active || (wanted != nil && len(wanted) == 0) {
		return []*models.Slot{}, nil
	}
	hours, err := d.activeHours(ctx, wanted, mostPractitioners+1)
	if err != nil {
		return nil, err
	}
	if len(hours) > mostPractitioners {
		return nil, models.BadInput("the clinic has more than %d practitioners: say whose time is wanted", mostPractitioners)
	}
	if err := d.dependOn(ctx, wanted, &asked); err != nil {
		return nil, err
	}
	free, err := d.free(ctx, hours, zone, span)
	if err != nil {
		return nil, err
	}
	found := make([]*models.Slot, 0, len(free))
	for practitioner, spans := range free {
		for slot := range slots(spans, time.Duration(offer.DurationMinutes)*time.Minute) {
			if len(found) == mostSlots {
				return nil, models.BadInput("there are more than %d slots: ask for a shorter range or fewer practitioners", mostSlots)
			}
			found = append(found, &models.Slot{PractitionerID: practitioner, StartsAt: slot.From, EndsAt: slot.To})
		}
	}
	slices.SortFunc(found, func(a, b *models.Slot) int {
		if order := a.StartsAt.Compare(b.StartsAt); order != 0 {
			return order
		}
		return bytes.Compare(a.PractitionerID[:], b.PractitionerID[:])
	})
	return found, nil
}

// dependOn declares the appointments of a range: those of the practitioners wanted,
// or everybody's if wanted is nil.
func (d *Diary) dependOn(ctx context.Context, wanted []uuid.UUID, within *models.DateTimeRange) error {
	reading, err := entity.Look(ctx, d.db)
	if err != nil {
		return err
	}
	dependOnDays(reading, wanted, within)
	reading.Send()
	return nil
}

// dependsOnEach is the context of a read of all rows that each practitioner has
// in a table.
func dependsOnEach(ctx context.Context, table string, practitioners []uuid.UUID) context.Context {
	return database.Depends(ctx, database.TagsOf(ctx, practitioners, func(id uuid.UUID) touched.Tag {
		return touched.OnID(table, "practitioner", id)
	})...)
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

// offer is how long a service takes, and the zone of the clinic that offers it.
type offer struct {
	TimeZone        string
	DurationMinutes int
	Active          bool
}

func (d *Diary) offer(ctx context.Context, service uuid.UUID) (*offer, error) {
	scope, err := tenant.From(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := database.Rows[offer](database.Depends(ctx, touched.Entity(models.KindService, service)), d.db, `
		SELECT c.time_zone, s.duration_minutes, s.active
		FROM clinics c JOIN services s ON s.clinic_id = c.id
		WHERE c.id = $1 AND s.id = $2`, scope.ClinicID, service)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, models.BadInput("serviceId is no id of a service of this clinic")
	}
	return rows[0], nil
}

// activeHours are the weekly hours of active practitioners: of those wanted, or
// of all if wanted is nil, by name and up to so many.
func (d *Diary) activeHours(ctx context.Context, wanted []uuid.UUID, most int) (map[uuid.UUID][]*models.WorkingHour, error) {
	scope, err := tenant.From(ctx)
	if err != nil {
		return nil, err
	}
	// Who has no hours is a row of zeros, so that all practitioners are counted.
	of := []touched.Tag{touched.Of("practitioner/list")}
	if wanted != nil {
		of = database.Entities(ctx, models.KindPractitioner, wanted)
	}
	rows, err := database.Rows[models.WorkingHour](database.Depends(ctx, of...), d.db, `
		SELECT p.id AS practitioner_id, coalesce(w.weekday, 0) AS weekday,
		  coalesce(w.from_minute, 0) AS from_minute, coalesce(w.to_minute, 0) AS to_minute
		FROM (SELECT id FROM practitioners
		      WHERE clinic_id = $1 AND active AND ($2::uuid[] IS NULL OR id = ANY($2))
		      ORDER BY name_key, id LIMIT $3) AS p
		LEFT JOIN working_hours w ON w.clinic_id = $1 AND w.practitioner_id = p.id`, scope.ClinicID, wanted, most)
	if err != nil {
		return nil, err
	}
	hours := perPractitioner(nil, rows, func(w *models.WorkingHour) uuid.UUID { return w.PractitionerID })
	dependsOnEach(ctx, "working_hours", slices.Collect(maps.Keys(hours)))
	return hours, nil
}

// The kinds of what takes a practitioner's time.
const (
	busyAppointment = "appointment"
	busyHold        = "hold"
	busyTimeOff     = "time off"
)

// busy is a stretch of a practitioner's time that is taken.
type busy struct {
	PractitionerID uuid.UUID
	Kind           string
	ID             uuid.UUID
	StartsAt       time.Time
	EndsAt         time.Time
	// ExpiresAt is when a hold ends that is not redeemed; nil of anything else.
	ExpiresAt *time.Time
}

func (b *busy) span() Span { return Span{b.StartsAt, b.EndsAt} }

// busySQL finds what takes the time of practitioners $2 between $3 and $4. No
// appointment or hold is longer than 24 hours, so the index on their starts
// bounds the search at both ends. The database's clock expires holds, as it
// does in the trigger that makes bookings respect them.
const busySQL = `
	SELECT practitioner_id, '` + busyAppointment + `' AS kind, id, starts_at, ends_at,
	  NULL::timestamptz AS expires_at FROM appointments
	WHERE clinic_id = $1 AND practitioner_id = ANY($2) AND status NOT IN ('cancelado', 'faltou')
	  AND starts_at > $3::timestamptz - interval '24 hours' AND starts_at < $4 AND ends_at > $3
	UNION ALL
	SELECT practitioner_id, '` + busyHold + `', id, starts_at, ends_at, expires_at FROM slot_holds
	WHERE clinic_id = $1 AND practitioner_id = ANY($2) AND expires_at > clock_timestamp()
	  AND starts_at < $4 AND ends_at > $3
	UNION ALL
	SELECT practitioner_id, '` + busyTimeOff + `', id, starts_at, ends_at, NULL FROM time_off
	WHERE clinic_id = $1 AND practitioner_id = ANY($2) AND starts_at < $4 AND ends_at > $3
	UNION ALL
	SELECT whose, '` + busyTimeOff + `', id, starts_at, ends_at, NULL FROM time_off CROSS JOIN unnest($2::uuid[]) AS whose
	WHERE clinic_id = $1 AND practitioner_id IS NULL AND starts_at < $4 AND ends_at > $3
	ORDER BY 4, 3`

// free is what practitioners' weekly hours leave free within a span, merged.
func (d *Diary) free(
	ctx context.Context, hours map[uuid.UUID][]*models.WorkingHour, zone *time.Location, within Span,
) (map[uuid.UUID][]Span, error) {
	scope, err := tenant.From(ctx)
	if err != nil {
		return nil, err
	}
	if len(hours) == 0 {
		return map[uuid.UUID][]Span{}, nil
	}
	practitioners := make([]uuid.UUID, 0, len(hours))
	for practitioner := range hours {
		practitioners = append(practitioners, practitioner)
	}
	dependsOnEach(ctx, "time_off", practitioners)
	database.Depends(ctx, touched.OnID("time_off", "clinic", scope.ClinicID))
	reading := dependsOnEach(ctx, "slot_hold", practitioners)
	rows, err := database.Rows[busy](reading, d.db, busySQL, scope.ClinicID, practitioners, within.From, within.To)
	if err != nil {
		return nil, err
	}
	taken := make(map[uuid.UUID][]Span, len(hours))
	for _, row := range rows {
		taken[row.PractitionerID] = append(taken[row.PractitionerID], row.span())
		if row.ExpiresAt != nil {
			touched.Until(ctx, *row.ExpiresAt)
		}
	}
	free := make(map[uuid.UUID][]Span, len(hours))
	for practitioner, weekly := range hours {
		free[practitioner] = subtract(working(weekly, zone, within), taken[practitioner])
	}
	return free, nil
}

// How far around a refused time alternatives are looked for, and how many.
const (
	alternativesBefore = 7 * 24 * time.Hour
	alternativesAfter  = 14 * 24 * time.Hour
	mostAlternatives   = 5
)

// alternatives are free slots as long as the one that was refused and nearest
// to it: the same practitioner's and, where those are too few, others'.
func (d *Diary) alternatives(ctx context.Context, refused *proposal) ([]*models.Slot, error) {
	within := Span{
		later(refused.span.From.Add(-alternativesBefore), d.now()),
		refused.span.From.Add(alternativesAfter),
	}
	found := []*models.Slot{}
	if within.empty() {
		return found, nil
	}
	for _, whose := range [][]uuid.UUID{{refused.practitioner}, nil} {
		if len(found) == mostAlternatives {
			break
		}
		hours, err := d.activeHours(ctx, whose, mostPractitioners)
		if err != nil {
			return nil, err
		}
		if whose == nil {
			delete(hours, refused.practitioner)
		}
		free, err := d.free(ctx, hours, refused.zone, within)
		if err != nil {
			return nil, err
		}
		found = append(found, nearestSlots(free, refused.span, mostAlternatives-len(found))...)
	}
	return found, nil
}

func nearestSlots(free map[uuid.UUID][]Span, wanted Span, count int) []*models.Slot {
	var found []*models.Slot
	for practitioner, spans := range free {
		for _, span := range nearest(spans, wanted.To.Sub(wanted.From), wanted.From, count) {
			found = append(found, &models.Slot{PractitionerID: practitioner, StartsAt: span.From, EndsAt: span.To})
		}
	}
	slices.SortFunc(found, func(a, b *models.Slot) int {
		if order := byDistance(wanted.From, a.StartsAt, b.StartsAt); order != 0 {
			return order
		}
		return bytes.Compare(a.PractitionerID[:], b.PractitionerID[:])
	})
	return found[:min(count, len(found))]
}

// refusedTime tells whether an error refuses the time that was asked for, so
// that another one would do.
func refusedTime(err error) bool {
	var mistakes models.Invalid
	if !errors.As(err, &mistakes) {
		return false
	}
	return slices.ContainsFunc(mistakes, func(mistake *models.UserError) bool {
		taken := mistake.Code == models.UserErrorCodeConflict || mistake.Code == models.UserErrorCodeOutOfHours
		return taken && slices.Equal(mistake.Field, []string{fieldStartsAt})
	})
}
