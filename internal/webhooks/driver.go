package webhooks

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/models"
)

const (
	statusGone = http.StatusGone
	// lingering is how long a lane waits for what is due next before it is given up; it is
	// found again when that is due.
	lingering = 2 * time.Second
	// afterFault is how long it waits where a turn failed.
	afterFault = time.Second
)

// driver works off an endpoint's lane while there is something to do.
type driver struct {
	sender           *Sender
	calling          context.Context //nolint:containedctx // calls outlive what has them made, by the grace
	clinic, endpoint uuid.UUID
	wake             chan struct{}

	// busy are the entities of which a delivery is under way.
	busy map[uuid.UUID]struct{}
	done chan *result
	full bool
	// results are not written down yet.
	results []*result
}

// run drives until there is nothing to do, or the context ends and what was under way is
// written down.
func (d *driver) run(ctx context.Context) {
	for {
		var stands *standing
		var err error
		if ctx.Err() == nil || len(d.results) > 0 {
			stands, err = d.turn(ctx)
		}
		if err != nil && ctx.Err() == nil {
			d.sender.log.WarnContext(ctx, "a webhook endpoint waits: its turn failed", slog.String("endpoint", models.KindWebhookEndpoint.Global(d.endpoint)), slog.Any("error", err))
		}
		if err != nil {
			stands = &standing{probeIn: afterFault}
		}
		if ctx.Err() != nil {
			if len(d.busy) == 0 {
				d.sender.ended(d, true) // what is not written down is sent again
				return
			}
			d.collect(<-d.done)
			continue
		}
		next := d.dispatch(ctx, stands)
		// News make no difference while nothing more may be under way: an endpoint that does
		// not answer takes no turns from others.
		d.full = len(d.busy) >= d.most(stands)
		switch {
		case stands.more:
			d.drain()
			continue
		case err == nil && len(d.busy) == 0 && (next < 0 || next > lingering):
			if d.sender.ended(d, false) {
				return
			}
			continue
		}
		d.await(ctx, next)
	}
}

// turn takes a turn when there is room for one.
func (d *driver) turn(ctx context.Context) (*standing, error) {
	s := d.sender
	ctx = context.WithoutCancel(ctx) // what came of calls is written down as the server stops, too
	leave, err := s.turns.take(ctx, s.takes.has(d.endpoint))
	if err != nil {
		return nil, err
	}
	defer leave()
	ctx, done := context.WithTimeout(ctx, longestTurn)
	defer done()
	stands, err := s.turn(ctx, d.endpoint, d.results, slices.Collect(maps.Keys(d.busy)))
	if err != nil {
		return nil, err
	}
	for _, r := range d.results {
		s.counted.Attempted(r.taken())
		if r.taken() {
			s.counted.Delivered(s.hooks.now().Sub(r.of.StampedAt))
		}
	}
	d.results = d.results[:0]
	s.counted.GaveUp(stands.gaveUp)
	if stands.paused != "" {
		s.counted.Paused()
		s.log.WarnContext(ctx, "a webhook endpoint is paused", slog.String("endpoint", models.KindWebhookEndpoint.Global(d.endpoint)),
			slog.String("clinic", models.KindClinic.Global(d.clinic)), slog.String("reason", stands.paused))
	}
	s.seams.at("looked")
	return stands, nil
}

// dispatch calls the endpoint with what may go, and tells how long to wait for what is due
// next; less than nothing where nothing is.
func (d *driver) dispatch(ctx context.Context, stands *standing) (next time.Duration) {
	next = -1
	if stands.endpoint == nil {
		if stands.probeIn > 0 {
			return stands.probeIn
		}
		return next
	}
	if stands.failures >= manyFailures {
		// One at a time, the one that has waited longest, whether its time has come or not.
		if len(stands.heads) == 0 || len(d.busy) > 0 {
			return next
		}
		if stands.probeIn > 0 {
			return stands.probeIn
		}
		d.call(ctx, stands.endpoint, stands.heads[0])
		return next
	}
	for _, head := range stands.heads {
		if !head.Due {
			return time.Duration(head.Seconds*float64(time.Second)) + time.Millisecond
		}
		if len(d.busy) >= d.most(stands) {
			return next
		}
		d.call(ctx, stands.endpoint, head)
	}
	return next
}

// most is how many calls may be under way: one, until it has shown that it takes them.
func (d *driver) most(stands *standing) int {
	if stands.failures >= manyFailures || !d.sender.takes.has(d.endpoint) {
		return 1
	}
	return mostAtOnce
}

// call has the endpoint called.
func (d *driver) call(ctx context.Context, endpoint *models.WebhookEndpoint, of *waiting) {
	leave, err := d.sender.calls.take(ctx, d.sender.takes.has(d.endpoint))
	if err != nil {
		return
	}
	d.busy[of.EntityID] = struct{}{}
	go func() {
		defer leave()
		d.done <- d.sender.attempt(d.calling, endpoint, of)
	}()
}

// attempt calls an endpoint once. What was cut off by the server's stop is no failure.
func (s *Sender) attempt(ctx context.Context, endpoint *models.WebhookEndpoint, of *waiting) *result {
	r := &result{of: of}
	o, err := s.hooks.post(ctx, endpoint, models.KindChange.Global(of.ChangeID), body{
		Type: of.Event, Timestamp: of.At.UTC(),
		Data: data{
			ClinicID: models.KindClinic.Global(endpoint.ClinicID), ChangeID: models.KindChange.Global(of.ChangeID), Position: of.Position,
			Event: strings.ToUpper(strings.ReplaceAll(of.Event, ".", "_")), EntityID: models.Kind(of.EntityKind).Global(of.EntityID),
		},
	})
	s.seams.at("sent")
	if err != nil {
		s.log.ErrorContext(ctx, "a webhook cannot be signed: rotateWebhookSecret makes other keys", slog.String("endpoint", endpoint.GetID()), slog.Any("error", err))
		o = outcome{failure: "it could not be signed: rotate the endpoint's secret"}
	}
	if ctx.Err() != nil && o.status == 0 {
		return &result{of: of, wait: -1}
	}
	r.outcome, r.wait = o, max(s.backoff(of.Attempts+1), o.after)
	return r
}

// collect keeps a result until the next turn writes it down.
func (d *driver) collect(r *result) {
	delete(d.busy, r.of.EntityID)
	if r.wait >= 0 {
		d.results = append(d.results, r)
		d.sender.takes.learn(d.endpoint, r.taken())
	}
}

// drain collects what is there.
func (d *driver) drain() {
	for {
		select {
		case r := <-d.done:
			d.collect(r)
		default:
			return
		}
	}
}

// await waits for a result, for news, for what is due next, or for the end.
func (d *driver) await(ctx context.Context, next time.Duration) {
	var due <-chan time.Time
	if next >= 0 {
		timer := time.NewTimer(next)
		defer timer.Stop()
		due = timer.C
	}
	news := d.wake
	if d.full {
		news = nil // it is remembered
	}
	select {
	case r := <-d.done:
		d.collect(r)
		d.drain()
	case <-news:
	case <-due:
	case <-ctx.Done():
	}
}
