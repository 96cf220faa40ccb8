// Package touched notes what an answer touched: the tags of what it depends on, the
// protected entities that it shows, until when it holds, and the one instant that it
// was computed at. It is always on: without a cache and for mutations, too, since
// the audit trail wants to know whom an answer showed.
//
// A tag stands for one entity ("contact:0193…") or for a question that was
// asked of a table ("appointment/day=2026-11-22", "contact/list"). While an
// answer is computed the reads declare their tags to the context's Collector;
// a write's tags come from triggers in Postgres, which spell them exactly as
// this package does (migrations/00002_announcements.sql); of searches both sides come
// from there (migrations/00006_contact_search.sql). An answer is out of date
// once a write has one of its tags.
package touched

import (
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/models"
)

// Tag is the name of one thing that an answer can depend on, within a clinic.
// It holds no line break and no patient's data, ids apart.
type Tag string

// Everything is a write's tag that concerns every answer of its clinic: too much
// changed to name it all. No read declares it.
const Everything Tag = "*"

// Entity is the tag of one row that was read or, the same, was not there.
func Entity(kind models.Kind, id uuid.UUID) Tag { return Tag(string(kind) + ":" + id.String()) }

// Entity gives the entity that the tag stands for; of is false for the tag of a question.
func (t Tag) Entity() (kind models.Kind, id uuid.UUID, of bool) {
	word, text, ok := strings.Cut(string(t), ":")
	if !ok || !slices.Contains(models.Kinds(), models.Kind(word)) {
		return "", uuid.Nil, false
	}
	id, err := uuid.Parse(text)
	return models.Kind(word), id, err == nil
}

// Of is the tag of a question that only its name narrows: "contact/list".
func Of(name string) Tag { return Tag(name) }

// On is the tag of a question about one value of a column:
// "appointment/contact=0193…".
func On(name, column, value string) Tag {
	return Tag(name + "/" + column + "=" + strings.ReplaceAll(value, "\n", " "))
}

// OnID is On for an id.
func OnID(name, column string, id uuid.UUID) Tag { return On(name, column, id.String()) }

// OnDay is the tag of the appointments that touch a day (year-month-day) of the
// clinic's calendar.
func OnDay(day string) Tag { return On("appointment", "day", day) }

// OnPractitionerDay is OnDay for one practitioner's appointments.
func OnPractitionerDay(practitioner uuid.UUID, day string) Tag {
	return OnID("appointment", "practitioner", practitioner) + Tag("/day="+day)
}

// Day spells an instant's day in a zone, as OnDay wants it.
func Day(instant time.Time, zone *time.Location) string {
	return instant.In(zone).Format(time.DateOnly)
}

// Outcome is how a transaction ended whose tags were raised.
type Outcome int

// The ways in which a transaction can end.
const (
	// Committed: its rows are visible.
	Committed Outcome = iota
	// RolledBack: it changed nothing.
	RolledBack
	// Unknown: it may be committed, or will be yet; its fences must stay until
	// they run out.
	Unknown
)
