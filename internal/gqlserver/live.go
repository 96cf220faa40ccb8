package gqlserver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/google/uuid"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/taskmed/taskmed/internal/gqlserver/operation"
	"github.com/taskmed/taskmed/internal/gqlserver/streams"
	"github.com/taskmed/taskmed/internal/requestid"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/models"
)

// Events are what subscriptions are told of.
type Events interface {
	// Follow begins to follow what a field of Subscription is about, for the context's
	// scope, with the arguments that it was sent; after is the id of the event to go on
	// after, or "". Its errors are *models.Error.
	Follow(ctx context.Context, field string, args map[string]any, after string) (Follower, error)
}

// Follower is a place among events.
type Follower interface {
	// Next waits for what is told next; its error is the context's or a *models.Error.
	Next(ctx context.Context) (Event, error)
	Close()
}

// Event is something that happened.
type Event struct {
	// ID is what a client goes on after, Node the global id of what is read.
	ID, Node string
	// StampedAt is when it got its position; zero where it was caught up on.
	StampedAt time.Time
}

// lastEvent is the extension by which a client goes on after an event, and an answer says
// which it was; over Server-Sent Events the header Last-Event-ID and the events' ids do.
const lastEvent = "lastEventId"

// patience is how long an event waits to be answered while Postgres does not answer.
const patience = 8 * time.Second

// visitor is a client that stays: what it runs, and each event of what it subscribes to,
// walks the whole way of a request anew.
type visitor struct {
	*Server

	// in has the client's credentials among its headers.
	in *http.Request
	// was is who it was at first.
	was *tenant.Scope
}

var _ streams.Client = (*visitor)(nil)

// admit lets a client in.
func (s *Server) admit(ctx context.Context, in *http.Request) (*visitor, error) {
	v := &visitor{Server: s, in: in}
	scope, err := v.scoped(ctx)
	v.was = scope
	return v, err
}

// scoped is who the client is now. The error is *streams.Gone where that is nobody, or
// *streams.Refused where it cannot be known.
func (v *visitor) scoped(ctx context.Context) (*tenant.Scope, error) {
	q := request{Server: v.Server, in: v.in, out: &unwritten{}}
	ctx, why := q.who(v.config.Cache.Expect(ctx, v.in))
	return q.scope, v.refusedBy(ctx, &q, why)
}

// refusedBy translates what who has found.
func (v *visitor) refusedBy(ctx context.Context, q *request, why *refusal) error {
	switch {
	case why == nil && (v.was == nil || v.was.ClinicID == q.scope.ClinicID && v.was.Subject == q.scope.Subject):
		return nil
	case why == nil: // Without X-Clinic-Id it may be another clinic than at first.
		why = &refusal{http.StatusForbidden, models.Forbidden, "the membership that this connection was opened by is no more"}
	}
	refused := streams.Refused{Status: why.status, Errors: listed(ctx, why), Again: why.code == models.Unavailable}
	if why.code == models.Unavailable || why.code == models.Internal || why.code == models.RateLimited {
		return &refused
	}
	return &streams.Gone{Refused: refused, Reason: why.message}
}

func listed(ctx context.Context, why *refusal) json.RawMessage {
	list, _ := json.Marshal(gqlerror.List{{Message: why.message, Extensions: map[string]any{"code": why.code, "requestId": requestid.From(ctx)}}})
	return list
}

// Clinic implements streams.Client.
func (v *visitor) Clinic() uuid.UUID { return v.was.ClinicID }

// Holds implements streams.Client.
func (v *visitor) Holds(ctx context.Context) error {
	_, err := v.scoped(ctx)
	return err
}

// walk is the way of request.go for one answer; then is called once all checks are passed.
func (v *visitor) walk(ctx context.Context, s *said, then func(ctx context.Context, q *request) error) error {
	release, err := v.streams.Turn(ctx)
	if err != nil {
		return err
	}
	defer release()
	ctx = requestid.With(ctx, requestid.New())
	out, ctx, end := v.config.Observer.Begin(&unwritten{}, v.in.WithContext(ctx))
	defer end()
	q := &request{Server: v.Server, in: v.in, out: out, media: responseType, said: s}
	ctx, done := q.bounded(ctx)
	defer done()
	ctx, why := q.who(ctx)
	if err := v.refusedBy(ctx, q, why); err != nil {
		out.WriteHeader(http.StatusForbidden)
		return err
	}
	faults := q.check(ctx)
	if len(faults) == 0 && q.op.Operation.Operation == ast.Mutation {
		faults = gqlerror.List{operation.Fault(models.BadUserInput, q.op.Operation.Position,
			"mutations are sent by POST: on a connection that is cut, a client would send them once more")}
	}
	if len(faults) > 0 {
		return q.refused(ctx, q.runner.DispatchError(graphql.WithOperationContext(ctx, q.op), faults))
	}
	return then(ctx, q)
}

// refused is an operation that ends with a response of errors alone.
func (q *request) refused(ctx context.Context, response *graphql.Response) error {
	status := statusOf(response, responseType)
	q.out.WriteHeader(status)
	q.log(ctx, status, len(response.Errors), 0)
	list, err := json.Marshal(response.Errors)
	if err != nil {
		return err
	}
	return &streams.Refused{Status: status, Errors: list, Again: status == http.StatusServiceUnavailable}
}

// failed is an operation that ends with an error.
func (q *request) failed(ctx context.Context, err error) error {
	return q.refused(ctx, q.alone(graphql.WithOperationContext(ctx, q.op), err))
}

// Run implements streams.Client.
func (v *visitor) Run(ctx context.Context, body []byte, out streams.Out) error {
	body = bytes.TrimLeft(body, " \t\r\n")
	s, why := v.remembered.read('P', body, func() (*said, *refusal) { return parseBody(body, v.config.Operations.TextBytes) })
	if why != nil {
		return &streams.Refused{Status: why.status, Errors: listed(ctx, why)}
	}
	return v.run(ctx, s, out)
}

func (v *visitor) run(ctx context.Context, s *said, out streams.Out) error {
	var followed Follower
	var form *operation.Subscribed
	var answered []byte
	err := v.walk(ctx, s, func(below context.Context, q *request) (err error) {
		if q.op.Operation.Operation != ast.Subscription {
			answered, err = q.body(below, q.answer(below, nil), "")
			return err
		}
		var fault *gqlerror.Error
		if form, fault = q.checker.Subscribed(q.checked); fault != nil {
			return q.refused(below, q.runner.DispatchError(graphql.WithOperationContext(below, q.op), gqlerror.List{fault}))
		}
		if q.config.Events == nil {
			return q.failed(below, &models.Error{Code: models.Unavailable, Message: "nothing is told here"})
		}
		if followed, err = q.config.Events.Follow(below, form.Field, form.Arguments(q.op.Variables), v.after(s)); err != nil {
			return q.failed(below, err)
		}
		q.out.WriteHeader(http.StatusOK)
		q.log(below, http.StatusOK, 0, 0)
		return nil
	})
	switch {
	case err != nil:
		return err
	case followed == nil:
		return out.Answer(streams.Answer{Body: answered})
	}
	defer followed.Close()
	if err := out.Follows(); err != nil {
		return err
	}
	return v.follow(ctx, s, form, followed, out)
}

// after is the event that the client goes on after.
func (v *visitor) after(s *said) string {
	if sent, ok := s.extensions[lastEvent].(string); ok && sent != "" {
		return sent
	}
	return v.in.Header.Get("Last-Event-ID")
}

// follow answers event after event.
func (v *visitor) follow(ctx context.Context, s *said, form *operation.Subscribed, followed Follower, out streams.Out) error {
	for {
		event, err := followed.Next(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			shown := v.presenter.present(ctx, err)
			list, _ := json.Marshal(gqlerror.List{shown})
			return &streams.Refused{Status: http.StatusServiceUnavailable, Errors: list, Again: shown.Extensions["code"] == models.Unavailable}
		}
		body, err := v.patiently(ctx, s, form, event)
		if err != nil {
			return err
		}
		if body == nil {
			continue // It is gone by now, or not this role's to see.
		}
		if err := out.Answer(streams.Answer{ID: event.ID, Body: body, StampedAt: event.StampedAt}); err != nil {
			return err
		}
	}
}

// patiently answers an event, once more where nothing can be read at the moment: it must
// not be missed. Who does not get it in the end is told to come again.
func (v *visitor) patiently(ctx context.Context, s *said, form *operation.Subscribed, event Event) ([]byte, error) {
	until := time.Now().Add(patience)
	for wait := 100 * time.Millisecond; ; wait *= 2 {
		body, err := v.event(ctx, s, form, event)
		refused, ok := errors.AsType[*streams.Refused](err)
		if !ok || !refused.Again || time.Now().Add(wait).After(until) {
			return body, err
		}
		pause := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			pause.Stop()
			return nil, ctx.Err()
		case <-pause.C:
		}
	}
}

// event answers one: the entity is read as it is now, with the rights that are held now.
func (v *visitor) event(ctx context.Context, s *said, form *operation.Subscribed, event Event) (body []byte, err error) {
	err = v.walk(ctx, s, func(ctx context.Context, q *request) error {
		q.op.Operation, q.op.Variables = form.Query, maps.Clone(q.op.Variables)
		if q.op.Variables == nil {
			q.op.Variables = map[string]any{}
		}
		q.op.Variables[operation.EventVariable] = event.Node
		response := q.answer(ctx, nil)
		if string(response.Data) == `{"`+form.Key+`":null}` {
			if len(response.Errors) == 0 {
				q.out.WriteHeader(http.StatusOK)
				return nil
			}
			response.Data = nil // the field is not null
		}
		if response.Data == nil && statusOf(response, responseType) == http.StatusServiceUnavailable {
			return q.refused(ctx, response)
		}
		body, err = q.body(ctx, response, event.ID)
		return err
	})
	return body, err
}

// body is a response as it is written.
func (q *request) body(ctx context.Context, response *graphql.Response, event string) ([]byte, error) {
	if event != "" || q.watched != nil {
		response.Extensions = maps.Clone(response.Extensions)
		if response.Extensions == nil {
			response.Extensions = map[string]any{}
		}
	}
	if event != "" {
		response.Extensions[lastEvent] = event
	}
	if q.watched != nil {
		response.Extensions["taskmed"] = q.seen(ctx)
	}
	var buffer bytes.Buffer
	if err := encode(&buffer, response); err != nil {
		return nil, q.failed(ctx, err)
	}
	status := statusOf(response, responseType)
	q.out.WriteHeader(status)
	q.log(ctx, status, len(response.Errors), buffer.Len())
	return buffer.Bytes(), nil
}

// unwritten is written to where an answer is written elsewhere.
type unwritten struct{ header http.Header }

// Header implements http.ResponseWriter.
func (u *unwritten) Header() http.Header {
	if u.header == nil {
		u.header = http.Header{}
	}
	return u.header
}

// Write implements http.ResponseWriter.
func (*unwritten) Write(p []byte) (int, error) { return len(p), nil }

// WriteHeader implements http.ResponseWriter.
func (*unwritten) WriteHeader(int) {}

// serveSocket takes a WebSocket over.
func (s *Server) serveSocket(w http.ResponseWriter, r *http.Request) {
	if origin := r.Header.Get("Origin"); origin != "" && !s.origins.sameOrAllowed(r, origin) {
		s.fail(w, r, jsonType, &refusal{http.StatusForbidden, models.Forbidden, "this looks like another site's request: connect from an allowed origin"})
		return
	}
	s.streams.ServeSocket(w, r, func(ctx context.Context, payload json.RawMessage) (streams.Client, error) {
		in, err := withPayload(r, payload)
		if err != nil {
			return nil, err
		}
		return s.admit(ctx, in)
	})
}

// withPayload is the request that opened a socket, with the credentials in the payload of
// connection_init: {"Authorization": "Bearer …", "X-Clinic-Id": "clinic_…"}, in any case
// of letters. They take the headers' place.
func withPayload(r *http.Request, payload json.RawMessage) (*http.Request, error) {
	in := r.Clone(context.WithoutCancel(r.Context()))
	in.Header.Del("Last-Event-ID")
	var fields map[string]json.RawMessage
	if len(payload) > 0 && json.Unmarshal(payload, &fields) != nil {
		return nil, &streams.Gone{Reason: "The payload of connection_init is an object, such as {\"Authorization\": \"Bearer …\"}"}
	}
	said := map[string]bool{}
	for name, raw := range fields {
		canonical := http.CanonicalHeaderKey(name)
		if canonical != "Authorization" && canonical != "X-Clinic-Id" {
			continue
		}
		var value string
		if json.Unmarshal(raw, &value) != nil || said[canonical] || strings.ContainsAny(value, "\r\n\x00") {
			return nil, &streams.Gone{Reason: canonical + " in connection_init is one string"}
		}
		said[canonical] = true
		in.Header.Set(canonical, value)
	}
	return in, nil
}

// serveEvents answers by Server-Sent Events.
func (s *Server) serveEvents(w http.ResponseWriter, r *http.Request) {
	q := request{Server: s, in: r, out: w, media: responseType}
	if q.elsewhere() {
		return
	}
	why := q.eventLimits()
	var client *visitor
	if why == nil {
		var err error
		client, err = s.admit(r.Context(), r)
		if refused, ok := asRefused(err); ok {
			q.refuseWith(refused)
			return
		}
		why = q.read()
	}
	if why != nil {
		q.refuse(why)
		return
	}
	s.streams.ServeEvents(w, r, saying{client, q.said}, nil, q.refuseWith)
}

// saying is a client that has said what it wants already.
type saying struct {
	*visitor

	said *said
}

// Run implements streams.Client.
func (c saying) Run(ctx context.Context, _ []byte, out streams.Out) error {
	return c.run(ctx, c.said, out)
}

func asRefused(err error) (*streams.Refused, bool) {
	if gone, ok := errors.AsType[*streams.Gone](err); ok {
		return &gone.Refused, true
	}
	return errors.AsType[*streams.Refused](err)
}

// refuseWith answers with errors that were put into words before.
func (q *request) refuseWith(refused *streams.Refused) {
	q.send(q.out, responseType, refused.Status, append(append([]byte(`{"errors":`), refused.Errors...), '}'))
}

// eventLimits is limits for Server-Sent Events.
func (q *request) eventLimits() *refusal {
	switch {
	case q.origins.forged(q.in):
		return forgedRequest()
	case q.in.Method == http.MethodPost:
		return checkContentType(q.in.Header)
	}
	return nil
}
