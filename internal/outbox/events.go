package outbox

import (
	"errors"
	"fmt"
	"slices"

	"github.com/taskmed/taskmed/models"
)

// Event is something that triggers raise.
type Event struct {
	// Kind and Object are what it happens to; who may not read the object does not hear
	// of the event.
	Kind   models.Kind
	Object string
	// By are the statements that raise it.
	By []string
}

// The statements that raise events.
const (
	inserts = "insert"
	updates = "update"
)

// Events are those that are raised. Whoever adds one adds a trigger that executes
// outbox_raise in its migration, its line here, and takes it off unraised.
func Events() map[models.WebhookEvent]Event {
	contact := func(by ...string) Event { return Event{models.KindContact, "Contact", by} }
	appointment := func(by ...string) Event { return Event{models.KindAppointment, "Appointment", by} }
	record := func(by ...string) Event { return Event{models.KindMedicalRecord, "MedicalRecord", by} }
	invoice := func(by ...string) Event { return Event{models.KindInvoice, "Invoice", by} }
	message := func(by ...string) Event { return Event{models.KindMessage, "Message", by} }
	return map[models.WebhookEvent]Event{
		models.WebhookEventContactCreated:           contact(inserts),
		models.WebhookEventContactUpdated:           contact(updates),
		models.WebhookEventAppointmentScheduled:     appointment(inserts),
		models.WebhookEventAppointmentRescheduled:   appointment(updates),
		models.WebhookEventAppointmentUpdated:       appointment(updates),
		models.WebhookEventAppointmentCancelled:     appointment(updates),
		models.WebhookEventAppointmentStatusChanged: appointment(updates),
		models.WebhookEventRecordSigned:             record(inserts, updates),
		models.WebhookEventRecordWithdrawn:          record(updates),
		models.WebhookEventInvoiceIssued:            invoice(inserts, updates),
		models.WebhookEventInvoicePaid:              invoice(inserts, updates),
		models.WebhookEventInvoiceVoided:            invoice(updates),
		models.WebhookEventPaymentRefunded:          {models.KindPayment, "Payment", []string{updates}},
		models.WebhookEventWaitlistOffered:          {models.KindWaitlistEntry, "WaitlistEntry", []string{updates}},
		models.WebhookEventMessageReceived:          message(inserts),
		models.WebhookEventMessageStatusChanged:     message(updates),
		models.WebhookEventConversationChanged:      {models.KindConversation, "Conversation", []string{inserts, updates}},
	}
}

// Unraised are the events that nothing raises yet, and why.
func Unraised() map[models.WebhookEvent]string {
	return map[models.WebhookEvent]string{
		models.WebhookEventContactMerged: "contacts cannot be merged yet",
		models.WebhookEventContactErased: "contacts cannot be erased yet",
	}
}

// Check names the events of the schema that are neither raised nor said not to be.
func Check() error {
	events, unraised := Events(), Unraised()
	var faults []error
	for _, event := range models.AllWebhookEvent {
		_, raised := events[event]
		_, not := unraised[event]
		if raised == not {
			faults = append(faults, fmt.Errorf("outbox: WebhookEvent %s must be either among the events that are raised, with a trigger, or among those that are not, with a reason (internal/outbox/events.go)", event))
		}
	}
	return errors.Join(faults...)
}

// kinds are those of what events happen to.
func kinds() []models.Kind {
	var all []models.Kind
	for _, event := range Events() {
		all = append(all, event.Kind)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Heard are the events that a role hears of, given what it may read.
func Heard(mayRead func(object string) bool) []models.WebhookEvent {
	var heard []models.WebhookEvent
	for event, of := range Events() {
		if mayRead(of.Object) {
			heard = append(heard, event)
		}
	}
	slices.Sort(heard)
	return heard
}
