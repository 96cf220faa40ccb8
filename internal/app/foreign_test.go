package app_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/taskmed/taskmed/graph/generated"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/models"
)

// TestForeignIDs_AreAsGoodAsNone walks the schema to every ID argument and input
// field, every cursor included, and sends another clinic's id and an id that
// never was: the answers are equal byte for byte (promise I3). The same requests
// with the clinic's own ids are answered otherwise, so that equality says something.
func TestForeignIDs_AreAsGoodAsNone(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	own, other := furnished(t, d, "own"), furnished(t, d, "other")
	server := api.NewServer(t, d)
	owner := server.As(t, own.clinic, models.RoleOwner)
	schema := generated.NewExecutableSchema(generated.Config{}).Schema()

	w := idWalker{schema: schema}
	var requests []idRequest
	for _, root := range []*ast.Definition{schema.Query, schema.Mutation} {
		for _, field := range root.Fields {
			if strings.HasPrefix(field.Name, "__") {
				continue
			}
			requests = append(requests, w.requests(root, field)...)
		}
	}
	require.Greater(t, len(requests), 25, "the walk found the schema's ids")
	differ := 0
	for _, request := range requests {
		for _, kind := range request.kinds {
			none := models.NewID()
			absent := owner.Do(t, request.query, request.variables(own, kind.Global(none)))
			foreign := owner.Do(t, request.query, request.variables(own, other.ids[kind]))
			require.Equal(t, withoutTokens(absent.Body), withoutTokens(foreign.Body), "%s with a foreign %s", request.name, kind)
			require.NotContains(t, string(foreign.Body), other.canary)
			require.NotContains(t, string(absent.Body), "GRAPHQL_VALIDATION_FAILED", request.name)
			// Dry runs: the same own ids serve the next request, too.
			if withoutTokens(owner.Do(t, request.query, request.variables(own, own.ids[kind])).Body) != withoutTokens(absent.Body) {
				differ++
			}
		}
	}
	require.Greater(t, differ, len(requests)/2, "own ids are answered")
	t.Logf("%d places for an id; the own ids were answered otherwise %d times", len(requests), differ)
}

// syncTokens are the tokens of calendarChanges: another at each reading, for a nonce is in it.
var syncTokens = regexp.MustCompile(`"syncToken":"[^"]*"`)

// withoutTokens is an answer without what differs each time that it is asked for.
func withoutTokens(body []byte) string { return syncTokens.ReplaceAllString(string(body), "") }

// furniture is a clinic with one entity of every kind.
type furniture struct {
	clinic *testkit.Clinic
	ids    map[models.Kind]string
	canary string
}

func furnished(t *testing.T, d *testkit.Database, slug string) *furniture {
	t.Helper()
	c := d.NewClinic(t, slug)
	f := &furniture{clinic: c, canary: "canary of " + slug}
	d.Exec(t, "UPDATE contacts SET name = $2, notes = $2 WHERE clinic_id = $1", c.ID, f.canary)
	appointment := d.Appointment(t, c, 0, 0, today().AddDate(0, 0, 7).Add(15*60*60*1e9), 30*60*1e9)
	series := models.NewID()
	d.Exec(t, "UPDATE appointments SET series_id = $2, recurrence_rule = 'FREQ=DAILY;COUNT=1', recurrence_local = '2026-11-30 12:00' WHERE id = $1", appointment, series)
	record := models.NewID()
	d.Exec(t, "INSERT INTO medical_records (clinic_id, id, contact_id, practitioner_id, kind, title, body) VALUES ($1, $2, $3, $4, 'evolution', $5, $5)",
		c.ID, record, c.Contacts[0], c.Practitioners[0], f.canary)
	attachment := models.NewID()
	d.Exec(t, "INSERT INTO attachments (clinic_id, id, medical_record_id, file_name, media_type, byte_size, digest) VALUES ($1, $2, $3, $4, 'text/plain', 1, repeat('0', 64))", c.ID, attachment, record, f.canary)
	invoice := models.NewID()
	d.Exec(t, "INSERT INTO invoices (clinic_id, id, contact_id, appointment_id, number, status, total_minor, paid_minor, due_date) VALUES ($1, $2, $3, $4, '1', 'paga_parcialmente', 100, 10, '2026-12-01')",
		c.ID, invoice, c.Contacts[0], appointment)
	payment, refund := models.NewID(), models.NewID()
	d.Exec(t, "INSERT INTO payments (clinic_id, id, invoice_id, amount_minor, refunded_minor, method, paid_at) VALUES ($1, $2, $3, 20, 10, 'pix', now())", c.ID, payment, invoice)
	d.Exec(t, "INSERT INTO refunds (clinic_id, id, payment_id, amount_minor, reason) VALUES ($1, $2, $3, 10, $4)", c.ID, refund, payment, f.canary)
	change := models.NewID()
	d.Exec(t, "INSERT INTO changes (clinic_id, id, position, event, entity_kind, entity_id, at) VALUES ($1, $2, 1, 'contact.created', 'contact', $3, now())", c.ID, change, c.Contacts[0])
	conversation, message, account := models.NewID(), models.NewID(), models.NewID()
	d.Exec(t, "INSERT INTO channel_accounts (clinic_id, id, channel, name, address, settings) VALUES ($1, $2, 'whatsapp', $3, $3, 'sealed')", c.ID, account, f.canary)
	d.Exec(t, "INSERT INTO contact_identities (clinic_id, id, contact_id, channel, value) VALUES ($1, $2, $3, 'whatsapp', $4)", c.ID, models.NewID(), c.Contacts[0], f.canary)
	d.Exec(t, "INSERT INTO conversations (clinic_id, id, contact_id, channel, received_count, account_id) VALUES ($1, $2, $3, 'whatsapp', 1, $4)", c.ID, conversation, c.Contacts[0], account)
	d.Exec(t, "INSERT INTO messages (clinic_id, id, conversation_id, direction, body, status) VALUES ($1, $2, $3, 'inbound', $4, 'entregue')", c.ID, message, conversation, f.canary)
	hold := models.NewID()
	d.Exec(t, `INSERT INTO slot_holds (clinic_id, id, practitioner_id, subject, starts_at, ends_at, created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5::timestamptz, $5::timestamptz + interval '30 minutes', now(), now() + interval '1 hour')`,
		c.ID, hold, c.Practitioners[0], testkit.Subject(slug, models.RoleOwner), today().AddDate(0, 0, 9).Add(15*time.Hour))
	key := models.NewID()
	d.Exec(t, "INSERT INTO api_keys (clinic_id, id, name, role, key_hash, last_four) VALUES ($1, $2, $3, 'partner', sha256(convert_to($3, 'UTF8')), '0000')", c.ID, key, f.canary)
	endpoint, delivery := models.NewID(), models.NewID()
	d.Exec(t, `INSERT INTO webhook_endpoints (clinic_id, id, url, events, keys, public_key) VALUES ($1, $2, 'https://example.com/' || $3, '{contact.created}', 'sealed', 'whpk_')`, c.ID, endpoint, slug)
	d.Exec(t, "INSERT INTO webhook_lanes (clinic_id, endpoint_id, cursor) VALUES ($1, $2, 1)", c.ID, endpoint)
	d.Exec(t, `INSERT INTO webhook_deliveries (clinic_id, id, endpoint_id, position, round, event, change_id, entity_kind, entity_id, at, stamped_at)
		VALUES ($1, $2, $3, 1, 0, 'contact.created', $4, 'contact', $5, now(), now())`, c.ID, delivery, endpoint, change, c.Contacts[0])
	waits := models.NewID()
	d.Exec(t, "INSERT INTO waitlist_entries (clinic_id, id, contact_id, service_id, joined_by) VALUES ($1, $2, $3, $4, 's')", c.ID, waits, c.Contacts[0], c.Services[0])
	f.ids = map[models.Kind]string{
		models.KindWaitlistEntry:   models.KindWaitlistEntry.Global(waits),
		models.KindAPIKey:          models.KindAPIKey.Global(key),
		models.KindSlotHold:        models.KindSlotHold.Global(hold),
		models.KindChange:          models.KindChange.Global(change),
		models.KindInvoice:         models.KindInvoice.Global(invoice),
		models.KindPayment:         models.KindPayment.Global(payment),
		models.KindRefund:          models.KindRefund.Global(refund),
		models.KindClinic:          models.KindClinic.Global(c.ID),
		models.KindPractitioner:    models.KindPractitioner.Global(c.Practitioners[0]),
		models.KindService:         models.KindService.Global(c.Services[0]),
		models.KindContact:         models.KindContact.Global(c.Contacts[0]),
		models.KindAppointment:     models.KindAppointment.Global(appointment),
		models.KindSeries:          models.KindSeries.Global(series),
		models.KindMedicalRecord:   models.KindMedicalRecord.Global(record),
		models.KindAttachment:      models.KindAttachment.Global(attachment),
		models.KindChannelAccount:  models.KindChannelAccount.Global(account),
		models.KindConversation:    models.KindConversation.Global(conversation),
		models.KindMessage:         models.KindMessage.Global(message),
		models.KindWebhookEndpoint: models.KindWebhookEndpoint.Global(endpoint),
		models.KindWebhookDelivery: models.KindWebhookDelivery.Global(delivery),
	}
	return f
}

// idRequest is a request in which one id can be exchanged.
type idRequest struct {
	name, query string
	kinds       []models.Kind
	variables   func(own *furniture, id string) map[string]any
}

type idWalker struct{ schema *ast.Schema }

// requests are those of a root field: one for each of its ids.
func (w idWalker) requests(root *ast.Definition, field *ast.FieldDefinition) []idRequest {
	operation, directive := "query", ""
	if root == w.schema.Mutation {
		operation, directive = "mutation", " @dryRun"
	}
	var declared, passed []string
	for _, argument := range field.Arguments {
		declared = append(declared, "$"+argument.Name+": "+argument.Type.String())
		passed = append(passed, argument.Name+": $"+argument.Name)
	}
	query := fmt.Sprintf("%s (%s) { %s(%s)%s { %s } }", operation, strings.Join(declared, ", "), field.Name,
		strings.Join(passed, ", "), directive, w.everything(field.Type.Name(), 3))
	var requests []idRequest
	for _, place := range w.places(field) {
		requests = append(requests, idRequest{
			name: field.Name + "." + strings.Join(place, "."), query: query, kinds: w.kinds(field, place),
			variables: func(own *furniture, id string) map[string]any {
				variables := map[string]any{}
				for _, argument := range field.Arguments {
					if value := w.value(argument.Name, argument.Type, own); value != nil {
						variables[argument.Name] = value
					}
				}
				w.put(variables, place, id, field)
				return variables
			},
		})
	}
	return requests
}

// places are the paths to a field's ids, through its input objects.
func (w idWalker) places(field *ast.FieldDefinition) [][]string {
	var places [][]string
	for _, argument := range field.Arguments {
		switch target := w.schema.Types[argument.Type.Name()]; {
		case argument.Type.Name() == "ID":
			places = append(places, []string{argument.Name})
		case target.Kind == ast.InputObject:
			for _, inner := range target.Fields {
				if inner.Type.Name() == "ID" {
					places = append(places, []string{argument.Name, inner.Name})
				}
			}
		}
	}
	return places
}

// kinds are what an id at a place may stand for, by its name and its field's.
func (w idWalker) kinds(field *ast.FieldDefinition, place []string) []models.Kind {
	name := strings.ToLower(strings.TrimSuffix(strings.TrimSuffix(place[len(place)-1], "s"), "Id"))
	for kind, word := range map[models.Kind]string{
		models.KindContact: "contact", models.KindPractitioner: "practitioner",
		models.KindService: "service", models.KindAppointment: "appointment", models.KindSeries: "series",
		models.KindConversation: "conversation", models.KindMessage: "uptomessage", models.KindChannelAccount: "account",
	} {
		if name == word {
			return []models.Kind{kind}
		}
	}
	named := strings.ToLower(field.Name)
	switch {
	case strings.HasPrefix(named, "node"):
		return []models.Kind{
			models.KindClinic, models.KindPractitioner, models.KindService, models.KindContact,
			models.KindAppointment, models.KindMedicalRecord, models.KindInvoice, models.KindConversation, models.KindMessage,
		}
	case strings.Contains(named, "conversation"):
		return []models.Kind{models.KindConversation}
	case strings.Contains(named, "webhook"):
		return []models.Kind{models.KindWebhookEndpoint}
	case strings.Contains(named, "channelaccount"):
		return []models.Kind{models.KindChannelAccount}
	case strings.Contains(named, "invoice"):
		return []models.Kind{models.KindInvoice}
	case strings.Contains(named, "record"):
		return []models.Kind{models.KindMedicalRecord}
	case strings.Contains(named, "contact"):
		return []models.Kind{models.KindContact}
	case strings.Contains(named, "practitioner"):
		return []models.Kind{models.KindPractitioner}
	}
	return []models.Kind{models.KindAppointment}
}

// value is a valid value for an argument or input field; nil leaves it out.
func (w idWalker) value(name string, of *ast.Type, own *furniture) any {
	target := w.schema.Types[of.Name()]
	switch {
	case target.Kind == ast.InputObject && (of.NonNull || name == "input"):
		object := map[string]any{}
		for _, inner := range target.Fields {
			if inner.Type.NonNull || name == "range" {
				object[inner.Name] = w.value(inner.Name, inner.Type, own)
			}
		}
		if name == "range" {
			object["from"], object["to"] = "2026-11-30T00:00:00Z", "2026-12-05T00:00:00Z"
			if of.Name() == "DateRange" {
				object["from"], object["to"] = "2026-11-30", "2026-12-05"
			}
		}
		return object
	case !of.NonNull:
		return nil
	case of.Name() == "ID":
		kind := w.kinds(&ast.FieldDefinition{Name: ""}, []string{name})[0]
		if of.Elem != nil {
			return []string{own.ids[kind]}
		}
		return own.ids[kind]
	case of.Name() == "DateTime":
		return "2026-12-01T18:00:00Z"
	case target.Kind == ast.Enum:
		return target.EnumValues[0].Name
	}
	return "text"
}

// put exchanges the id at a place.
func (w idWalker) put(variables map[string]any, place []string, id string, field *ast.FieldDefinition) {
	into := variables
	argument := field.Arguments.ForName(place[0])
	list := argument.Type.Elem != nil
	if len(place) == 2 {
		object, ok := variables[place[0]].(map[string]any)
		if !ok {
			object = map[string]any{}
			variables[place[0]] = object
		}
		into = object
	}
	if list {
		into[place[len(place)-1]] = []string{id}
		return
	}
	into[place[len(place)-1]] = id
	// A booking needs an end, if not by its service.
	if _, starts := into["startsAt"]; starts {
		into["endsAt"] = "2026-12-01T18:30:00Z"
	}
}

// everything selects all there is of a type, some levels deep.
func (w idWalker) everything(name string, levels int) string {
	target := w.schema.Types[name]
	if target.Kind == ast.Interface {
		// One field of each name: an operation may select few fields twice, and of two types
		// those of one name may be of different types.
		selected, seen := []string{"__typename", "id"}, map[string]bool{"id": true}
		for _, possible := range w.schema.PossibleTypes[name] {
			fields := []string{"__typename"}
			for field := range strings.FieldsSeq(w.everything(possible.Name, 1)) {
				if !seen[field] {
					seen[field] = true
					fields = append(fields, field)
				}
			}
			selected = append(selected, "... on "+possible.Name+" { "+strings.Join(fields, " ")+" }")
		}
		return strings.Join(selected, " ")
	}
	var selected []string
	for _, field := range target.Fields {
		of := w.schema.Types[field.Type.Name()]
		if required := field.Arguments.ForName("range"); required != nil && required.Type.NonNull {
			continue
		}
		if of.IsLeafType() {
			selected = append(selected, field.Name)
		} else if levels > 1 {
			selected = append(selected, field.Name+" { "+w.everything(of.Name, levels-1)+" }")
		}
	}
	if len(selected) == 0 {
		return "__typename"
	}
	return strings.Join(selected, " ")
}

// TestForeignCursors_AreAsGoodAsNone sends another clinic's cursor, and one that
// never was, to every list.
func TestForeignCursors_AreAsGoodAsNone(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	own, other := furnished(t, d, "own"), furnished(t, d, "other")
	server := api.NewServer(t, d)
	for _, list := range []string{
		"contacts", "appointments", "searchContacts", "medicalRecords",
	} {
		arguments, declared := "first: 1, after: $after", "$after: String"
		switch list {
		case "searchContacts":
			arguments += `, query: "canary"`
		case "medicalRecords":
			arguments += fmt.Sprintf(", contactId: %q", own.ids[models.KindContact])
		}
		query := fmt.Sprintf("query (%s) { list: %s(%s) { nodes { id } pageInfo { endCursor } } }", declared, list, arguments)
		cursorOf := func(f *furniture) string {
			var answer struct {
				List struct{ PageInfo struct{ EndCursor string } }
			}
			asked := strings.ReplaceAll(query, own.ids[models.KindContact], f.ids[models.KindContact])
			server.As(t, f.clinic, models.RoleOwner).Must(t, asked, nil, &answer)
			require.NotEmpty(t, answer.List.PageInfo.EndCursor, list)
			return answer.List.PageInfo.EndCursor
		}
		owner := server.As(t, own.clinic, models.RoleOwner)
		ask := func(cursor string) *api.Response { return owner.Do(t, query, map[string]any{"after": cursor}) }

		foreign, forged := ask(cursorOf(other)), ask("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
		require.Equal(t, string(forged.Body), string(foreign.Body), list)
		require.Len(t, foreign.Errors, 1, list)
		require.Equal(t, "BAD_USER_INPUT", foreign.Errors[0].Extensions.Code, list)
		require.Empty(t, ask(cursorOf(own)).Errors, "the clinic's own cursor is one: %s", list)
	}
}
