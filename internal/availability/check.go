package availability

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/internal/touched"
	"github.com/taskmed/taskmed/models"
)

// How far around a refused time alternatives are looked for, and how many.
const (
	alternativesBefore = 7 * 24 * time.Hour
	alternativesAfter  = 14 * 24 * time.Hour
	mostAlternatives   = 5
)

// longestAppointment bounds a time that can be asked for.
const longestAppointment = 24 * time.Hour

// Asked is a time whose freedom is asked for. The end is nil where the service says how
// long it takes, and the service and the contact are uuid.Nil where there is none.
type Asked struct {
	Practitioner, Service, Contact uuid.UUID
	StartsAt                       time.Time
	EndsAt                         *time.Time
}

// Check tells whether a time is free and, where it is not, what stands in the way and
// what is free near to it. Errors of code BAD_USER_INPUT tell that it is no time that
// could be booked at all, or that an id points at nothing in this clinic.
func (b *Book) Check(ctx context.Context, asked Asked) (*models.SlotCheck, error) {
	scope, err := tenant.From(ctx)
	if err != nil {
		return nil, err
	}
	known, zone, err := b.setting(ctx, asked.Service)
	if err != nil {
		return nil, err
	}
	now := b.now()
	span, err := asked.span(known, now)
	if err != nil {
		return nil, err
	}
	people, err := b.people(ctx, wanted{ids: []uuid.UUID{asked.Practitioner}, service: asked.Service, most: 1})
	if err != nil {
		return nil, err
	}
	if len(people) == 0 {
		return nil, models.BadInput("practitionerId is no id of a practitioner of this clinic")
	}
	if asked.Contact != uuid.Nil {
		if err := b.knowsContact(ctx, scope, asked.Contact); err != nil {
			return nil, err
		}
	}
	if err := b.dependOn(ctx, []uuid.UUID{asked.Practitioner}, span); err != nil {
		return nil, err
	}
	facts, err := b.facts(ctx, known, zone, people, asked.Contact, span)
	if err != nil {
		return nil, err
	}
	check := &models.SlotCheck{
		Obstacles:    facts.Obstacles(scope, Question{Practitioner: asked.Practitioner, Span: span}, now),
		Alternatives: []*models.Slot{},
	}
	if check.Free = len(check.Obstacles) == 0; check.Free {
		touched.Until(ctx, span.From)
		return check, nil
	}
	// What is past, and who may still enter it, is told by the clock.
	touched.Until(ctx, now.Truncate(time.Minute).Add(time.Minute))
	check.Alternatives, err = b.Alternatives(ctx, asked.Practitioner, asked.Service, span)
	return check, err
}

// span is the time that is asked for, if anything could be booked at it.
func (a Asked) span(known *setting, now time.Time) (Span, error) {
	if a.Service != uuid.Nil && known.DurationMinutes == nil {
		return Span{}, models.BadInput("serviceId is no id of a service of this clinic")
	}
	span := Span{From: a.StartsAt}
	switch {
	case a.EndsAt != nil:
		span.To = *a.EndsAt
	case a.Service != uuid.Nil:
		span.To = span.From.Add(known.length())
	default:
		return Span{}, models.BadInput("say when it ends, by endsAt, or which service it is")
	}
	switch {
	case !WholeMinute(span.From) || !WholeMinute(span.To):
		return Span{}, models.BadInput("an appointment begins and ends at a whole minute")
	case span.empty():
		return Span{}, models.BadInput("an appointment ends after it begins")
	case span.To.Sub(span.From) > longestAppointment:
		return Span{}, models.BadInput("an appointment takes 24 hours at most")
	case span.From.After(Latest(now)):
		return Span{}, models.BadInput("this is more than %d years ahead", farthestAheadYears)
	}
	return span, nil
}

// WholeMinute tells whether an instant has no seconds.
func WholeMinute(t time.Time) bool { return t.Truncate(time.Minute).Equal(t) }

func (b *Book) knowsContact(ctx context.Context, scope *tenant.Scope, contact uuid.UUID) error {
	rows, err := database.Rows[models.Contact](database.Depends(ctx, touched.Entity(models.KindContact, contact)), b.db,
		"SELECT status FROM contacts WHERE clinic_id = $1 AND id = $2", scope.ClinicID, contact)
	switch {
	case err != nil:
		return err
	case len(rows) == 0:
		return models.BadInput("contactId is no id of a contact of this clinic")
	case rows[0].Status == models.ContactStatusArchived:
		return models.BadInput("contactId is a contact who was put away: make them active first")
	}
	return nil
}

// Alternatives are free slots as long as a time that was refused and nearest to it: the
// same practitioner's and, where those are too few, others' who offer the service.
func (b *Book) Alternatives(ctx context.Context, practitioner, service uuid.UUID, refused Span) ([]*models.Slot, error) {
	known, zone, err := b.setting(ctx, service)
	if err != nil {
		return nil, err
	}
	now := b.now()
	within := Span{later(refused.From.Add(-alternativesBefore), now), earlier(refused.From.Add(alternativesAfter), Latest(now))}
	found := []*models.Slot{}
	if within.empty() {
		return found, nil
	}
	for _, whose := range [][]uuid.UUID{{practitioner}, nil} {
		if len(found) == mostAlternatives {
			break
		}
		people, err := b.people(ctx, wanted{ids: whose, service: service, most: mostPractitioners})
		if err != nil {
			return nil, err
		}
		if whose == nil {
			delete(people, practitioner)
		}
		if err := b.dependOn(ctx, whose, within); err != nil {
			return nil, err
		}
		facts, err := b.facts(ctx, known, zone, people, uuid.Nil, within)
		if err != nil {
			return nil, err
		}
		found = append(found, nearest(facts.slots(refused.To.Sub(refused.From), now, mostSlots), refused.From, mostAlternatives-len(found))...)
	}
	for _, slot := range found {
		touched.Until(ctx, slot.StartsAt)
	}
	return found, nil
}

// nearest gives those of the slots that begin nearest to an instant, nearest first and,
// where two are equally near, the earlier first.
func nearest(all []*models.Slot, wanted time.Time, count int) []*models.Slot {
	slices.SortFunc(all, func(a, b *models.Slot) int {
		return cmp.Or(
			cmp.Compare(a.StartsAt.Sub(wanted).Abs(), b.StartsAt.Sub(wanted).Abs()),
			a.StartsAt.Compare(b.StartsAt), bytes.Compare(a.PractitionerID[:], b.PractitionerID[:]))
	})
	return all[:min(count, len(all))]
}
