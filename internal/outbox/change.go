package outbox

import (
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/taskmed/taskmed/internal/entity"
	"github.com/taskmed/taskmed/models"
)

// Change is something that happened, as it is read.
func Change() entity.Declaration {
	return entity.Noun[models.Change]{
		Kind:    models.KindChange,
		Columns: map[string][]string{"entityId": {"entity_kind", "entity_id"}},
		Any:     map[string]entity.Any{"entity": {Column: "entity_id", Kinds: kinds()}},
		Lists:   []entity.List{{Field: "Query.changes", Order: "position", Filter: only, Standing: standing}},
		Only:    heard,
	}
}

// heard keeps a role to changes of what it may read.
func heard(q *entity.Query) error {
	events := Heard(q.MayRead)
	if len(events) == len(Events()) {
		return nil
	}
	words, err := models.StoredWords(events)
	if err != nil {
		return err
	}
	q.Where("event = ANY(?)", words)
	return nil
}

// only selects the events that are asked for, as far as the role hears of them: those
// have an index, and so a role that hears of few does not read through all.
func only(q *entity.Query, args entity.Args) error {
	wanted := entity.Arg[[]models.WebhookEvent](args, "events")
	events := Heard(q.MayRead)
	switch {
	case len(events) == len(Events()):
		return entity.In(q, "event", wanted)
	case wanted != nil:
		events = slices.DeleteFunc(events, func(e models.WebhookEvent) bool { return !slices.Contains(wanted, e) })
	}
	return entity.In(q, "event", append([]models.WebhookEvent{}, events...))
}

// Stands tells whether nothing that came after a change has been pruned: it is there
// itself, the same one that it was, or else it was the last one to be pruned. A database
// that was restored has given the position to another change, or not yet. It takes the
// clinic, the position as text and the id.
const Stands = `SELECT coalesce(
			(SELECT c.id = $3 FROM changes c WHERE c.clinic_id = $1 AND c.position = $2::text::bigint),
			$2::text::bigint + 1 = coalesce(
				(SELECT min(c.position) FROM changes c WHERE c.clinic_id = $1),
				(SELECT c.last + 1 FROM counters c WHERE c.clinic_id = $1 AND c.name = 'changes'), 0))`

// Expired is what a reader is told that does not stand.
func Expired() error {
	return &models.Error{Code: models.Expired, Message: "what came after this cursor is no longer kept: leave after out, and begin anew"}
}

// standing tells whether a list of changes still goes on from a cursor.
func standing(r *entity.Reading, position string, id uuid.UUID) func() error {
	var stands bool
	failed := r.Check(Stands,
		func(rows pgx.Rows) (err error) {
			stands, err = pgx.CollectOneRow(rows, pgx.RowTo[bool])
			return err
		}, position, id)
	return func() error {
		if err := failed(); err != nil {
			return err
		}
		if !stands {
			return Expired()
		}
		return nil
	}
}
