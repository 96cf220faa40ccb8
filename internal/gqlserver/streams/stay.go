package streams

import (
	"context"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// stay looks after a socket while it is open: that it says in time who it is, is there, has
// something to do and may do it; and sends it away when the server stops.
func (s *socket) stay(ctx context.Context) {
	var beside sync.WaitGroup
	defer beside.Wait()
	beside.Go(func() { s.ping(ctx) })
	look := time.NewTicker(min(250*time.Millisecond, s.limits.Init, s.limits.Idle))
	defer look.Stop()
	watched := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.stopping:
			s.sendAway(ctx)
			return
		case <-look.C:
		}
		client := s.known()
		if client == nil {
			if time.Since(s.began) >= s.limits.Init {
				s.end(&closing{initTimeout, "Connection initialisation timeout", "init"})
				return
			}
			continue
		}
		if !watched {
			watched = true
			beside.Go(func() {
				s.watch(ctx, client, func(gone *GoneError) { s.end(&closing{forbidden, gone.Reason, "forbidden"}) })
			})
		}
		if s.idle() >= s.limits.Idle {
			s.end(&closing{websocket.StatusNormalClosure, "Nothing to do", "idle"})
			return
		}
	}
}

// idle is for how long it has had no operation.
func (s *socket) idle() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.operations) > 0 {
		return 0
	}
	return time.Since(s.since)
}

// ping asks whether the client is there, and drops one that does not say so.
func (s *socket) ping(ctx context.Context) {
	every := time.NewTicker(s.limits.Ping)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
		asking, done := context.WithTimeout(context.WithoutCancel(ctx), s.limits.Write)
		err := s.conn.Ping(asking)
		timedOut := asking.Err() != nil
		done()
		if err != nil && timedOut {
			s.end(&closing{websocket.StatusTryAgainLater, "Too slow", "slow"})
		}
		if err != nil {
			return
		}
	}
}

// sendAway closes the socket so that the client connects elsewhere: in its turn, and once
// operations with a single answer have it.
func (s *socket) sendAway(ctx context.Context) {
	turn := time.NewTimer(s.turnToLeave())
	defer turn.Stop()
	select {
	case <-ctx.Done():
		return
	case <-turn.C:
	}
	end := time.Now().Add(s.limits.Finish)
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for s.unanswered() && time.Now().Before(end) {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
	}
	s.end(&closing{websocket.StatusServiceRestart, "Service restart", "stopped"})
}

// unanswered tells whether an operation has a single answer, which is still to come.
func (s *socket) unanswered() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, own := range s.operations {
		if !own.follows {
			return true
		}
	}
	return false
}
