package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/models"
	"github.com/taskmed/taskmed/web"
)

// resolved gives each example's variables with their placeholders filled in.
func resolved(t *testing.T, client *api.Client) map[string]json.RawMessage {
	t.Helper()
	return resolvedAt(t, client, time.Now())
}

// resolvedAt is resolved at another time.
func resolvedAt(t *testing.T, client *api.Client, now time.Time) map[string]json.RawMessage {
	t.Helper()
	run := func(_ context.Context, query string, variables map[string]any) (json.RawMessage, error) {
		response := client.Do(t, query, variables)
		if len(response.Errors) > 0 {
			return nil, errors.New(response.Errors[0].Message)
		}
		return response.Data, nil
	}
	values, err := web.Values(t.Context(), run, now)
	require.NoError(t, err)
	filled := map[string]json.RawMessage{}
	for _, example := range web.Examples() {
		filled[example.Name], err = web.Resolve(example.Variables, values)
		require.NoError(t, err, example.Name)
	}
	return filled
}

// Ana Souza comes at nine: what an example shows must not depend on when it is opened.
func TestExamples_WorkAtEveryHour(t *testing.T) {
	t.Parallel()
	zone, err := time.LoadLocation("America/Sao_Paulo")
	require.NoError(t, err)
	now := time.Now().In(zone)
	for _, opened := range []time.Duration{time.Minute, 9*time.Hour + 10*time.Minute, 23*time.Hour + 50*time.Minute} {
		t.Run(opened.String(), func(t *testing.T) {
			t.Parallel()
			ahead := time.Until(time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, zone).Add(opened))
			examplesWork(t, func() time.Time { return time.Now().Add(ahead) })
		})
	}
}

func examplesWork(t *testing.T, clock func() time.Time) {
	t.Helper()
	site := startSiteAt(t, clock)
	owner := site.server.As(t, site.clinic, models.RoleOwner)
	variables := resolvedAt(t, owner, clock())

	// What each answer must hold for its example to be worth showing.
	want := map[string][]string{
		"day-view":              {"Ana Souza", "Dra. Beatriz Lima", `"hasNextPage":false`},
		"contact-page":          {"Ana Souza", `"appointments":{"nodes":[{`, `"medicalRecords"`},
		"contact-list":          {"Ana Souza", "João Silva", "Maria Oliveira", `"nextAppointment"`},
		"search-contacts":       {"João Silva"},
		"create-contact":        {"Conceição Araújo", `"LEAD"`, `"userErrors":[]`},
		"availability":          {`"startsAt"`, `"endsAt"`, `"name":"Dr`},
		"schedule-appointment":  {`"SCHEDULED"`, "Ana Souza", `"userErrors":[]`},
		"create-medical-record": {`"EVOLUTION"`, `"M54.5"`, `"signedAt":null`, `"userErrors":[]`},
		"viewer":                {`"OWNER"`, `"workingHours":[{`, `"durationMinutes":30`},
		"desk":                  {`"Mutation.addMember"`, `"slotGridMinutes":15`, `"subject":"OWNER@`, `"closures":[]`, `"name":"Consulta","version":1,"practitioners":{"nodes":[{`},
		"update-clinic":         {`"pixKey":"pix@example.com"`, `"outside":[]`, `"userErrors":[]`},
		"add-member":            {"nina.rocha@example.com", `"RECEPTIONIST"`, `"userErrors":[]`},
		"create-practitioner":   {"Dra. Nina Rocha", `"active":true`, `"services":{"nodes":[{`, `"userErrors":[]`},
		"create-service":        {"Acupuntura", `"amountMinor":18000,"currency":"BRL"`, `"practitioners":{"nodes":[{`, `"userErrors":[]`},
		"calendar-feed":         {`/calendar/`, `.ics"`, `"lastReadAt":null`, "Dr. Carlos Prado", `"userErrors":[]`},
		"calendar-changes":      {"Ana Souza", `"removedIds":[]`, `"syncToken":"`, `"hasMore":false`},
		"import-calendar":       {`"added":1`, `"userErrors":[]`},
		"set-working-hours":     {`"outside":[`, "Dr. Carlos Prado", `"userErrors":[]`},
		"add-time-off":          {`"within":[{`, "Ana Souza", `"practitioner":null`, `"userErrors":[]`},
		"nodes":                 {`"__typename":"Contact"`, `"__typename":"Practitioner"`, `"__typename":"Appointment"`},
		"waiting-room":          {`"nodes":[`},
		"create-invoice":        {`"number":"1"`, `"OPEN"`, `"description":"Material descartável"`, `"userErrors":[]`},
		"overdue-invoices":      {`"totalCount":0`},
		"conversations":         {`"totalCount":0`},
		"channel-accounts":      {`"channelAccounts":[]`},
		"start-conversation":    {`"PENDING"`, `"QUEUED"`, `"value":"+5511987654321"`, `"userErrors":[]`},
		"financial-summary":     {`"groups":[{"key":"`, `"count":1`, `"overdue":{"amountMinor":0}`},
		"slot-check":            {`"free":false`, `"OUTSIDE_WORKING_HOURS"`, `"alternatives":[{`, `"nextFreeSlots":[{`},
		// The example before it has booked the slot.
		"join-waitlist":             {`"WAITING"`, "Ana Souza", `"userErrors":[]`},
		"waitlist":                  {`"totalCount":1`, "Ana Souza", `"offeredSlot":null`},
		"accept-waitlist-offer":     {`"NOT_FOUND"`, `"appointment":null`},
		"schedule-series":           {`"appointment":null`, `"conflicts":[{`, `"APPOINTMENT"`, `"alternatives":[{`},
		"series":                    {`"totalCount":0`},
		"hold-slot":                 {`"slotHold":null`, `"CONFLICT"`, `"alternatives":[{`},
		"create-api-key":            {`"secret":"tm_`, `"PARTNER"`, `"userErrors":[]`},
		"birthdays":                 {`"nodes":[`, `"totalCount":`},
		"possible-duplicates":       {"Ana Souza", `"possibleDuplicates":[`},
		"record-drafts":             {`"nodes":[`, `"totalCount":`},
		"discard-medical-record":    {`"NOT_FOUND"`, `"medicalRecord":null`},
		"changes":                   {`"edges":[`, `"hasNextPage":`},
		"withdraw-medical-record":   {`"NOT_FOUND"`, `"medicalRecord":null`},
		"record-files":              {`"attachments":[`},
		"request-attachment-upload": {`"NOT_FOUND"`, `"uploadUrl":null`},
		"create-webhook-endpoint":   {`"publicKey":"whpk_`, `"secret":"whsec_`, `"userErrors":[]`},
		"webhook-endpoints":         {`"deliveries":{"totalCount":0`, `"active":true`},
		"changed":                   {"CONTACT_CREATED", "Rita Lobo"},

		"practitioner":            {`"workingHours":[{`, `"services":{"nodes":[{`, `"appointments":{"nodes":[`},
		"change-member":           {`"NOT_FOUND"`, `"member":null`},
		"change-team":             {`"color":"#2a7f62"`, `"services":{"nodes":[{`, `"amountMinor":22000`, `"timeOff":null`},
		"api-keys":                {`"apiKeys":[`},
		"appointment":             {"Ana Souza", `"steps":[`, `"nextSteps":["`},
		"appointment-steps":       {`"confirmAppointment":{"appointment":{`, `"completeAppointment":{"appointment":null`, `"undoAppointmentStep":{"appointment":null`},
		"move-appointment":        {`"conflicts":[`, `"alternatives":[`},
		"change-appointment":      {"Trazer exames", `"CANCELLED"`, "Pedido do paciente"},
		"appointment-counts":      {`"key":"`, `"count":`},
		"leave-waitlist":          {`"NOT_FOUND"`, `"waitlistEntry":null`, `"slotHold":null`},
		"change-contact":          {`"tags":["plano","retorno"]`, `"ARCHIVED"`},
		"medical-record":          {`"medicalRecord":null`},
		"sign-record":             {`"NOT_FOUND"`, `"medicalRecord":null`},
		"amend-record":            {`"NOT_FOUND"`, `"medicalRecord":null`},
		"calendar-feeds":          {`"calendarFeeds":[`},
		"revoke-access":           {`"NOT_FOUND"`, `"calendarFeed":null`, `"apiKey":null`},
		"invoice":                 {`"invoice":null`},
		"invoice-course":          {`"NOT_FOUND"`, `"invoice":null`},
		"record-payment":          {`"NOT_FOUND"`, `"payment":null`, `"refund":null`},
		"conversation":            {`"conversation":null`},
		"send-message":            {`"NOT_FOUND"`, `"message":null`},
		"assign-conversation":     {`"NOT_FOUND"`, `"conversation":null`},
		"channel-account":         {`"channel":"WEB"`, `"inboundUrl":"`, `"NOT_FOUND"`},
		"update-webhook-endpoint": {`"NOT_FOUND"`, `"webhookEndpoint":null`, `"deletedId":null`},
		"appointment-changed":     {"Ana Souza", `"SCHEDULED"`},
		"message-received":        {"Posso remarcar?", "Ana Souza"},
		"conversation-changed":    {"Ana Souza", `"CLOSED"`},
	}
	// What has a subscription tell something, and what is then told.
	happens := map[string][2]string{
		"changed":              {"INSERT INTO contacts (clinic_id, id, name) VALUES ($1, $2, 'Rita Lobo')", "Rita Lobo"},
		"appointment-changed":  {"UPDATE appointments SET notes = $2::uuid::text WHERE clinic_id = $1", "appointmentChanged"},
		"message-received":     {"INSERT INTO messages (clinic_id, id, conversation_id, direction, body, status) SELECT clinic_id, $2, id, 'inbound', 'Posso remarcar?', 'entregue' FROM conversations WHERE clinic_id = $1", "Posso remarcar?"},
		"conversation-changed": {"UPDATE conversations SET status = 'fechada' WHERE clinic_id = $1 AND id <> $2", "CLOSED"},
	}
	examples := web.Examples()
	require.Len(t, examples, len(want))
	for _, example := range examples {
		if example.Subscribes() {
			told := site.subscribe(t, owner, example.Query, variables[example.Name], happens[example.Name][0], happens[example.Name][1])
			for _, text := range want[example.Name] {
				assert.Contains(t, told, text, example.Name)
			}
			continue
		}
		response := owner.Do(t, example.Query, variables[example.Name])
		require.Empty(t, response.Errors, example.Name)
		for _, text := range want[example.Name] {
			assert.Contains(t, string(response.Data), text, example.Name)
		}
	}
}

func TestExamples_TheSlotThatWasTakenOffersOthers(t *testing.T) {
	t.Parallel()
	site := startSite(t)
	owner := site.server.As(t, site.clinic, models.RoleOwner)
	variables := resolved(t, owner)
	var query string
	for _, example := range web.Examples() {
		if example.Name == "schedule-appointment" {
			query = example.Query
		}
	}

	var answer struct {
		ScheduleAppointment struct {
			Appointment  *struct{ ID string }
			Alternatives []struct{ StartsAt time.Time }
			UserErrors   []struct {
				Code      string
				EntityIDs []string
			}
		}
	}
	owner.Must(t, query, variables["schedule-appointment"], &answer)
	require.NotNil(t, answer.ScheduleAppointment.Appointment)
	booked := answer.ScheduleAppointment.Appointment.ID

	answer.ScheduleAppointment.Appointment = nil
	owner.Must(t, query, variables["schedule-appointment"], &answer)
	require.Nil(t, answer.ScheduleAppointment.Appointment)
	require.NotEmpty(t, answer.ScheduleAppointment.UserErrors)
	assert.Equal(t, []string{booked}, answer.ScheduleAppointment.UserErrors[0].EntityIDs)
	assert.NotEmpty(t, answer.ScheduleAppointment.Alternatives)
}

func TestExamples_TheWrongCPFThatACommentNames(t *testing.T) {
	t.Parallel()
	site := startSite(t)
	owner := site.server.As(t, site.clinic, models.RoleOwner)
	for _, example := range web.Examples() {
		if example.Name != "create-contact" {
			continue
		}
		var variables map[string]map[string]any
		require.NoError(t, json.Unmarshal(example.Variables, &variables))
		require.Contains(t, example.Query, "529.982.247-00")
		variables["input"]["taxId"] = "529.982.247-00"
		response := owner.Must(t, example.Query, variables, nil)
		assert.Contains(t, string(response.Data), `"contact":null`)
		assert.Contains(t, string(response.Data), `"field":["taxId"]`)
	}
}
