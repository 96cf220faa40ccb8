package people

import (
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/taskmed/taskmed/internal/entity"
	"github.com/taskmed/taskmed/internal/touched"
	"github.com/taskmed/taskmed/models"
)

func contactFilter(q *entity.Query, args entity.Args) error {
	filter := entity.Arg[*models.ContactFilter](args, "filter")
	if filter == nil {
		return nil
	}
	if err := entity.In(q, "status", filter.Status); err != nil {
		return err
	}
	if err := labelled(q, filter); err != nil {
		return err
	}
	if filter.ExternalReference != nil {
		reference, err := storable("filter.externalReference", *filter.ExternalReference)
		if err != nil {
			return err
		}
		q.Where("external_reference = ?", reference)
	}
	// A mask shows, too, whether there is a CPF below it.
	if filter.HasTaxID != nil && *filter.HasTaxID {
		q.Where("tax_id IS NOT NULL")
	} else if filter.HasTaxID != nil {
		q.Where("tax_id IS NULL")
	}
	if err := bornOn(q, filter.Birthday); err != nil {
		return err
	}
	if filter.PractitionerID != nil {
		practitioner, err := practitionerOf(filter)
		if err != nil {
			return err
		}
		q.Where("EXISTS (SELECT FROM appointments a WHERE a.clinic_id = contacts.clinic_id AND a.contact_id = contacts.id"+
			" AND a.practitioner_id = ? AND a.status <> 'cancelado')", practitioner)
	}
	if err := lastSeen(q, filter.LastAppointment); err != nil {
		return err
	}
	by, _, _ := contactOrder(args)
	if err := q.WithinBeside(by, "updated_at", filter.UpdatedAt); err != nil {
		return err
	}
	return q.WithinBeside(by, "created_at", filter.CreatedAt)
}

// asksForStatus tells whether archived contacts are for the filter to leave out.
func asksForStatus(args entity.Args) bool {
	filter := entity.Arg[*models.ContactFilter](args, "filter")
	return filter != nil && filter.Status != nil
}

// labelled adds that a contact has a label, or all of several; of no label none is meant.
func labelled(q *entity.Query, filter *models.ContactFilter) error {
	if len(filter.AllTags) > mostTags {
		return models.BadInput("filter.allTags may hold %d labels at most: no contact has more", mostTags)
	}
	var labels []string
	if filter.Tag != nil {
		label, err := storable("filter.tag", *filter.Tag)
		if err != nil {
			return err
		}
		labels = append(labels, label)
	}
	for _, given := range filter.AllTags {
		label, err := storable("filter.allTags", given)
		if err != nil {
			return err
		}
		labels = append(labels, label)
	}
	if filter.AllTags != nil && len(filter.AllTags) == 0 {
		q.Nothing()
	}
	slices.Sort(labels)
	for _, label := range slices.Compact(labels) {
		// Looked up first, whatever statistics say: those are of all clinics' labels.
		q.Where("id = ANY(ARRAY(SELECT t.contact_id FROM contact_tags t WHERE t.clinic_id = app_clinic() AND t.tag = ?))", label)
		q.Gather()
	}
	return nil
}

// bornOn adds that a birthday falls into days, whatever the year. Who was born on the
// 29th of February has it on the 28th in years that have no 29th.
func bornOn(q *entity.Query, days *models.DateRange) error {
	if days == nil {
		return nil
	}
	if days.From != nil && days.To != nil && days.To.Before(*days.From) {
		return models.BadInput("the range ends before it begins")
	}
	// Of an open range every day is one, and so of a range of a year.
	from, to := models.NewDate(2000, time.January, 1), models.NewDate(2000, time.December, 31)
	if days.From != nil && days.To != nil && days.To.Before(days.From.AddYear()) {
		from, to = *days.From, *days.To
	}
	const leapDay, before, after = 229, 228, 301
	var birthdays []int16
	for day := from; !to.Before(day); day = day.AddDays(1) {
		birthdays = append(birthdays, day.Birthday())
		if day.Birthday() == before && day.AddDays(1).Birthday() == after {
			birthdays = append(birthdays, leapDay)
		}
	}
	slices.Sort(birthdays)
	birthdays = slices.Compact(birthdays)
	where := q.WhereWide
	if len(birthdays) < 183 {
		q.Gather()
		where = q.Where
	}
	where("birthday = ANY(?)", birthdays)
	return nil
}

// seen is an appointment that has begun and was neither cancelled nor missed.
const seen = "SELECT FROM appointments a WHERE a.clinic_id = contacts.clinic_id AND a.contact_id = contacts.id" +
	" AND a.status NOT IN ('cancelado', 'faltou')"

// lastSeen adds that the latest appointment that has begun lies in a range.
func lastSeen(q *entity.Query, span *models.DateTimeRange) error {
	if span == nil {
		return nil
	}
	from, to := time.Time{}, q.Now()
	where := q.WhereWideBeside
	if entity.Narrow(span, q.Now()) {
		q.Gather()
		where = q.Where
	}
	if span.From != nil {
		from = *span.From
	}
	if span.To != nil {
		if err := entity.Ordered(from, *span.To); err != nil {
			return err
		}
		if span.To.Before(to) {
			to = *span.To
			where("NOT EXISTS ("+seen+" AND a.starts_at >= ? AND a.starts_at < ?)", to, q.Now())
		}
	}
	if span.From == nil {
		where("EXISTS ("+seen+" AND a.starts_at < ?)", to)
	} else {
		where("EXISTS ("+seen+" AND a.starts_at >= ? AND a.starts_at < ?)", from, to)
	}
	return nil
}

func practitionerOf(filter *models.ContactFilter) (uuid.UUID, error) {
	id, err := models.KindPractitioner.Parse(*filter.PractitionerID)
	if err != nil {
		return uuid.Nil, models.BadInput("filter.practitionerId is no id of a practitioner")
	}
	return id, nil
}

// dependsOnContacts declares what decides who is in a list of contacts: their names,
// status and labels, and whatever else the filter and the order look at.
func dependsOnContacts(r *entity.Reading, ask *entity.Ask) error {
	r.Depends(touched.Of("contact/list"))
	filter := entity.Arg[*models.ContactFilter](ask.Args, "filter")
	if filter == nil {
		filter = &models.ContactFilter{}
	}
	if column, _, _ := contactOrder(ask.Args); column == "updated_at" ||
		filter.UpdatedAt != nil || filter.Birthday != nil || filter.HasTaxID != nil {
		r.Depends(touched.Of("contact/updated"))
	}
	if filter.PractitionerID != nil {
		practitioner, err := practitionerOf(filter)
		if err != nil {
			return err
		}
		r.Depends(touched.OnID("appointment", "practitioner", practitioner))
	}
	if filter.LastAppointment == nil {
		return nil
	}
	r.Depends(touched.Of("appointment/all"))
	if r.Kept() {
		// Whose appointment begins next will have been seen last then.
		r.Find("SELECT min(starts_at) FROM appointments WHERE clinic_id = $1 AND starts_at >= $2 AND status NOT IN ('cancelado', 'faltou')",
			func(rows pgx.Rows) error {
				begins, err := pgx.CollectOneRow(rows, pgx.RowTo[*time.Time])
				if err == nil && begins != nil {
					r.Until(*begins)
				}
				return err
			}, r.Now())
	}
	return nil
}
