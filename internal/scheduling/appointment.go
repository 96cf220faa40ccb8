package scheduling

import (
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/taskmed/taskmed/internal/availability"
	"github.com/taskmed/taskmed/internal/entity"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/internal/touched"
	"github.com/taskmed/taskmed/internal/validate"
	"github.com/taskmed/taskmed/models"
)

// Appointment is a contact's time with a practitioner, as it is read.
func Appointment() entity.Declaration {
	return entity.Noun[models.Appointment]{
		Kind:    models.KindAppointment,
		Columns: map[string][]string{"nextSteps": {"status"}},
		Mask:    func(scope *tenant.Scope, row *models.Appointment) { row.Asker = scope.Role },
		One: map[string]entity.One{
			"contact":      {Kind: models.KindContact, Column: "contact_id"},
			"practitioner": {Kind: models.KindPractitioner, Column: "practitioner_id"},
			"service":      {Kind: models.KindService, Column: "service_id"},
		},
		Lists: []entity.List{
			{Field: "Query.appointments", Order: "starts_at", By: appointmentOrder, Filter: appointmentFilter, Depends: dependsOnDiary},
			{Field: "Contact.appointments", Parent: "contact_id", Order: "starts_at", Desc: true, Filter: rangeAndStatus},
			{Field: "Practitioner.appointments", Parent: "practitioner_id", Order: "starts_at", Filter: rangeAndStatus, Depends: dependsOnPractitioners},
		},
		First: []entity.First{
			{Field: "Contact.nextAppointment", Parent: "contact_id", Order: "starts_at", Filter: toCome, Until: untilItBegins},
			{Field: "Contact.lastAppointment", Parent: "contact_id", Order: "starts_at", Desc: true, Filter: hasBegun, Ends: untilAnotherBegins},
		},
	}
}

func appointmentOrder(args entity.Args) (column string, desc, given bool) {
	wanted := entity.Arg[*models.AppointmentOrder](args, "orderBy")
	if wanted == nil {
		return "", false, false
	}
	desc = wanted.Direction == models.SortDirectionDesc
	switch wanted.Field {
	case models.AppointmentOrderFieldStartsAt:
		return "starts_at", desc, true
	case models.AppointmentOrderFieldCreatedAt:
		return "created_at", desc, true
	case models.AppointmentOrderFieldUpdatedAt:
		return "updated_at", desc, true
	case models.AppointmentOrderFieldArrivedAt:
		return "arrived_at", desc, true
	}
	return "", false, false
}

// rangeAndStatus is the filter of the lists of a contact or practitioner.
func rangeAndStatus(q *entity.Query, args entity.Args) error {
	span := entity.Arg[*models.DateTimeRange](args, "range")
	if needed := entity.Arg[models.DateTimeRange](args, "range"); span == nil {
		span = &needed
	}
	if err := q.Within("starts_at", span); err != nil {
		return err
	}
	return entity.In(q, "status", entity.Arg[[]models.AppointmentStatus](args, "status"))
}

func appointmentFilter(q *entity.Query, args entity.Args) error {
	by, _, _ := appointmentOrder(args)
	if by == "arrived_at" {
		q.Where("arrived_at IS NOT NULL")
	}
	filter := entity.Arg[*models.AppointmentFilter](args, "filter")
	if filter == nil {
		return nil
	}
	if err := q.Within("starts_at", filter.Range); err != nil {
		return err
	}
	if err := q.WithinBeside(by, "updated_at", filter.UpdatedAt); err != nil {
		return err
	}
	if err := onDays(q, filter.Days); err != nil {
		return err
	}
	if err := q.PointsAtOne("practitioner_id", "filter.practitionerIds", models.KindPractitioner, filter.PractitionerIds); err != nil {
		return err
	}
	if err := q.PointsAt("service_id", "filter.serviceId", models.KindService, filter.ServiceID); err != nil {
		return err
	}
	if err := q.PointsAt("series_id", "filter.seriesId", models.KindSeries, filter.SeriesID); err != nil {
		return err
	}
	if filter.ExternalReference != nil {
		q.Where("external_reference = ?", validate.Line(*filter.ExternalReference))
	}
	if err := q.PointsAt("practitioner_id", "filter.practitionerId", models.KindPractitioner, filter.PractitionerID); err != nil {
		return err
	}
	if err := q.PointsAt("contact_id", "filter.contactId", models.KindContact, filter.ContactID); err != nil {
		return err
	}
	return entity.In(q, "status", filter.Status)
}

// onDays adds the condition that an appointment begins on one of the clinic's days. The
// days' ends are instants, which an index is ordered by.
func onDays(q *entity.Query, days *models.DateRange) error {
	if days == nil {
		return nil
	}
	if days.From != nil && days.To != nil && days.To.Before(*days.From) {
		return models.BadInput("the range ends before it begins")
	}
	const begin = "(SELECT ?::date::timestamp AT TIME ZONE c.time_zone FROM clinics c WHERE c.id = app_clinic())"
	if days.From != nil {
		q.Where("starts_at >= "+begin, *days.From)
	}
	if days.To != nil {
		q.Where("starts_at < "+begin, days.To.AddDays(1))
	}
	return nil
}

// over are the statuses of which nothing is to come any more.
const over = "('concluido', 'cancelado', 'faltou')"

// toCome are appointments from now on that are neither cancelled nor over.
func toCome(q *entity.Query, r *entity.Reading) {
	q.Where("starts_at >= ?", r.Now())
	q.Where("status NOT IN " + over)
}

// hasBegun are appointments that have begun and were neither cancelled nor missed.
func hasBegun(q *entity.Query, r *entity.Reading) {
	q.Where("starts_at < ?", r.Now())
	q.Where("status NOT IN ('cancelado', 'faltou')")
}

// untilItBegins: once the next appointment has begun it is the next no more.
func untilItBegins(r *entity.Reading, found *entity.Found) {
	for _, next := range found.Entities {
		if appointment, ok := next.(*models.Appointment); ok {
			r.Until(appointment.StartsAt)
		}
	}
}

// untilAnotherBegins: the first appointment to begin after the operation's now will
// be the last one then. Both questions are asked of the same now, so no beginning
// falls between them.
func untilAnotherBegins(r *entity.Reading, contacts []uuid.UUID) {
	// One look each: a contact whose therapy goes on has more to come than one reads.
	const soonest = `SELECT min(next.starts_at) FROM unnest($2::uuid[]) AS parent (id) CROSS JOIN LATERAL (
		SELECT starts_at FROM appointments
		WHERE clinic_id = $1 AND contact_id = parent.id AND starts_at >= $3 AND status NOT IN ('cancelado', 'faltou')
		ORDER BY starts_at LIMIT 1) AS next`
	r.Find(soonest,
		func(rows pgx.Rows) error {
			begins, err := pgx.CollectOneRow(rows, pgx.RowTo[*time.Time])
			if err == nil && begins != nil {
				r.Until(*begins)
			}
			return err
		}, contacts, r.Now())
}

// dependsOnDiary declares what decides which appointments a list of the clinic's
// has: the narrowest that says all.
func dependsOnDiary(r *entity.Reading, ask *entity.Ask) error {
	filter := entity.Arg[*models.AppointmentFilter](ask.Args, "filter")
	if filter == nil {
		filter = &models.AppointmentFilter{}
	}
	column, _, _ := appointmentOrder(ask.Args)
	switch {
	case filter.UpdatedAt != nil || column == "updated_at":
		r.Depends(touched.Of("appointment/updated"))
	case filter.SeriesID != nil:
		series, err := models.KindSeries.Parse(*filter.SeriesID)
		if err != nil {
			return err
		}
		r.Depends(touched.OnID("appointment", "series", series))
	case filter.ContactID != nil:
		contact, err := models.KindContact.Parse(*filter.ContactID)
		if err != nil {
			return err
		}
		r.Depends(touched.OnID("appointment", "contact", contact))
	case filter.PractitionerID != nil:
		practitioner, err := models.KindPractitioner.Parse(*filter.PractitionerID)
		if err != nil {
			return err
		}
		availability.DependOnDays(r, []uuid.UUID{practitioner}, filter.Range)
	case filter.Days != nil && filter.Days.From != nil && filter.Days.To != nil:
		availability.DependOnDates(r, *filter.Days.From, *filter.Days.To)
	default:
		availability.DependOnDays(r, nil, filter.Range)
	}
	return nil
}

func dependsOnPractitioners(r *entity.Reading, ask *entity.Ask) error {
	span := entity.Arg[models.DateTimeRange](ask.Args, "range")
	availability.DependOnDays(r, ask.Keys, &span)
	return nil
}
