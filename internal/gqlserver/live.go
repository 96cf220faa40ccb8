package gqlserver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/taskmed/taskmed/internal/gqlserver/operation"
	"github.com/taskmed/taskmed/internal/gqlserver/streams"
	"github.com/taskmed/taskmed/internal/requestid"
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
	return v.checked(ctx, q, then) //nolint:contextcheck // it extends the request's
}

// checked is the way from who asks to what is run.
func (v *visitor) checked(ctx context.Context, q *request, then func(ctx context.Context, q *request) error) error {
	ctx, done := q.bounded(ctx)
	defer done()
	ctx, why := q.who(ctx)
	if err := v.refusedBy(ctx, q.scope, why); err != nil {
		q.out.WriteHeader(http.StatusForbidden)
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
	return &streams.RefusedError{Status: status, Errors: list, Again: status == http.StatusServiceUnavailable}
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
		return &streams.RefusedError{Status: why.status, Errors: listed(ctx, why)}
	}
	return v.run(ctx, s, out)
}

func (v *visitor) run(ctx context.Context, s *said, out streams.Out) (err error) {
	defer func() {
		if reason := recover(); reason != nil {
			_ = v.presenter.recovered(ctx, reason) // It is in the log now.
			err = &streams.RefusedError{Status: http.StatusInternalServerError, Errors: listed(ctx, &refusal{http.StatusInternalServerError, models.Internal, internalMessage})}
		}
	}()
	return v.begin(ctx, s, out)
}

// begin runs an operation: a query to its answer, a subscription to its end.
func (v *visitor) begin(ctx context.Context, s *said, out streams.Out) error {
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
			list, err := json.Marshal(gqlerror.List{shown})
			if err != nil {
				return err
			}
			return &streams.RefusedError{Status: http.StatusServiceUnavailable, Errors: list, Again: shown.Extensions["code"] == models.Unavailable}
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
		refused, ok := errors.AsType[*streams.RefusedError](err)
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
