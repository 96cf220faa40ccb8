package streams

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/taskmed/taskmed/internal/requestid"
)

// WantsSocket tells a request that asks for a WebSocket.
func WantsSocket(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
}

// closing is why a socket is closed.
type closing struct {
	code   websocket.StatusCode
	reason string
	// why is a word for metrics.
	why string
}

// Error implements error.
func (c *closing) Error() string { return "streams: the socket is closed: " + c.reason }

// Admit lets a client in by the payload of its connection_init: a JSON object, or nothing.
// Its error is a *GoneError, or something else where it cannot be known.
type Admit func(ctx context.Context, payload json.RawMessage) (Client, error)

// socket is one WebSocket.
type socket struct {
	*Connections

	conn *websocket.Conn
	// wire is what is below it, to be cut where the other side does not answer.
	wire   net.Conn
	admit  Admit
	client Client
	end    context.CancelCauseFunc
	began  time.Time

	mu         sync.Mutex
	operations map[string]*operation
	running    sync.WaitGroup
	// since is since when there is no operation.
	since time.Time
}

// operation is one that runs on a socket.
type operation struct {
	cancel context.CancelFunc
	// follows tells that it is a subscription, which is sent away when the server stops.
	follows bool
}

// out takes the answers of an operation of a socket's.
type out struct {
	*socket

	ctx context.Context //nolint:containedctx // the socket's
	id  string
	own *operation
}

// Follows implements Out.
func (o out) Follows() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.own.follows = true
	return nil
}

// Answer implements Out.
func (o out) Answer(a Answer) error {
	if err := o.say(o.ctx, o.id, o.own, next(o.id, a.Body), false); err != nil {
		return err
	}
	o.counted.Sent(a.StampedAt)
	return nil
}

// ServeSocket takes over a request for a WebSocket and keeps it until it ends. Origins
// were looked at.
func (c *Connections) ServeSocket(w http.ResponseWriter, r *http.Request, admit Admit) {
	if err := c.enter(); err != nil {
		c.counted.Ended("socket", "full")
		w.Header().Set("Retry-After", "1")
		http.Error(w, "no connection can stay here now: try again", http.StatusServiceUnavailable)
		return
	}
	defer c.leave()
	taken := &hijacked{ResponseWriter: w}
	conn, err := websocket.Accept(taken, r, &websocket.AcceptOptions{
		Subprotocols:       []string{subprotocol},
		InsecureSkipVerify: true, // It is about origins, which the caller has looked at.
		CompressionMode:    websocket.CompressionDisabled,
	})
	if err != nil {
		return // It is answered.
	}
	conn.SetReadLimit(c.limits.MessageBytes)
	ctx := requestid.With(c.closing, requestid.From(r.Context()))
	ctx, end := context.WithCancelCause(ctx)
	s := &socket{Connections: c, conn: conn, wire: taken.wire, admit: admit, end: end, began: time.Now(), operations: map[string]*operation{}}
	c.counted.Begun("socket")
	s.serve(ctx) //nolint:contextcheck // a socket outlives the request that opened it
}

// hijacked remembers the connection that is taken over.
type hijacked struct {
	http.ResponseWriter

	wire net.Conn
}

// Hijack implements http.Hijacker.
func (h *hijacked) Hijack() (wire net.Conn, buffered *bufio.ReadWriter, err error) {
	wire, buffered, err = http.NewResponseController(h.ResponseWriter).Hijack()
	h.wire = wire
	return wire, buffered, err
}

// serve reads what the client says until either side ends it.
func (s *socket) serve(ctx context.Context) {
	var watching sync.WaitGroup
	if !slices.Contains([]string{subprotocol}, s.conn.Subprotocol()) {
		s.end(&closing{notAcceptable, "Subprotocol not acceptable", "protocol"})
	} else {
		watching.Go(func() { s.stay(ctx) })
		s.end(s.read(ctx))
	}
	why := s.ended(ctx)
	s.close(why)
	watching.Wait()
	s.running.Wait()
	if s.client != nil {
		s.leaveFor(s.client.Clinic())
	}
	s.counted.Ended("socket", why.why)
	s.log.LogAttrs(ctx, slog.LevelInfo, "socket", slog.String("request_id", requestid.From(ctx)),
		slog.Int("code", int(why.code)), slog.String("why", why.why), slog.Duration("took", time.Since(s.began)))
}

// ended is why the socket ends, in the protocol's terms.
func (s *socket) ended(ctx context.Context) *closing {
	cause := context.Cause(ctx)
	if why, ok := errors.AsType[*closing](cause); ok {
		return why
	}
	if s.closing.Err() != nil {
		return &closing{websocket.StatusServiceRestart, "Service restart", "stopped"}
	}
	return &closing{websocket.CloseStatus(cause), "", "left"}
}

// close says why and lets the client say that it has heard, for a moment.
func (s *socket) close(why *closing) {
	if why.why == "left" {
		_ = s.conn.CloseNow()
		return
	}
	said := make(chan struct{})
	go func() {
		defer close(said)
		_ = s.conn.Close(why.code, shortened(why.reason))
	}()
	moment := time.NewTimer(min(time.Second, s.limits.Write))
	defer moment.Stop()
	select {
	case <-said:
	case <-moment.C:
		_ = s.wire.Close() // The library would wait for five seconds more.
		<-said
	}
}

// read takes messages one by one. The context does not end a message that is being read:
// the socket would be cut before the client is told why.
func (s *socket) read(ctx context.Context) error {
	type heard struct {
		text []byte
		err  error
	}
	messages := make(chan heard)
	reading := context.WithoutCancel(ctx)
	go func() {
		defer close(messages)
		for {
			kind, text, err := s.conn.Read(reading)
			if err == nil && kind != websocket.MessageText {
				err = &closing{badRequest, "Invalid message received", "invalid"}
			}
			select {
			case messages <- heard{text, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case m := <-messages:
			if m.err != nil {
				return m.err
			}
			if err := s.take(ctx, m.text); err != nil {
				return err
			}
		}
	}
}

// take does what one message asks for.
func (s *socket) take(ctx context.Context, text []byte) error {
	m, ok := readMessage(text)
	if !ok {
		return &closing{badRequest, "Invalid message received", "invalid"}
	}
	switch m.Type {
	case "connection_init":
		return s.init(ctx, m.Payload)
	case "ping":
		if len(m.Payload) > longestPingSent {
			m.Payload = nil
		}
		return s.write(ctx, plain("pong", m.Payload))
	case "pong":
		return nil
	}
	if s.known() == nil {
		return &closing{unauthorized, "Unauthorized", "unauthorized"}
	}
	if m.Type == "complete" {
		s.mu.Lock()
		defer s.mu.Unlock()
		if running := s.operations[m.ID]; running != nil {
			running.cancel()
			s.forget(m.ID)
		}
		return nil
	}
	return s.begin(ctx, m)
}

// known is the client, nil before it was let in.
func (s *socket) known() Client {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.client
}

func (s *socket) init(ctx context.Context, payload json.RawMessage) error {
	if s.known() != nil {
		return &closing{tooManyInits, "Too many initialisation requests", "invalid"}
	}
	client, err := s.admit(ctx, payload)
	if gone, ok := errors.AsType[*GoneError](err); ok {
		return &closing{forbidden, gone.Reason, "forbidden"}
	}
	if err == nil {
		err = s.enterFor(client.Clinic())
	}
	if err != nil {
		return &closing{websocket.StatusTryAgainLater, "Try again later", "unavailable"}
	}
	s.mu.Lock()
	s.client, s.since = client, time.Now()
	s.mu.Unlock()
	return s.write(ctx, plain("connection_ack", nil))
}

// begin has an operation run beside the others.
func (s *socket) begin(ctx context.Context, m message) error {
	below, cancel := context.WithCancel(ctx)
	own := &operation{cancel: cancel}
	if known, full := s.place(m.ID, own); known || full {
		cancel()
		if known {
			return &closing{duplicate, "Subscriber for " + m.ID + " already exists", "invalid"}
		}
		s.counted.Refused("many")
		// Here, and not beside: who asks for more and more waits for his own answers.
		return s.write(ctx, about("error", m.ID, []byte(tooMany)))
	}
	s.counted.Subscribed(1)
	s.running.Go(func() {
		defer s.counted.Subscribed(-1)
		defer cancel()
		s.run(below, ctx, m, own)
	})
	return nil
}

// tooMany are the errors of one operation too many.
const tooMany = `[{"message":"too many operations on this connection: complete some, or use another","extensions":{"code":"RATE_LIMITED"}}]`

// place gives an operation its place, unless its id is known or all are taken.
func (s *socket) place(id string, own *operation) (known, full bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.operations[id] != nil {
		return true, false
	}
	if len(s.operations) >= s.limits.Operations {
		return false, true
	}
	s.operations[id] = own
	return false, false
}

// forget is called with the lock.
func (s *socket) forget(id string) {
	delete(s.operations, id)
	if len(s.operations) == 0 {
		s.since = time.Now()
	}
}

// say writes about an operation that still runs; the last thing that is said ends it.
func (s *socket) say(ctx context.Context, id string, own *operation, text []byte, last bool) error {
	s.mu.Lock()
	if s.operations[id] != own {
		s.mu.Unlock()
		return context.Canceled
	}
	if last {
		s.forget(id)
	}
	s.mu.Unlock()
	return s.write(ctx, text)
}

// run runs an operation to its end and says how it went. below ends with the operation,
// ctx with the socket.
func (s *socket) run(below, ctx context.Context, m message, own *operation) {
	err := s.client.Run(below, m.Payload, out{s, ctx, m.ID, own})
	refused, isRefused := errors.AsType[*RefusedError](err)
	gone, isGone := errors.AsType[*GoneError](err)
	switch {
	case err == nil:
		err = s.say(ctx, m.ID, own, about("complete", m.ID, nil), true)
	case isGone:
		s.end(&closing{forbidden, gone.Reason, "forbidden"})
	case isRefused:
		err = s.say(ctx, m.ID, own, about("error", m.ID, refused.Errors), true)
	case below.Err() == nil: // It is over all the same: the client is told so.
		err = errors.Join(err, s.say(ctx, m.ID, own, about("error", m.ID, []byte(internalErrors)), true))
	}
	if failed, ok := errors.AsType[*closing](err); ok {
		s.end(failed)
	}
}

// internalErrors are those of an operation that ends without telling why.
const internalErrors = `[{"message":"internal error","extensions":{"code":"INTERNAL"}}]`

// write gives the client some time to read, and drops one that does not. Nothing is
// queued: who has something to say waits here.
func (s *socket) write(ctx context.Context, text []byte) error {
	// A write that is broken off ends the socket, so that it has its own time.
	writing, done := context.WithTimeout(context.WithoutCancel(ctx), s.limits.Write)
	defer done()
	err := s.conn.Write(writing, websocket.MessageText, text)
	if err != nil && writing.Err() != nil {
		return &closing{websocket.StatusTryAgainLater, "Too slow", "slow"}
	}
	return err
}
