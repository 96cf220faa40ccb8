package availability

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/entity"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/internal/touched"
	"github.com/taskmed/taskmed/models"
)

// setting is what the clinic and a service say about slots.
type setting struct {
	TimeZone        string
	SlotGridMinutes int
	// DurationMinutes and Active are the service's; nil where there is none.
	DurationMinutes *int
	Active          *bool
}

func (s *setting) length() time.Duration { return time.Duration(*s.DurationMinutes) * time.Minute }

// setting reads how long a service takes and what grid its slots lie on; the service
// is uuid.Nil for none.
func (b *Book) setting(ctx context.Context, service uuid.UUID) (*setting, *time.Location, error) {
	scope, err := tenant.From(ctx)
	if err != nil {
		return nil, nil, err
	}
	of := []touched.Tag{touched.Entity(models.KindClinic, scope.ClinicID)}
	if service != uuid.Nil {
		of = append(of, touched.Entity(models.KindService, service))
	}
	rows, err := read[setting](database.Depends(ctx, of...), b, `
		SELECT c.time_zone, c.slot_grid_minutes, s.duration_minutes, s.active
		FROM clinics c LEFT JOIN services s ON s.clinic_id = c.id AND s.id = $2
		WHERE c.id = $1`, scope.ClinicID, service)
	if err != nil {
		return nil, nil, err
	}
	if len(rows) == 0 {
		return nil, nil, models.ErrNotFound
	}
	zone, err := b.Zone(rows[0].TimeZone)
	return rows[0], zone, err
}

// week is a practitioner with one stretch of their weekly hours.
type week struct {
	models.WorkingHour

	Active, Offers bool
}

// wanted says whose weeks are read.
type wanted struct {
	// ids are theirs; nil means everybody's who is active and offers the service.
	ids     []uuid.UUID
	service uuid.UUID
	most    int
}

// person is a practitioner's part of the facts.
type person struct {
	active, offers bool
	hours          []*models.WorkingHour
	// working is what of the span they work, taken what takes their time in it.
	working []Span
	taken   []*busy
}

// people reads practitioners with their weekly hours: of everybody up to so many, by
// name.
func (b *Book) people(ctx context.Context, who wanted) (map[uuid.UUID]*person, error) {
	scope, err := tenant.From(ctx)
	if err != nil {
		return nil, err
	}
	// Who has no hours is a row of zeros, so that all practitioners are counted.
	of := []touched.Tag{touched.Of("practitioner/list")}
	if who.ids != nil {
		of = database.Entities(ctx, models.KindPractitioner, who.ids)
	}
	if who.service != uuid.Nil {
		of = append(of, touched.OnID("practitioner", "service", who.service))
	}
	rows, err := read[week](database.Depends(ctx, of...), b, `
		SELECT p.id AS practitioner_id, p.active, p.offers, coalesce(w.weekday, 0) AS weekday,
		  coalesce(w.from_minute, 0) AS from_minute, coalesce(w.to_minute, 0) AS to_minute
		FROM (SELECT id, active, offers FROM (
		        SELECT id, active, name_key, $3 = '00000000-0000-0000-0000-000000000000'::uuid OR EXISTS (
		          SELECT FROM practitioner_services o WHERE o.clinic_id = $1 AND o.practitioner_id = practitioners.id AND o.service_id = $3) AS offers
		        FROM practitioners WHERE clinic_id = $1 AND ($2::uuid[] IS NULL OR id = ANY($2))) AS asked
		      WHERE $2::uuid[] IS NOT NULL OR (active AND offers)
		      ORDER BY name_key, id LIMIT $4) AS p
		LEFT JOIN working_hours w ON w.clinic_id = $1 AND w.practitioner_id = p.id`, scope.ClinicID, who.ids, who.service, who.most)
	if err != nil {
		return nil, err
	}
	found := map[uuid.UUID]*person{}
	for _, row := range rows {
		one := found[row.PractitionerID]
		if one == nil {
			one = &person{active: row.Active, offers: row.Offers}
			found[row.PractitionerID] = one
		}
		one.hours = append(one.hours, &row.WorkingHour)
	}
	for _, one := range found {
		inOrder(one.hours)
	}
	dependsOnEach(ctx, "working_hours", slices.Collect(maps.Keys(found)))
	return found, nil
}

// dependsOnEach is the context of a read of all rows that each practitioner has
// in a table.
func dependsOnEach(ctx context.Context, table string, practitioners []uuid.UUID) context.Context {
	return database.Depends(ctx, database.TagsOf(ctx, practitioners, func(id uuid.UUID) touched.Tag {
		return touched.OnID(table, "practitioner", id)
	})...)
}

// busy is a stretch of a practitioner's time that is taken.
type busy struct {
	PractitionerID uuid.UUID
	Kind           models.SlotObstacleKind
	ID             uuid.UUID
	StartsAt       time.Time
	EndsAt         time.Time
	// ExpiresAt is when a hold ends that is not redeemed; nil of anything else.
	ExpiresAt *time.Time
}

func (b *busy) span() Span { return Span{b.StartsAt, b.EndsAt} }

// busyRows are what takes the time of practitioners $2 between $3 and $4, and that
// of contact $5. No appointment or hold is longer than 24 hours, so the index on their
// starts bounds the search at both ends. The database's clock expires holds, as it
// does in the trigger that makes bookings respect them.
const busyRows = `
	SELECT practitioner_id, 'APPOINTMENT' AS kind, id, starts_at, ends_at, NULL::timestamptz AS expires_at FROM appointments
	WHERE clinic_id = $1 AND practitioner_id = ANY($2) AND status NOT IN ('cancelado', 'faltou')
	  AND starts_at > $3::timestamptz - interval '24 hours' AND starts_at < $4 AND ends_at > $3
	UNION ALL
	SELECT practitioner_id, 'HOLD', id, starts_at, ends_at, expires_at FROM slot_holds
	WHERE clinic_id = $1 AND practitioner_id = ANY($2) AND expires_at > clock_timestamp()
	  AND starts_at < $4 AND ends_at > $3
	UNION ALL
	SELECT practitioner_id, 'TIME_OFF', id, starts_at, ends_at, NULL FROM time_off
	WHERE clinic_id = $1 AND practitioner_id = ANY($2) AND starts_at < $4 AND ends_at > $3
	UNION ALL
	SELECT whose, 'CLINIC_CLOSED', id, starts_at, ends_at, NULL FROM time_off CROSS JOIN unnest($2::uuid[]) AS whose
	WHERE clinic_id = $1 AND practitioner_id IS NULL AND starts_at < $4 AND ends_at > $3
	UNION ALL
	SELECT practitioner_id, 'CONTACT_BUSY', id, starts_at, ends_at, NULL FROM appointments
	WHERE clinic_id = $1 AND contact_id = $5 AND status NOT IN ('cancelado', 'faltou')
	  AND starts_at > $3::timestamptz - interval '24 hours' AND starts_at < $4 AND ends_at > $3
	`

const inTheirOrder = "ORDER BY 4, 3"

// busyAt is the same for each of the times that begin at $3 and end at $4.
func busyAt() string {
	each := strings.NewReplacer("$3", "asked.begins", "$4", "asked.ends").Replace(busyRows)
	return "SELECT DISTINCT taken.* FROM unnest($3::timestamptz[], $4::timestamptz[]) AS asked (begins, ends) CROSS JOIN LATERAL (" + each + ") AS taken " + inTheirOrder
}

// Facts are what decides about the times of some practitioners within a span.
type Facts struct {
	zone   *time.Location
	grid   time.Duration
	within Span
	people map[uuid.UUID]*person
	// contact is what takes the time of the contact that was asked about.
	contact []*busy
	// offered is false where the service that was asked about is not offered by anybody.
	offered bool
}

// facts reads what takes people's time within a span, and a contact's; uuid.Nil for
// none.
func (b *Book) facts(ctx context.Context, known *setting, zone *time.Location, people map[uuid.UUID]*person, contact uuid.UUID, within Span) (*Facts, error) {
	return b.gather(ctx, known, zone, people, contact, within, busyRows+inTheirOrder, within.From, within.To)
}

// gather reads by a statement what takes people's time; from and to are its $3 and $4.
func (b *Book) gather(
	ctx context.Context, known *setting, zone *time.Location, people map[uuid.UUID]*person, contact uuid.UUID, within Span, sql string, from, to any,
) (*Facts, error) {
	scope, err := tenant.From(ctx)
	if err != nil {
		return nil, err
	}
	f := &Facts{
		zone: zone, grid: time.Duration(known.SlotGridMinutes) * time.Minute, within: within, people: people,
		offered: known.Active == nil || *known.Active,
	}
	ids := slices.Collect(maps.Keys(people))
	dependsOnEach(ctx, "time_off", ids)
	database.Depends(ctx, touched.OnID("time_off", "clinic", scope.ClinicID))
	if contact != uuid.Nil {
		database.Depends(ctx, touched.OnID("appointment", "contact", contact))
	}
	rows, err := read[busy](dependsOnEach(ctx, "slot_hold", ids), b, sql, scope.ClinicID, ids, from, to, contact)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		if row.ExpiresAt != nil {
			touched.Until(ctx, *row.ExpiresAt)
		}
		if row.Kind == models.SlotObstacleKindContactBusy {
			f.contact = append(f.contact, row)
		} else if one := people[row.PractitionerID]; one != nil {
			one.taken = append(one.taken, row)
		}
	}
	for _, one := range people {
		one.working = working(one.hours, zone, within)
	}
	return f, nil
}

// dependOn declares the appointments of a range: those of the practitioners wanted,
// or everybody's if wanted is nil.
func (b *Book) dependOn(ctx context.Context, wanted []uuid.UUID, within Span) error {
	reading, err := entity.Look(ctx, b.db)
	if err != nil {
		return err
	}
	DependOnDays(reading, wanted, &models.DateTimeRange{From: new(within.From), To: new(within.To)})
	reading.Send()
	return nil
}
