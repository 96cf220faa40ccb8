package trust

import (
	"context"
	"log/slog"
	"strconv"
	"time"

	"github.com/taskmed/taskmed/internal/coherence"
)

const (
	// attendEvery is how often the supervisor looks whether trust can be had.
	attendEvery = 100 * time.Millisecond
	// askEvery is how often Redis is asked who it is, and for its epoch.
	askEvery = 500 * time.Millisecond
	// letGo is how long after Redis last answered it is given up, so that others may
	// agree on another one.
	letGo = 3 * time.Second
)

// supervise keeps the cache connected, and trusted once nothing can have been
// missed.
func (t *Trust) supervise(ctx context.Context) {
	s := supervisor{Trust: t}
	tick := time.NewTicker(attendEvery)
	defer tick.Stop()
	for {
		s.attend(ctx)
		select {
		case <-ctx.Done():
			s.drop(context.WithoutCancel(ctx), closed)
			return
		case <-t.wake:
		case <-tick.C:
		}
	}
}

// supervisor is what one goroutine knows alone.
type supervisor struct {
	*Trust
	link   *coherence.Link
	shared *coherence.Shared
	// place names the run of Redis, and the database in it, that the link leads to,
	// and what a journal there means.
	place string
	// database is the one that was heard last, where there is no Redis.
	database string
	asked    time.Time
	// answered is when the link's Redis last did.
	answered time.Time
	failed   time.Time
	// complained is the place that was said to differ from the others'.
	complained string
}

func (s *supervisor) attend(ctx context.Context) {
	if s.config.Redis != nil && !s.reach(ctx) || !s.named(ctx) || s.config.Redis != nil && !s.agrees(ctx) {
		return
	}
	if s.latest.Load() == nil {
		s.begin(ctx)
	}
}

// reach makes sure that there is a link and that it leads where it did.
func (s *supervisor) reach(ctx context.Context) bool {
	if s.link != nil && time.Since(s.asked) > askEvery {
		s.asked = time.Now()
		if err := s.link.StillUsable(ctx); err == nil {
			s.answered = s.asked
			s.follow(ctx)
		}
	}
	if s.link != nil {
		if why, replaced := s.link.Replaced(); replaced {
			s.log.WarnContext(ctx, "redis is not what it was: the cache begins empty", slog.String("why", why))
			s.drop(ctx, "redis was restarted or replaced")
		} else if time.Since(s.answered) > letGo {
			s.log.WarnContext(ctx, "redis has not answered for long: the cache will begin empty")
			s.drop(ctx, "redis unreachable")
		}
	}
	if s.link != nil {
		return true
	}
	if time.Since(s.failed) < coherence.Pause {
		return false
	}
	connecting, done := context.WithTimeout(ctx, 2*time.Second)
	defer done()
	link, err := coherence.Dial(connecting, s.config.Redis, s.config.Hook, s.config.Seams.Seams)
	if err != nil {
		if s.failed.IsZero() {
			s.log.WarnContext(ctx, "the cache does not reach redis and is not used", slog.Any("error", err))
		}
		s.failed = time.Now()
		why := "redis unreachable"
		s.why.Store(&why)
		return false
	}
	s.failed = time.Time{}
	s.link, s.asked, s.answered = link, time.Now(), time.Now()
	s.place = link.RunID() + "/" + strconv.Itoa(s.config.Redis.DB) + "/" + coherence.Version
	return true
}

// drop lets go of the link and of all that was kept over it.
func (s *supervisor) drop(ctx context.Context, why string) {
	if s.link == nil {
		return
	}
	s.forsake()
	s.distrust(why)
	if err := s.link.Close(); err != nil {
		s.log.WarnContext(ctx, "closing the connections to redis", slog.Any("error", err))
	}
	s.link = nil
}

// follow takes over an epoch that another instance began. What is kept in the
// process stays: this instance missed nothing.
func (s *supervisor) follow(ctx context.Context) {
	g := s.latest.Load()
	if g == nil || g.Shared != s.shared {
		return
	}
	epoch, err := s.shared.Epoch(ctx)
	if err != nil {
		return
	}
	if epoch < g.epoch.Load() {
		// The counter was lost, with everything else: FLUSHALL. A later epoch could
		// be one that has been.
		s.distrust("redis lost what it knew")
		return
	}
	g.epoch.Store(epoch)
}

// begin makes a generation if nothing is missed from now on.
func (s *supervisor) begin(ctx context.Context) {
	s.mu.Lock()
	before := s.distrusts
	s.mu.Unlock()
	if s.listener != nil && s.listener.session.Load() == 0 {
		return
	}
	g := &Generation{}
	if s.local != nil {
		g.Journal = s.local
	}
	if s.shared != nil {
		epoch, err := s.nextEpoch(ctx)
		if err != nil {
			return
		}
		g.Journal, g.Shared = s.shared, s.shared
		g.epoch.Store(epoch)
	}
	g.Kept = s.config.Keep(g.Journal)
	s.mu.Lock()
	defer s.mu.Unlock()
	// Something was missed while this was made: once more.
	if database, _ := s.heardDatabase(); s.distrusts != before || s.elsewhere(database) ||
		g.Shared != nil && g.Shared.Database() != database || ctx.Err() != nil {
		s.nudge()
		return
	}
	s.latest.Store(g)
}

// nextEpoch begins an epoch, unless another instance vouches for the last: what is
// stored under an earlier one may lack a write that this instance did not hear of.
func (s *supervisor) nextEpoch(ctx context.Context) (uint64, error) {
	if s.config.Seams.WithoutEpoch {
		return 1, nil
	}
	if epoch := s.vouchedEpoch(ctx); epoch != 0 {
		return epoch, nil
	}
	return s.shared.NextEpoch(ctx)
}

// sweep removes what earlier runs of Redis left behind, among it what a snapshot
// brought back. Nobody reads it: it is under another run's name.
func (s *supervisor) sweep(ctx context.Context, shared *coherence.Shared) {
	if err := shared.Sweep(ctx, s.config.Prefix); err != nil && ctx.Err() == nil {
		s.log.DebugContext(ctx, "sweep what an earlier redis left behind", slog.Any("error", err))
	}
}
