package outbox

import (
	"fmt"
	"maps"
	"slices"

	"github.com/taskmed/taskmed/internal/fitness"
)

const (
	unraisedWhy = "changes, subscriptions and webhooks would not tell of it, and nobody could see that something is missing"
	// Nothing says what was missed.
	unraisedAfter = "what was written meanwhile is told to nobody: whoever follows changes has to read anew"
)

// Raised is a rule of package fitness: every event has its triggers, and all are on.
func Raised(c *fitness.Catalogue) []fitness.Finding {
	var found []fitness.Finding
	type source struct{ event, kind, by string }
	sources := map[source]bool{}
	for _, raise := range c.Raises {
		sources[source{raise.Event, raise.Kind, raise.By}] = true
		if raise.Off {
			found = append(found, fitness.Finding{
				What: fmt.Sprintf("the trigger %s on %s, which raises %s, is disabled", raise.Trigger, raise.Table, raise.Event), Why: unraisedWhy,
				Do: fmt.Sprintf("ALTER TABLE %s ENABLE TRIGGER %s; %s", raise.Table, raise.Trigger, unraisedAfter),
			})
		}
	}
	events := Events()
	for _, event := range slices.Sorted(maps.Keys(events)) {
		of := events[event]
		for _, by := range of.By {
			if sources[source{event.Word(), string(of.Kind), by}] {
				continue
			}
			found = append(found, fitness.Finding{
				What: fmt.Sprintf("no trigger raises %s where a %s is written by %s", event.Word(), of.Kind, by), Why: unraisedWhy,
				Do: "make it as its migration does: grep outbox_raise migrations/*.sql; " + unraisedAfter,
			})
		}
	}
	return found
}
