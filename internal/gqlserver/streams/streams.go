// Package streams keeps connections that stay: graphql-transport-ws over WebSockets
// (https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md) and GraphQL over
// Server-Sent Events, each operation on its own connection
// (https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md). It knows what is said
// on them and how much of it there may be, and nothing of GraphQL.
package streams

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/google/uuid"
)

// Client is one who was let in.
type Client interface {
	// Clinic is for whom it came.
	Clinic() uuid.UUID
	// Holds is a *GoneError once its credentials are worth nothing more, or something else.
	Holds(ctx context.Context) error
	// Run runs an operation, said as a POST's body says it. Its error is *RefusedError, *GoneError,
	// or that of out or the context; nil where the operation is complete.
	Run(ctx context.Context, body []byte, out Out) error
}

// Out takes an operation's answers, from one goroutine.
type Out interface {
	// Follows tells that the operation is a subscription, and has begun to follow.
	Follows() error
	// Answer returns once an answer is written.
	Answer(a Answer) error
}

// Answer is one of an operation's answers.
type Answer struct {
	// ID is what a client that is cut off goes on after; "" if nothing comes after it.
	ID string
	// Body is a GraphQL response as JSON.
	Body []byte
	// StampedAt is when what it tells of got its position; zero where it was waited for
	// by nobody.
	StampedAt time.Time
}

// RefusedError ends an operation, before its first answer or later.
type RefusedError struct {
	// Status is the one of a plain answer.
	Status int
	// Errors are GraphQL errors as a JSON list.
	Errors json.RawMessage
	// Again tells that the client should try once more, here or elsewhere.
	Again bool
}

// Error implements error.
func (*RefusedError) Error() string { return "streams: the operation is refused" }

// GoneError tells that a client's credentials are worth nothing more, and why in words for it.
type GoneError struct {
	RefusedError

	Reason string
}

// Error implements error.
func (*GoneError) Error() string { return "streams: the credentials are worth nothing more" }

// Limits bound what clients can make a server hold. Zero means the default.
type Limits struct {
	// Connections are all that stay (5,000), ClinicConnections those of one clinic (1,000).
	Connections, ClinicConnections int
	// Operations are those of one socket at once (50).
	Operations int
	// AtOnce is how many answers are computed at once for all of them together (8): what
	// happens once is answered to many, and requests need connections to Postgres, too.
	AtOnce int
	// MessageBytes bound what a client says at once (128 KiB).
	MessageBytes int64
	// Init (5 s) is how long a socket has to say who it is, Idle (9 s) how long one
	// without an operation stays.
	Init, Idle time.Duration
	// Write (4 s) is how long a client may take to read something before it is dropped;
	// Ping (4 s) is how often it is asked whether it is there.
	Write, Ping time.Duration
	// Check (750 ms) is how often credentials are looked at though nothing happens.
	Check time.Duration
	// Spread (800 ms) is the time over which clients are sent away when the server stops.
	Spread time.Duration
	// Finish (20 s) is what operations with a single answer then have to end.
	Finish time.Duration
}

// WithDefaults fills in what is zero.
func (l Limits) WithDefaults() Limits {
	for field, value := range map[*time.Duration]time.Duration{
		&l.Init: 5 * time.Second, &l.Idle: 9 * time.Second, &l.Write: 4 * time.Second, &l.Ping: 4 * time.Second,
		&l.Check: 750 * time.Millisecond, &l.Spread: 800 * time.Millisecond, &l.Finish: 20 * time.Second,
	} {
		if *field == 0 {
			*field = value
		}
	}
	for field, value := range map[*int]int{&l.Connections: 5000, &l.ClinicConnections: 1000, &l.Operations: 50, &l.AtOnce: 8} {
		if *field == 0 {
			*field = value
		}
	}
	if l.MessageBytes == 0 {
		l.MessageBytes = 128 << 10
	}
	return l
}

// Connections are a server's connections that stay.
type Connections struct {
	limits  Limits
	counted Counted
	log     *slog.Logger

	turns    chan struct{}
	stopping chan struct{}
	closing  context.Context //nolint:containedctx // it cuts what is left
	cut      context.CancelFunc
	sockets  sync.WaitGroup

	mu      sync.Mutex
	stopped time.Time
	all     int
	clinics map[uuid.UUID]int
}

// New makes Connections; counted may be nil.
func New(limits Limits, counted Counted, log *slog.Logger) *Connections {
	if counted == nil {
		counted = uncounted{}
	}
	c := &Connections{limits: limits.WithDefaults(), counted: counted, log: log, stopping: make(chan struct{}), clinics: map[uuid.UUID]int{}}
	c.turns = make(chan struct{}, c.limits.AtOnce)
	c.closing, c.cut = context.WithCancel(context.Background())
	return c
}

// Turn waits until one more answer may be computed.
func (c *Connections) Turn(ctx context.Context) (release func(), err error) {
	select {
	case c.turns <- struct{}{}:
		return func() { <-c.turns }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Stop sends all clients away, over a short while, so that they connect elsewhere. It
// does not wait.
func (c *Connections) Stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped.IsZero() {
		c.stopped = time.Now()
		close(c.stopping)
	}
}

// Close waits until all have ended, and cuts what is left some grace after Stop.
func (c *Connections) Close(grace time.Duration) {
	c.Stop()
	c.mu.Lock()
	grace -= time.Since(c.stopped)
	c.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.sockets.Wait()
	}()
	timer := time.NewTimer(max(0, grace))
	defer timer.Stop()
	select {
	case <-ended:
	case <-timer.C:
	}
	c.cut()
	<-ended
}

// errFull and errClinicFull are for one connection too many, errStopping for one too late.
var (
	errFull       = errors.New("streams: too many connections that stay")
	errClinicFull = errors.New("streams: too many connections of one clinic that stay")
	errStopping   = errors.New("streams: the server is stopping")
)

// enter takes a place.
func (c *Connections) enter() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !c.stopped.IsZero():
		return errStopping
	case c.all >= c.limits.Connections:
		return errFull
	}
	c.all++
	c.sockets.Add(1)
	return nil
}

func (c *Connections) leave() {
	c.mu.Lock()
	c.all--
	c.mu.Unlock()
	c.sockets.Done()
}

// enterFor takes one of a clinic's places.
func (c *Connections) enterFor(clinic uuid.UUID) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.clinics[clinic] >= c.limits.ClinicConnections {
		return errClinicFull
	}
	c.clinics[clinic]++
	return nil
}

func (c *Connections) leaveFor(clinic uuid.UUID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.clinics[clinic]--; c.clinics[clinic] == 0 {
		delete(c.clinics, clinic)
	}
}

// turnToLeave is how long after the stop this connection's client is sent away.
func (c *Connections) turnToLeave() time.Duration { return rand.N(c.limits.Spread + 1) }

// watch looks at a client's credentials until the context ends or they are worth nothing,
// which it tells by gone.
func (c *Connections) watch(ctx context.Context, client Client, gone func(*GoneError)) {
	look := time.NewTicker(c.limits.Check)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
		asking, done := context.WithTimeout(ctx, time.Second)
		err := client.Holds(asking)
		done()
		// That it cannot be known now is no reason: nothing is told meanwhile either.
		if why, ok := errors.AsType[*GoneError](err); ok {
			gone(why)
			return
		}
	}
}
