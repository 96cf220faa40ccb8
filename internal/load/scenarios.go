package load

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

const (
	contactList = `query ContactList($after: String) { contacts(filter: {status: [ACTIVE]}, orderBy: {field: NAME, direction: ASC}, first: 50, after: $after) {
		nodes { id version name phone email status nextAppointment { id version startsAt practitioner { name } } } pageInfo { hasNextPage endCursor } } }`
	contactPage = `query ContactPage($id: ID!) { contact(id: $id) { id version name preferredName email phone taxId birthDate status tags source notes externalReference createdAt updatedAt
		appointments(first: 10) { nodes { id version startsAt endsAt status practitioner { id name } } }
		medicalRecords(first: 5) { nodes { id version kind title createdAt practitioner { id name } } } } }`
	searchContacts = `query Search($text: String!) { searchContacts(query: $text, first: 10) { nodes { id version name phone } } }`
	dayView        = `query DayView($range: DateTimeRange!) { appointments(filter: {range: $range}, first: 100) {
		nodes { id version startsAt endsAt status contact { id version name phone } practitioner { id name } service { id name } } pageInfo { hasNextPage } } }`
	weekView = `query Week($id: ID!, $range: DateTimeRange!) { practitioner(id: $id) { id name workingHours { weekday fromMinute toMinute }
		appointments(range: $range, first: 100) { nodes { id version startsAt endsAt status contact { id version name } } } } }`
	openSlots     = `query Slots($practitioner: ID!, $service: ID!, $range: DateTimeRange!) { availability(practitionerIds: [$practitioner], serviceId: $service, range: $range) { startsAt endsAt } }`
	createContact = `mutation Create($input: CreateContactInput!) { createContact(input: $input) { contact { id version } userErrors { code message } } }`
	updateContact = `mutation Update($input: UpdateContactInput!) { updateContact(input: $input) { contact { id version } userErrors { code message } } }`
	scheduleOne   = `mutation Schedule($input: ScheduleAppointmentInput!) { scheduleAppointment(input: $input) { appointment { id version startsAt } userErrors { code message } } }`
	moveOne       = `mutation Move($input: RescheduleAppointmentInput!) { rescheduleAppointment(input: $input) { appointment { id version startsAt } userErrors { code message } } }`
	confirmOne    = `mutation Confirm($input: AppointmentStepInput!) { confirmAppointment(input: $input) { appointment { id version } userErrors { code message } } }`
	cancelOne     = `mutation Cancel($input: CancelAppointmentInput!) { cancelAppointment(input: $input) { appointment { id version } userErrors { code message } } }`
	createRecord  = `mutation Record($input: CreateMedicalRecordInput!) { createMedicalRecord(input: $input) { medicalRecord { id version } userErrors { code message } } }`
)

// horizon is how many days the load is about.
const horizon = 14

// open looks around a clinic: the ids that the load asks about.
func (w *world) open(ctx context.Context, clinic Clinic, server int) (*site, error) {
	s := &site{Clinic: clinic, services: map[string][]string{}}
	var around struct {
		Clinic struct {
			Practitioners struct {
				Nodes []struct {
					ID       string
					Services struct{ Nodes []entity }
				}
			}
		}
		Contacts      struct{ Nodes []person }
		Conversations struct{ Nodes []entity }
	}
	ask := func(query string, variables map[string]any, into any) error {
		answer, err := w.post(ctx, clinic.ID, clinic.Reception, server%len(w.options.URLs), query, variables)
		if err != nil {
			return err
		}
		return json.Unmarshal(answer.data, into)
	}
	err := ask(`query Around { clinic { practitioners(active: true, first: 100) { nodes { id services(first: 20) { nodes { id } } } } }
		contacts(filter: {status: [ACTIVE]}, first: 100) { nodes { id name } }
		conversations(status: [OPEN, PENDING], channel: [WEB], first: 50) { nodes { id } } }`, nil, &around)
	if err != nil {
		return nil, err
	}
	for _, who := range around.Clinic.Practitioners.Nodes {
		for _, service := range who.Services.Nodes {
			s.services[who.ID] = append(s.services[who.ID], service.ID)
		}
		if len(who.Services.Nodes) > 0 {
			s.practitioners = append(s.practitioners, who.ID)
		}
	}
	s.others = around.Contacts.Nodes
	for _, open := range around.Conversations.Nodes {
		s.talking = append(s.talking, open.ID)
	}
	if len(s.others) == 0 || len(s.practitioners) == 0 {
		return nil, errors.New("the clinic has no contacts, or no practitioners who offer anything: seed it first")
	}
	const saoPaulo = 3 * time.Hour // behind UTC, all year round
	today := time.Now().Add(-saoPaulo).UTC().Truncate(24 * time.Hour).Add(saoPaulo)
	known := map[string]bool{}
	// A day off has no work: the load's first day is the next that has.
	const longestHoliday = 5
	for ahead := 0; len(s.days) < horizon; ahead++ {
		day := today.AddDate(0, 0, ahead)
		var shown struct {
			Appointments struct {
				Nodes []struct {
					ID      string
					Contact person
				}
			}
		}
		if len(s.days) < 2 {
			if err := ask(dayView, map[string]any{"range": rangeOf(day, 1)}, &shown); err != nil {
				return nil, err
			}
		}
		if len(s.days) == 0 && len(shown.Appointments.Nodes) == 0 && ahead < longestHoliday {
			continue
		}
		s.days = append(s.days, day)
		for _, node := range shown.Appointments.Nodes {
			if !known[node.Contact.ID] {
				known[node.Contact.ID] = true
				s.soon = append(s.soon, node.Contact)
			}
			s.found = append(s.found, node.ID)
		}
	}
	return s, w.subscribe(ask, s)
}

func registration(ctx context.Context, t *turn) {
	if t.chance(talking) {
		talks(ctx, t)
		return
	}
	writes := t.world.options.Writes
	switch drawn := t.dice.Float64() * 100; {
	case drawn < writes*newPatients/100:
		t.write(ctx, createContact, map[string]any{"name": "Paciente " + fmt.Sprint(t.dice.IntN(1e6)), "source": "load"}, "createContact", "contact")
	case drawn < writes:
		input := map[string]any{"id": t.written().ID}
		if t.chance(50) {
			input["notes"] = fmt.Sprint("load ", t.dice.IntN(1e6))
		} else {
			input["phone"] = fmt.Sprintf("+55119%08d", t.dice.IntN(1e8))
		}
		t.write(ctx, updateContact, input, "updateContact", "contact")
	case drawn < writes+25:
		t.search(ctx)
	case drawn < writes+55:
		t.contactList(ctx)
	default:
		t.contactPage(ctx, t.patient(expectedAtReception).ID)
	}
}

func schedulingDesk(ctx context.Context, t *turn) {
	switch drawn := t.dice.Float64() * 100; {
	case drawn < t.world.options.Writes:
		t.changeDiary(ctx)
	case drawn < 12:
		practitioner, service := t.practitioner()
		t.slots(ctx, practitioner, service, t.site().days[t.ahead(bookingToday, bookingTomorrow)])
	default:
		t.dayView(ctx, t.site().days[t.ahead(lookingToday, lookingTomorrow)])
	}
}

func charting(ctx context.Context, t *turn) {
	if t.chance(t.world.options.Writes / chartsPerWrite) {
		t.write(ctx, createRecord, map[string]any{
			"contactId": t.written().ID, "practitionerId": t.own(),
			"kind": "EVOLUTION", "title": "Evolução", "body": "Paciente em bom estado geral.",
		}, "createMedicalRecord", "medicalRecord")
		return
	}
	t.contactPage(ctx, t.patient(expectedAtPractice).ID)
}

// own is the practitioner whose session it is.
func (t *turn) own() string {
	all := t.site().practitioners
	return all[t.session.own%len(all)]
}

func rangeOf(day time.Time, days int) map[string]any {
	return map[string]any{"from": day, "to": day.AddDate(0, 0, days)}
}

// search looks for a patient by the beginning of their name, or all of it.
func (t *turn) search(ctx context.Context) {
	text := t.patient(expectedAtReception).Name
	if first, _, _ := strings.Cut(text, " "); t.chance(50) {
		text = first
	}
	var shown struct{ SearchContacts struct{ Nodes []entity } }
	t.read(ctx, searchContacts, map[string]any{"text": text}, &shown, func(c *check) { c.entities(shown.SearchContacts.Nodes...) })
}

func (t *turn) contactList(ctx context.Context) {
	var shown struct {
		Contacts struct {
			Nodes []struct {
				entity
				NextAppointment entity
			}
		}
	}
	t.read(ctx, contactList, nil, &shown, func(c *check) {
		for _, node := range shown.Contacts.Nodes {
			c.entities(node.entity, node.NextAppointment)
		}
	})
}

func (t *turn) contactPage(ctx context.Context, id string) {
	var shown struct {
		Contact struct {
			entity
			Appointments, MedicalRecords struct{ Nodes []entity }
		}
	}
	t.read(ctx, contactPage, map[string]any{"id": id}, &shown, func(c *check) {
		if shown.Contact.ID == "" {
			c.found(t.world.oracle.absent(t.session, id, c.reply.asked, c.reply.answered))
		}
		c.entities(shown.Contact.entity)
		c.entities(shown.Contact.Appointments.Nodes...)
		c.entities(shown.Contact.MedicalRecords.Nodes...)
	})
}

// dayView also looks for the bookings that it must show.
func (t *turn) dayView(ctx context.Context, day time.Time) {
	var shown struct {
		Appointments struct {
			Nodes []struct {
				entity
				Contact entity
			}
			PageInfo struct{ HasNextPage bool }
		}
	}
	t.read(ctx, dayView, map[string]any{"range": rangeOf(day, 1)}, &shown, func(c *check) {
		ids := map[string]bool{}
		for _, node := range shown.Appointments.Nodes {
			ids[node.ID] = true
			c.entities(node.entity, node.Contact)
		}
		if !shown.Appointments.PageInfo.HasNextPage {
			c.found(t.world.oracle.missing(t.session, day.Format(time.DateOnly), ids, c.reply.asked, c.reply.answered))
		}
	})
}

// slots gives the free slots of a practitioner's day.
func (t *turn) slots(ctx context.Context, practitioner, service string, day time.Time) (free []time.Time) {
	var shown struct {
		Availability []struct{ StartsAt time.Time }
	}
	t.read(ctx, openSlots, map[string]any{"practitioner": practitioner, "service": service, "range": rangeOf(day, 1)}, &shown, nil)
	for _, slot := range shown.Availability {
		free = append(free, slot.StartsAt)
	}
	return free
}
