package streams

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/taskmed/taskmed/internal/requestid"
)

// EventStream is the media type of Server-Sent Events.
const EventStream = "text/event-stream"

// WantsEvents tells a request that wants Server-Sent Events before anything else.
func WantsEvents(r *http.Request) bool {
	accept := r.Header.Get("Accept")
	return strings.HasPrefix(accept, EventStream) && (r.Method == http.MethodGet || r.Method == http.MethodPost)
}

// stream is an answer in events.
type stream struct {
	*Connections

	out     http.ResponseWriter
	control *http.ResponseController
	begun   bool
}

// ServeEvents runs one operation and writes its answers as events. refuse answers where
// nothing was written yet.
func (c *Connections) ServeEvents(w http.ResponseWriter, r *http.Request, client Client, body []byte, refuse func(*RefusedError)) {
	began := time.Now()
	full := &RefusedError{Status: http.StatusServiceUnavailable, Errors: []byte(`[{"message":"no connection can stay here now: try again","extensions":{"code":"UNAVAILABLE"}}]`)}
	if c.enter() != nil {
		c.counted.Ended("stream", "full")
		refuse(full)
		return
	}
	defer c.leave()
	if c.enterFor(client.Clinic()) != nil {
		c.counted.Ended("stream", "full")
		refuse(full)
		return
	}
	defer c.leaveFor(client.Clinic())
	c.counted.Begun("stream")
	c.counted.Subscribed(1)
	defer c.counted.Subscribed(-1)
	s := &stream{Connections: c, out: w, control: http.NewResponseController(w)}
	// The server's own times are for requests that end.
	_ = s.control.SetReadDeadline(time.Time{})
	why := s.serve(r, client, body, refuse)
	c.counted.Ended("stream", why)
	c.log.LogAttrs(r.Context(), slog.LevelInfo, "stream", slog.String("request_id", requestid.From(r.Context())),
		slog.String("why", why), slog.Duration("took", time.Since(began)))
}

// serve runs the operation beside what looks after it; it writes alone, in this goroutine.
func (s *stream) serve(r *http.Request, client Client, body []byte, refuse func(*RefusedError)) (why string) {
	ctx, end := context.WithCancelCause(r.Context())
	hands, ended := handed{s.counted, ctx, make(chan []byte), make(chan error), &atomic.Bool{}}, make(chan error, 1)
	var goneFirst *GoneError
	go func() { ended <- client.Run(ctx, body, hands) }()
	gone, watched := make(chan *GoneError, 1), make(chan struct{})
	go func() {
		defer close(watched)
		s.watch(ctx, client, func(g *GoneError) { gone <- g })
	}()
	defer func() {
		end(nil)
		<-watched
	}()
	beat := time.NewTicker(s.limits.Ping)
	defer beat.Stop()
	var leaving <-chan time.Time
	stopping := s.stopping
	for {
		select {
		case text := <-hands.texts:
			err := s.write(text)
			hands.written <- err
			if err != nil {
				end(err)
				<-ended //nolint:errcheck // it is known why
				return slowOrLeft(err)
			}
		case err := <-ended:
			return s.over(err, goneFirst, refuse)
		case goneFirst = <-gone:
			end(goneFirst) // Run ends, and tells.
		case <-beat.C:
			if s.begun {
				if err := s.write([]byte(silence)); err != nil {
					end(err)
					<-ended //nolint:errcheck // it is known why
					return slowOrLeft(err)
				}
			}
		case <-stopping:
			stopping, leaving = nil, time.After(s.turnToLeave())
		case <-leaving:
			if !hands.follows.Load() { // It has one answer, and gets it.
				leaving = time.After(10 * time.Millisecond)
				continue
			}
			// Without "complete": the client connects again, and goes on after the last event.
			end(errStopping)
			<-ended //nolint:errcheck // it is known why
			return "stopped"
		}
	}
}

// handed implements Out: what runs the operation hands over to what writes.
type handed struct {
	counted Counted
	ctx     context.Context //nolint:containedctx // the stream's
	texts   chan []byte
	written chan error
	follows *atomic.Bool
}

// silence is a comment, which keeps proxies from taking a stream for dead.
const silence = ":\n\n"

// Follows implements Out: the client sees that it is told from now on.
func (h handed) Follows() error {
	h.follows.Store(true)
	return h.hand([]byte(silence))
}

// Answer implements Out.
func (h handed) Answer(a Answer) error {
	err := h.hand(event("next", a.ID, a.Body))
	if err == nil {
		h.counted.Sent(a.StampedAt)
	}
	return err
}

func (h handed) hand(text []byte) error {
	select {
	case h.texts <- text:
		return <-h.written
	case <-h.ctx.Done():
		return context.Cause(h.ctx)
	}
}

// over ends the stream as the operation ended.
func (s *stream) over(err error, gone *GoneError, refuse func(*RefusedError)) (why string) {
	if own, ok := errors.AsType[*GoneError](err); ok {
		gone = own
	}
	var refused *RefusedError
	switch own, isRefused := errors.AsType[*RefusedError](err); {
	case gone != nil:
		refused, why = &gone.RefusedError, "forbidden"
	case isRefused:
		refused, why = own, "refused"
	case err != nil:
		return "left"
	}
	switch {
	case refused == nil:
		why = "complete"
	case !s.begun:
		refuse(refused)
		return why
	case refused.Again:
		return "unavailable" // it connects again
	default:
		if s.write(event("next", "", append(append([]byte(`{"errors":`), refused.Errors...), '}'))) != nil {
			return "left"
		}
	}
	_ = s.write([]byte("event: complete\ndata: \n\n")) // The client is gone, or has it.
	return why
}

// event is an event of a stream. JSON has no line breaks.
func event(kind, id string, body []byte) []byte {
	var b bytes.Buffer
	if id != "" {
		b.WriteString("id: " + id + "\n")
	}
	b.WriteString("event: " + kind + "\ndata: ")
	b.Write(bytes.ReplaceAll(body, []byte("\n"), nil))
	b.WriteString("\n\n")
	return b.Bytes()
}

// write gives the client some time to read, and drops one that does not.
func (s *stream) write(text []byte) error {
	// A test's recorder has no deadlines, and needs none.
	_ = s.control.SetWriteDeadline(time.Now().Add(s.limits.Write))
	if !s.begun {
		s.begun = true
		header := s.out.Header()
		header.Set("Content-Type", EventStream+"; charset=utf-8")
		header.Set("Cache-Control", "no-store")
		header.Set("X-Accel-Buffering", "no") // what nginx and others hold back events by
		s.out.WriteHeader(http.StatusOK)
		text = append([]byte("retry: 1000\n\n"), text...)
	}
	if _, err := s.out.Write(text); err != nil {
		return err
	}
	return s.control.Flush()
}

func slowOrLeft(err error) string {
	if timeout, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err); ok && timeout.Timeout() {
		return "slow"
	}
	return "left"
}
