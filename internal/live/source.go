package live

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/taskmed/taskmed/internal/outbox"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/models"
)

// source is where a field of Subscription has its events from.
type source struct {
	// object is what the field gives.
	object string
	// events are those that it is about; nil for all of them.
	events []models.WebhookEvent
	// within names an argument by which only what belongs to one entity is told, of this kind.
	within string
	kind   models.Kind
	// whole tells that the change itself is given, and not what it happened to.
	whole bool
}

// sources are those of all fields of Subscription, by their names.
func sources() map[string]source {
	return map[string]source{
		"appointmentChanged": {object: "Appointment", within: "practitionerId", kind: models.KindPractitioner, events: []models.WebhookEvent{
			models.WebhookEventAppointmentScheduled, models.WebhookEventAppointmentRescheduled, models.WebhookEventAppointmentUpdated,
			models.WebhookEventAppointmentCancelled, models.WebhookEventAppointmentStatusChanged,
		}},
		"messageReceived":     {object: "Message", within: "conversationId", kind: models.KindConversation, events: []models.WebhookEvent{models.WebhookEventMessageReceived}},
		"conversationChanged": {object: "Conversation", events: []models.WebhookEvent{models.WebhookEventConversationChanged}},
		"changed":             {object: "Change", whole: true},
	}
}

// Check names what of the schema's Subscription has no source of events, and the reverse.
func Check(schema *ast.Schema) error { return check(schema, sources()) }

func check(schema *ast.Schema, known map[string]source) error {
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("live: "+format+" (internal/live/source.go)", args...))
	}
	declared := map[string]bool{}
	if schema.Subscription != nil {
		for _, field := range schema.Subscription.Fields {
			if strings.HasPrefix(field.Name, "__") {
				continue
			}
			declared[field.Name] = true
			from, ok := known[field.Name]
			if !ok {
				fault("Subscription.%s has no source of events: say which", field.Name)
				continue
			}
			if !field.Type.NonNull || field.Type.Elem != nil || field.Type.Name() != from.object {
				fault("Subscription.%s gives %s, and its source %s!", field.Name, field.Type, from.object)
			}
			for _, event := range from.events {
				if of := outbox.Events()[event]; of.Object != from.object {
					fault("Subscription.%s gives %s, and %s happens to another object", field.Name, from.object, event)
				}
			}
			for _, argument := range field.Arguments {
				if argument.Name != from.within && (!from.whole || argument.Name != "events" && argument.Name != "after") {
					fault("Subscription.%s has the argument %s, of which its source knows nothing", field.Name, argument.Name)
				}
			}
		}
	}
	for name := range known {
		if !declared[name] {
			fault("there is a source of Subscription.%s, which the schema has not", name)
		}
	}
	return errors.Join(faults...)
}

// wish is what a follower wants to be told.
type wish struct {
	from source
	// words are the events as they are stored, sorted.
	words  []string
	within uuid.UUID
}

// wanted reads a field's arguments as they were sent: they are of their types.
func (h *Hub) wanted(scope *tenant.Scope, field string, args map[string]any) (w wish, err error) {
	from, ok := sources()[field]
	if !ok {
		return w, fmt.Errorf("live: Subscription.%s has no source", field)
	}
	w.from = from
	events := outbox.Heard(func(object string) bool { return h.config.Rights.MayRead(scope.Role, object) })
	if from.events != nil {
		events = slices.DeleteFunc(events, func(e models.WebhookEvent) bool { return !slices.Contains(from.events, e) })
	}
	if asked, given := args["events"]; given && asked != nil && from.whole {
		named := texts(asked)
		if len(named) == 0 {
			return w, models.BadInput("events is empty: name some, or leave it out")
		}
		events = slices.DeleteFunc(events, func(e models.WebhookEvent) bool { return !slices.Contains(named, string(e)) })
	}
	if len(events) == 0 {
		return w, &models.Error{Code: models.Forbidden, Message: fmt.Sprintf("the role %s is not told of any of these events", scope.Role)}
	}
	if w.words, err = models.StoredWords(events); err != nil {
		return w, err
	}
	slices.Sort(w.words)
	if id, _ := args[from.within].(string); from.within != "" && id != "" {
		if w.within, err = from.kind.Parse(id); err != nil {
			return w, models.BadInput("%s is no id of a %s", from.within, from.kind.Words())
		}
	}
	return w, nil
}

// texts are an argument's words: a list, or one that stands for a list of one.
func texts(value any) []string {
	list, ok := value.([]any)
	if !ok {
		list = []any{value}
	}
	all := make([]string, len(list))
	for i, one := range list {
		all[i] = fmt.Sprint(one)
	}
	return all
}

func (w *wish) wants(c *Change) bool {
	_, told := slices.BinarySearch(w.words, c.Event)
	return told && (w.within == uuid.Nil || slices.Contains(c.Within, w.within))
}

// node is the global id of what a follower is given.
func (w *wish) node(c *Change) string {
	if w.from.whole {
		return models.KindChange.Global(c.ID)
	}
	return models.Kind(c.EntityKind).Global(c.EntityID)
}
