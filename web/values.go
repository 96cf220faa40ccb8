package web

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"time"
)

//go:embed context/clinic.graphql
var clinicQuery string

//go:embed context/diary.graphql
var diaryQuery string

// Run sends one operation and returns the answer's data. An answer with errors
// is an error.
type Run func(ctx context.Context, query string, variables map[string]any) (json.RawMessage, error)

// Values asks the API for what the examples' placeholders stand for, by the same
// two queries and rules as the page (src/values.ts):
//
//	today, tomorrow                             dates in the clinic's time zone
//	todayStart, tomorrowStart, nextWeekStart    midnights there, RFC 3339
//	dayStart, dayEnd                            those around the day of the next appointment
//	practitionerId, serviceId, contactId,       ids that exist in the clinic
//	appointmentId
//	freeSlotStart, freeSlotEnd                  a slot that can be booked, RFC 3339
//
// What the clinic has none of is left out, so that Resolve names it.
func Values(ctx context.Context, run Run, now time.Time) (map[string]string, error) {
	var clinic struct {
		Viewer struct {
			Clinic struct {
				TimeZone      string
				Practitioners nodes
			}
		}
		Contacts nodes
	}
	if err := fetch(ctx, run, clinicQuery, nil, &clinic); err != nil {
		return nil, fmt.Errorf("the examples' clinic: %w", err)
	}
	zone, err := time.LoadLocation(clinic.Viewer.Clinic.TimeZone)
	if err != nil {
		return nil, fmt.Errorf("the clinic's time zone: %w", err)
	}
	now = now.In(zone)
	values := dates(now)
	put(values, "practitionerId", clinic.Viewer.Clinic.Practitioners.first().ID)
	if offered := clinic.Viewer.Clinic.Practitioners.first().Services; offered != nil {
		put(values, "serviceId", offered.first().ID)
	}
	put(values, "contactId", clinic.Contacts.first().ID)
	if values["practitionerId"] == "" || values["serviceId"] == "" {
		return values, nil
	}

	var diary struct {
		Appointments nodes
		Availability []struct{ StartsAt, EndsAt string }
	}
	err = fetch(ctx, run, diaryQuery, map[string]any{
		"next":            map[string]string{"from": now.Format(time.RFC3339), "to": values["nextWeekStart"]},
		"coming":          map[string]string{"from": values["tomorrowStart"], "to": values["nextWeekStart"]},
		"practitionerIds": []string{values["practitionerId"]},
		"serviceId":       values["serviceId"],
	}, &diary)
	if err != nil {
		return nil, fmt.Errorf("the examples' diary: %w", err)
	}
	appointment := diary.Appointments.first()
	put(values, "appointmentId", appointment.ID)
	put(values, "contactId", appointment.Contact.ID)
	if !appointment.StartsAt.IsZero() {
		day := appointment.StartsAt.In(zone)
		values["dayStart"], values["dayEnd"] = midnight(day, 0), midnight(day, 1)
	}
	if len(diary.Availability) > 0 {
		put(values, "freeSlotStart", diary.Availability[0].StartsAt)
		put(values, "freeSlotEnd", diary.Availability[0].EndsAt)
	}
	return values, nil
}

func dates(now time.Time) map[string]string {
	today, tomorrow := midnight(now, 0), midnight(now, 1)
	return map[string]string{
		"today":         today[:len(time.DateOnly)],
		"tomorrow":      tomorrow[:len(time.DateOnly)],
		"todayStart":    today,
		"tomorrowStart": tomorrow,
		"nextWeekStart": midnight(now, 8),
		"dayStart":      today,
		"dayEnd":        tomorrow,
	}
}

// midnight is that of a day in its own time zone, or of so many days later, in RFC 3339.
func midnight(day time.Time, later int) string {
	return time.Date(day.Year(), day.Month(), day.Day()+later, 0, 0, 0, 0, day.Location()).Format(time.RFC3339)
}

type node struct {
	ID       string
	StartsAt time.Time
	Contact  struct{ ID string }
	// Services are a practitioner's.
	Services *nodes
}

type nodes struct{ Nodes []node }

// first is the zero node where there is none.
func (n nodes) first() node {
	if len(n.Nodes) == 0 {
		return node{}
	}
	return n.Nodes[0]
}

func put(values map[string]string, name, value string) {
	if value != "" {
		values[name] = value
	}
}

func fetch(ctx context.Context, run Run, query string, variables map[string]any, into any) error {
	data, err := run(ctx, query, variables)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	return nil
}
