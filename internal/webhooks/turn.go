package webhooks

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/taskmed/taskmed/models"
)

const (
	// mostWaiting bounds the deliveries of an endpoint that wait: beyond it its cursor
	// stays where it is.
	mostWaiting = 1000
	// mostLooked changes are looked at in one turn, and for mostWritten of them at most
	// deliveries are left: what is written in bulk, more than 50 rows, names no answers of
	// the cache's but lets all of the clinic's fall (migrations/00002_announcements.sql).
	mostLooked  = 500
	mostWritten = 50
	// mostHeads are read in one turn.
	mostHeads = 64
	// patience is how long a delivery is tried, and an endpoint that takes nothing.
	patience = 72 * time.Hour
)

// result is what came of one attempt.
type result struct {
	of *waiting
	outcome
	// wait is how long to wait before the next attempt.
	wait time.Duration
}

// waiting is a delivery that waits, as a turn has read it.
type waiting struct {
	Position   int64
	Round      int
	Event      string
	ChangeID   uuid.UUID
	EntityKind string
	EntityID   uuid.UUID
	At         time.Time
	StampedAt  time.Time
	Attempts   int
	Due        bool
	Seconds    float64 // until it is due
}

// standing is how a lane stands after a turn.
type standing struct {
	// endpoint is nil where it is gone or paused: nothing is sent.
	endpoint *models.WebhookEndpoint
	// failures since the last success, and how long to wait before the next attempt while
	// those are many.
	failures int
	probeIn  time.Duration
	// heads are deliveries that may go, each the first of its entity that waits: those
	// that are due first.
	heads []*waiting
	// more is whether there are changes that were not looked at, for which there is room.
	more bool
	// paused says why the turn has paused the endpoint; "" where it has not.
	paused string
	// gaveUp counts deliveries that are not tried again.
	gaveUp int64
}

// turn writes down what came of attempts, looks at further changes and reads what may go
// next, in one transaction that has the lane to itself. busy are entities of which a
// delivery is under way.
func (s *Sender) turn(ctx context.Context, endpoint uuid.UUID, results []*result, busy []uuid.UUID) (*standing, error) {
	var stands *standing
	err := s.hooks.db.InTenant(ctx, func(tx *gorm.DB) error {
		stands = &standing{}
		var l lane
		// The lane's row first: another server that took it over, or a replay, comes before
		// or after, never in between.
		err := tx.Raw("SELECT * FROM webhook_lanes WHERE clinic_id = app_clinic() AND endpoint_id = ? FOR UPDATE", endpoint).Take(&l).Error
		if errors.Is(err, gorm.ErrRecordNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.record(tx, &l, results, stands); err != nil {
			return err
		}
		var found models.WebhookEndpoint
		if err := tx.Where("id = ? AND active", endpoint).Limit(1).Find(&found).Error; err != nil || found.ID == uuid.Nil {
			return err
		}
		stands.endpoint, stands.failures = &found, l.Failures
		if l.ProbeAt != nil {
			if err := tx.Raw("SELECT greatest(0, extract(epoch FROM ?::timestamptz - clock_timestamp()))::float8", *l.ProbeAt).Row().Scan((*seconds)(&stands.probeIn)); err != nil {
				return err
			}
		}
		if stands.more, err = look(tx, endpoint); err != nil {
			return err
		}
		err = tx.Raw(headsSQL, endpoint, endpoint, texts(busy), mostHeads).Find(&stands.heads).Error
		s.seams.at("looking")
		return err
	})
	return stands, err
}

// texts are ids as an array of texts.
func texts(ids []uuid.UUID) models.Texts {
	all := models.Texts{}
	for _, id := range ids {
		all = append(all, id.String())
	}
	return all
}

// seconds reads a number of seconds.
type seconds time.Duration

// Scan implements sql.Scanner.
func (s *seconds) Scan(source any) error {
	number, ok := source.(float64)
	if !ok {
		return errors.New("webhooks: seconds are a number")
	}
	*s = seconds(number * float64(time.Second))
	return nil
}

// lookSQL moves a lane's cursor on, over changes that the endpoint did not ask for and as
// many of the others as there is room for, and leaves deliveries of those. What is there
// already, since a replay set the cursor back, waits anew. It answers with how many
// changes it has passed, and how many more there were at most.
const lookSQL = `WITH lane AS (
	SELECT l.cursor, l.round, e.events FROM webhook_lanes l JOIN webhook_endpoints e ON e.clinic_id = app_clinic() AND e.id = l.endpoint_id
	WHERE l.clinic_id = app_clinic() AND l.endpoint_id = @endpoint),
room AS (
	SELECT least(@written, @waiting - count(*)) AS n FROM webhook_deliveries d, lane l
	WHERE d.clinic_id = app_clinic() AND d.endpoint_id = @endpoint AND d.next_attempt_at IS NOT NULL AND d.position <= l.cursor),
looked AS (
	SELECT c.*, c.event = ANY (l.events) AS wanted, l.round FROM lane l, LATERAL (
		SELECT * FROM changes x WHERE x.clinic_id = app_clinic() AND x.position > l.cursor ORDER BY x.position LIMIT @looked) c),
counted AS (SELECT k.*, count(*) FILTER (WHERE k.wanted) OVER (ORDER BY k.position) AS nth FROM looked k),
passed AS (SELECT k.* FROM counted k, room r WHERE k.nth <= r.n),
moved AS (
	UPDATE webhook_lanes SET cursor = (SELECT max(position) FROM passed)
	WHERE clinic_id = app_clinic() AND endpoint_id = @endpoint AND EXISTS (SELECT FROM passed)),
left_for AS (
	INSERT INTO webhook_deliveries (clinic_id, id, endpoint_id, position, round, event, change_id, entity_kind, entity_id, at, stamped_at)
	SELECT clinic_id, gen_random_uuid(), @endpoint, position, round, event, id, entity_kind, entity_id, at, stamped_at FROM passed WHERE wanted ORDER BY position
	ON CONFLICT (clinic_id, endpoint_id, position) DO UPDATE SET round = excluded.round, change_id = excluded.change_id, attempts = 0,
		first_attempt_at = NULL, last_status = NULL, last_error = NULL, delivered_at = NULL, next_attempt_at = clock_timestamp())
SELECT (SELECT count(*) FROM passed) AS passed, (SELECT count(*) FROM looked) AS looked, (SELECT n FROM room) AS room`

func look(tx *gorm.DB, endpoint uuid.UUID) (more bool, err error) {
	var told struct{ Passed, Looked, Room int }
	err = tx.Raw(lookSQL, map[string]any{"endpoint": endpoint, "written": mostWritten, "waiting": mostWaiting, "looked": mostLooked}).Take(&told).Error
	return told.Passed > 0 && (told.Passed < told.Looked || told.Looked == mostLooked), err
}

// headsSQL reads of each entity the first delivery that waits, those that are due first.
// What a replay has yet to come to waits for it.
const headsSQL = `SELECT h.position, h.round, h.event, h.change_id, h.entity_kind, h.entity_id, h.at, h.stamped_at, h.attempts,
	h.next_attempt_at <= clock_timestamp() AS due, greatest(0, extract(epoch FROM h.next_attempt_at - clock_timestamp()))::float8 AS seconds
FROM (
	SELECT DISTINCT ON (d.entity_id) d.* FROM webhook_deliveries d
	WHERE d.clinic_id = app_clinic() AND d.endpoint_id = ? AND d.next_attempt_at IS NOT NULL
		AND d.position <= (SELECT l.cursor FROM webhook_lanes l WHERE l.clinic_id = app_clinic() AND l.endpoint_id = ?)
	ORDER BY d.entity_id, d.position) h
WHERE NOT h.entity_id = ANY (?::text[]::uuid[])
ORDER BY h.next_attempt_at, h.position LIMIT ?`

// recordSQL writes down one attempt, unless another server or a replay has come before.
// Who has tried in vain for long enough is given up, unless the endpoint takes nothing
// from anybody: then it is paused, and the delivery waits.
const recordSQL = `UPDATE webhook_deliveries d SET attempts = d.attempts + 1, last_status = nullif(CAST(@status AS integer), 0), last_error = nullif(@failure, ''),
	first_attempt_at = coalesce(d.first_attempt_at, clock_timestamp()),
	delivered_at = CASE WHEN @failure = '' THEN clock_timestamp() END,
	next_attempt_at = CASE WHEN @failure = '' OR NOT @dead AND d.first_attempt_at < clock_timestamp() - make_interval(secs => @patience) THEN NULL
		ELSE clock_timestamp() + make_interval(secs => @wait) END
WHERE d.clinic_id = app_clinic() AND d.endpoint_id = @endpoint AND d.position = @position AND d.round = @round AND d.attempts = @attempts
	AND d.next_attempt_at IS NOT NULL
RETURNING d.next_attempt_at IS NULL AS ended`

// record writes down what came of attempts.
func (s *Sender) record(tx *gorm.DB, l *lane, results []*result, stands *standing) error {
	if len(results) == 0 {
		return nil
	}
	failed, taken, gone := 0, false, false
	for _, r := range results {
		taken = taken || r.taken()
		gone = gone || r.status == statusGone
		if !r.taken() {
			failed++
		}
	}
	if err := s.health(tx, l, failed, taken); err != nil {
		return err
	}
	var dead bool
	if l.FailingSince != nil {
		if err := tx.Raw("SELECT ?::timestamptz < clock_timestamp() - make_interval(secs => ?)", *l.FailingSince, s.patience.Seconds()).Row().Scan(&dead); err != nil {
			return err
		}
	}
	for _, r := range results {
		var ended []bool
		err := tx.Raw(recordSQL, map[string]any{
			"status": r.status, "failure": r.failure, "dead": dead, "patience": s.patience.Seconds(), "wait": r.wait.Seconds(),
			"endpoint": l.EndpointID, "position": r.of.Position, "round": r.of.Round, "attempts": r.of.Attempts,
		}).Pluck("ended", &ended).Error
		if err != nil {
			return err
		}
		if len(ended) == 1 && ended[0] && !r.taken() {
			stands.gaveUp++
		}
	}
	switch {
	case gone:
		return pause(tx, l.EndpointID, pausedGone, stands)
	case dead:
		return pause(tx, l.EndpointID, pausedDead, stands)
	}
	return nil
}

// health keeps count of what fails. One success has what waits tried at once, some at a
// time, after many failures.
func (s *Sender) health(tx *gorm.DB, l *lane, failed int, taken bool) error {
	switch {
	case taken && l.Failures > 0:
		if l.Failures >= manyFailures {
			err := tx.Exec(`UPDATE webhook_deliveries SET next_attempt_at = clock_timestamp()
				WHERE clinic_id = app_clinic() AND endpoint_id = ? AND next_attempt_at > clock_timestamp()`, l.EndpointID).Error
			if err != nil {
				return err
			}
		}
		l.Failures, l.FailingSince, l.ProbeAt = 0, nil, nil
		return tx.Model(&lane{}).Where("endpoint_id = ?", l.EndpointID).Updates(map[string]any{"failures": 0, "failing_since": nil, "probe_at": nil}).Error
	case taken || failed == 0:
		return nil
	}
	l.ProbeAt = nil // a null that is read leaves what a pointer points at
	l.Failures = min(l.Failures+failed, 1<<30)
	var probe any
	if l.Failures >= manyFailures {
		probe = gorm.Expr("clock_timestamp() + make_interval(secs => ?)", s.probing(l.Failures-manyFailures).Seconds())
	}
	return tx.Raw(`UPDATE webhook_lanes SET failures = ?, failing_since = coalesce(failing_since, clock_timestamp()), probe_at = ?
		WHERE clinic_id = app_clinic() AND endpoint_id = ? RETURNING *`, l.Failures, probe, l.EndpointID).Take(l).Error
}

// pause has nothing sent until somebody says so.
func pause(tx *gorm.DB, endpoint uuid.UUID, reason string, stands *standing) error {
	paused := tx.Model(&models.WebhookEndpoint{}).Where("id = ? AND active", endpoint).Updates(map[string]any{
		"active": false, "paused_at": gorm.Expr("clock_timestamp()"), "pause_reason": reason,
	})
	if paused.RowsAffected > 0 {
		stands.paused = reason
	}
	return paused.Error
}
