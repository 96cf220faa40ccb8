package load

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// scenario is one kind of work in a clinic, with its share of the requests.
type scenario struct {
	name   string
	weight int
	play   func(ctx context.Context, t *turn)
}

// mix is the clinic's mix. Finance joins it with the API's money.
func mix() []scenario {
	return []scenario{
		{"registration", 20, registration},
		{"scheduling", 30, schedulingDesk},
		{"records", 25, charting},
		{"calendar", 15, calendar},
	}
}

func mixTotal() int {
	total := 0
	for _, s := range mix() {
		total += s.weight
	}
	return total
}

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
	confirmOne    = `mutation Confirm($input: AppointmentStepInput!) { confirmAppointment(input: $input) { appointment { id version } userErrors { code message } } }`
	createRecord  = `mutation Record($input: CreateMedicalRecordInput!) { createMedicalRecord(input: $input) { medicalRecord { id version } userErrors { code message } } }`
)

// How often a request of a scenario writes, in percent.
const (
	registrationWrites = 10
	schedulingWrites   = 10
	chartingWrites     = 5
)

// open looks around a clinic: the ids that the load asks about.
func (w *world) open(ctx context.Context, clinic Clinic, server int) (*site, error) {
	s := &site{Clinic: clinic, today: time.Now().UTC().Truncate(24 * time.Hour)}
	var around struct {
		Clinic struct {
			Practitioners, Services struct{ Nodes []entity }
		}
		Contacts struct{ Nodes []entity }
	}
	answer, err := w.post(ctx, clinic, server%len(w.options.URLs), `query { clinic { practitioners(active: true, first: 100) { nodes { id } } services(active: true, first: 100) { nodes { id } } }
		contacts(filter: {status: [ACTIVE]}, first: 100) { nodes { id } } }`, nil)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(answer.data, &around); err != nil {
		return nil, err
	}
	for list, nodes := range map[*[]string][]entity{
		&s.contacts: around.Contacts.Nodes, &s.practitioners: around.Clinic.Practitioners.Nodes, &s.services: around.Clinic.Services.Nodes,
	} {
		for _, node := range nodes {
			*list = append(*list, node.ID)
		}
		if len(*list) == 0 {
			return nil, fmt.Errorf("the clinic has no contacts, practitioners or services: seed it first")
		}
	}
	return s, nil
}

func registration(ctx context.Context, t *turn) {
	switch choice := t.dice.IntN(100); {
	case choice < registrationWrites/2:
		t.write(ctx, createContact, map[string]any{"name": "Paciente " + fmt.Sprint(t.dice.IntN(1e6)), "source": "load"}, "createContact", "contact")
	case choice < registrationWrites:
		t.write(ctx, updateContact, map[string]any{"id": pick(t.dice, t.site.contacts), "notes": fmt.Sprint("load ", t.dice.IntN(1e6))}, "updateContact", "contact")
	case choice < 40:
		texts := []string{"maria", "silva", "joao", "souza", "ana", "santos", "jose", "oliveira"}
		var shown struct{ SearchContacts struct{ Nodes []entity } }
		t.read(ctx, searchContacts, map[string]any{"text": texts[t.dice.IntN(len(texts))]}, &shown, func() []entity { return shown.SearchContacts.Nodes })
	case choice < 70:
		var shown struct {
			Contacts struct {
				Nodes []struct {
					entity
					NextAppointment entity
				}
			}
		}
		t.read(ctx, contactList, nil, &shown, func() []entity {
			var all []entity
			for _, node := range shown.Contacts.Nodes {
				all = append(all, node.entity, node.NextAppointment)
			}
			return all
		})
	default:
		t.contactPage(ctx)
	}
}

func schedulingDesk(ctx context.Context, t *turn) {
	day := t.day(t.dice.IntN(14))
	switch choice := t.dice.IntN(100); {
	case choice < schedulingWrites:
		t.book(ctx, day)
	case choice < 25:
		var shown struct {
			Availability []struct{ StartsAt time.Time }
		}
		t.read(ctx, openSlots, map[string]any{
			"practitioner": pick(t.dice, t.site.practitioners), "service": pick(t.dice, t.site.services), "range": rangeOf(day, 1),
		}, &shown, func() []entity { return nil })
	default:
		t.dayView(ctx, day)
	}
}

func charting(ctx context.Context, t *turn) {
	if t.dice.IntN(100) < chartingWrites {
		t.write(ctx, createRecord, map[string]any{
			"contactId": pick(t.dice, t.site.contacts), "practitionerId": pick(t.dice, t.site.practitioners),
			"kind": "EVOLUTION", "title": "Evolução", "body": "Paciente em bom estado geral.",
		}, "createMedicalRecord", "medicalRecord")
		return
	}
	t.contactPage(ctx)
}

func calendar(ctx context.Context, t *turn) {
	var shown struct {
		Practitioner struct {
			Appointments struct {
				Nodes []struct {
					entity
					Contact entity
				}
			}
		}
	}
	t.read(ctx, weekView, map[string]any{"id": pick(t.dice, t.site.practitioners), "range": rangeOf(t.day(7*t.dice.IntN(3)), 7)}, &shown, func() []entity {
		var all []entity
		for _, node := range shown.Practitioner.Appointments.Nodes {
			all = append(all, node.entity, node.Contact)
		}
		return all
	})
}

// day is midnight in São Paulo, some days from today.
func (t *turn) day(ahead int) time.Time {
	const saoPaulo = 3 * time.Hour
	return t.site.today.AddDate(0, 0, ahead).Add(saoPaulo)
}

func rangeOf(day time.Time, days int) map[string]any {
	return map[string]any{"from": day, "to": day.AddDate(0, 0, days)}
}

// read asks, reads the answer into shown, and checks the entities it shows.
func (t *turn) read(ctx context.Context, query string, variables map[string]any, shown any, entities func() []entity) {
	answer, o := t.send(ctx, query, variables)
	if answer != nil {
		if err := json.Unmarshal(answer.data, shown); err != nil {
			o.failure = err.Error()
		} else {
			t.check(&o, answer.asked, entities()...)
		}
	}
	t.report(o)
}

func (t *turn) contactPage(ctx context.Context) {
	var shown struct {
		Contact struct {
			entity
			Appointments, MedicalRecords struct{ Nodes []entity }
		}
	}
	t.read(ctx, contactPage, map[string]any{"id": pick(t.dice, t.site.contacts)}, &shown, func() []entity {
		return append(append(shown.Contact.MedicalRecords.Nodes, shown.Contact.Appointments.Nodes...), shown.Contact.entity)
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
	answer, o := t.send(ctx, dayView, map[string]any{"range": rangeOf(day, 1)})
	if answer != nil {
		if err := json.Unmarshal(answer.data, &shown); err != nil {
			o.failure = err.Error()
		}
		ids := map[string]bool{}
		for _, node := range shown.Appointments.Nodes {
			ids[node.ID] = true
			t.check(&o, answer.asked, node.entity, node.Contact)
		}
		if !shown.Appointments.PageInfo.HasNextPage && t.world.oracle.missing(t.site.ID, day.Format(time.DateOnly), ids, answer.asked) > 0 {
			o.stale = true
		}
	}
	t.report(o)
}

// write sends a mutation and takes down what was acknowledged.
func (t *turn) write(ctx context.Context, query string, input map[string]any, field, entityField string) (acknowledged string) {
	answer, o := t.send(ctx, query, map[string]any{"input": input})
	if answer != nil {
		written, err := writtenIn(answer.data, field, entityField)
		switch {
		case err != nil:
			o.failure = err.Error()
		case written == nil:
			o.refused = true
		default:
			t.world.oracle.wrote(written.ID, written.Version)
			acknowledged = written.ID
		}
	}
	t.report(o)
	return acknowledged
}

// writtenIn is the entity in a mutation's payload; nil where it was refused.
func writtenIn(data json.RawMessage, field, entityField string) (*entity, error) {
	var fields, payload map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(fields[field], &payload); err != nil {
		return nil, err
	}
	var written *entity
	err := json.Unmarshal(payload[entityField], &written)
	return written, err
}

// book takes a place in the day, wherever there is one: it may be refused, as
// at any front desk. Some bookings are confirmed at once.
func (t *turn) book(ctx context.Context, day time.Time) {
	start := day.Add(time.Duration(8*60+15*t.dice.IntN(36)) * time.Minute)
	id := t.write(ctx, scheduleOne, map[string]any{
		"contactId": pick(t.dice, t.site.contacts), "practitionerId": pick(t.dice, t.site.practitioners),
		"startsAt": start, "endsAt": start.Add(15 * time.Minute), "allowOutsideHours": true,
	}, "scheduleAppointment", "appointment")
	if id == "" {
		return
	}
	t.world.oracle.booked(t.site.ID, day.Format(time.DateOnly), id)
	if t.dice.IntN(2) == 0 {
		t.at = time.Now()
		t.write(ctx, confirmOne, map[string]any{"id": id}, "confirmAppointment", "appointment")
	}
}
