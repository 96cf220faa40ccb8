package gqlserver

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/google/uuid"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/taskmed/taskmed/internal/gqlserver/streams"
	"github.com/taskmed/taskmed/internal/requestid"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/models"
)

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

// scoped is who the client is now. The error is *streams.GoneError where that is nobody, or
// *streams.RefusedError where it cannot be known.
func (v *visitor) scoped(ctx context.Context) (*tenant.Scope, error) {
	q := request{Server: v.Server, in: v.in, out: &unwritten{}}
	ctx, why := q.who(v.config.Cache.Expect(ctx, v.in))
	return q.scope, v.refusedBy(ctx, q.scope, why)
}

// refusedBy translates what who has found.
func (v *visitor) refusedBy(ctx context.Context, now *tenant.Scope, why *refusal) error {
	switch {
	case why == nil && (v.was == nil || v.was.ClinicID == now.ClinicID && v.was.Subject == now.Subject):
		return nil
	case why == nil: // Without X-Clinic-Id it may be another clinic than at first.
		why = &refusal{http.StatusForbidden, models.Forbidden, "the membership that this connection was opened by is no more"}
	}
	refused := streams.RefusedError{Status: why.status, Errors: listed(ctx, why), Again: why.code == models.Unavailable}
	if why.code == models.Unavailable || why.code == models.Internal || why.code == models.RateLimited {
		return &refused
	}
	return &streams.GoneError{RefusedError: refused, Reason: why.message}
}

func listed(ctx context.Context, why *refusal) json.RawMessage {
	list, err := json.Marshal(gqlerror.List{{Message: why.message, Extensions: map[string]any{"code": why.code, "requestId": requestid.From(ctx)}}})
	if err != nil { // Strings always marshal.
		return json.RawMessage("[]")
	}
	return list
}

// Clinic implements streams.Client.
func (v *visitor) Clinic() uuid.UUID { return v.was.ClinicID }

// Holds implements streams.Client.
func (v *visitor) Holds(ctx context.Context) error {
	// Not by who: what cannot be known now would be logged for each connection, each time.
	scope, err := v.config.Auth.Authenticate(v.config.Cache.Expect(ctx, v.in), v.in)
	if known, ok := errors.AsType[*models.Error](err); ok && known.Code != models.Unavailable {
		return v.refusedBy(ctx, nil, &refusal{http.StatusUnauthorized, known.Code, known.Message})
	}
	if err != nil {
		return err
	}
	return v.refusedBy(ctx, scope, nil)
}

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
		return nil, &streams.GoneError{Reason: "The payload of connection_init is an object, such as {\"Authorization\": \"Bearer …\"}"}
	}
	said := map[string]bool{}
	for name, raw := range fields {
		canonical := http.CanonicalHeaderKey(name)
		if canonical != "Authorization" && canonical != "X-Clinic-Id" {
			continue
		}
		var value string
		if json.Unmarshal(raw, &value) != nil || said[canonical] || strings.ContainsAny(value, "\r\n\x00") {
			return nil, &streams.GoneError{Reason: canonical + " in connection_init is one string"}
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

func asRefused(err error) (*streams.RefusedError, bool) {
	if gone, ok := errors.AsType[*streams.GoneError](err); ok {
		return &gone.RefusedError, true
	}
	return errors.AsType[*streams.RefusedError](err)
}

// refuseWith answers with errors that were put into words before.
func (q *request) refuseWith(refused *streams.RefusedError) {
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
