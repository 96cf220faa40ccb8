package gqlserver

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/taskmed/taskmed/internal/gqlserver/operation"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/models"
)

const allowedMethods = "GET, POST, OPTIONS"

// serveGraphQL takes a request from its first header to its last byte. The
// cheap refusals come first; the body is not read before it is known who asks.
func (s *Server) serveGraphQL(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context() //nolint:contextcheck // what watches extends it
	if s.config.Watch != nil {
		var end func()
		w, ctx, end = s.config.Watch(w, r)
		defer end()
	}
	header := w.Header()
	header["Cache-Control"] = s.fixed.noStore
	// What a POST was answered by is nobody's to answer the next one with (RFC 9110,
	// section 9.3.3). More than eight headers make net/http's map grow.
	if r.Method != http.MethodPost {
		header["Vary"] = s.fixed.vary
	}
	if r.Method == http.MethodOptions {
		s.origins.preflight(w, r)
		return
	}
	s.origins.allow(w, r)
	media, acceptable := negotiate(r.Header)
	if r.Method == http.MethodGet && acceptsHTML(r.Header) && !asks(r.URL.Query()) {
		http.Redirect(w, r, "/", http.StatusSeeOther) // Someone opened the API's address in a browser.
		return
	}
	if why := s.refuseEarly(w, r, acceptable); why != nil {
		s.refuse(w, r, media, why)
		return
	}
	started := time.Now()
	if s.config.Expect != nil {
		ctx = s.config.Expect(ctx, r)
	}
	own := &call{Context: ctx, at: started.Add(s.limits.Request)}
	defer own.end()
	scope, err := s.config.Auth.Authenticate(own, r)
	if err != nil {
		s.refuseCredentials(own, w, r, media, err)
		return
	}
	var params *graphql.RawParams
	var sent *asked
	var why *refusal
	if r.Method == http.MethodPost {
		params, sent, why = s.readBody(w, r)
	} else {
		params, sent, why = s.readURL(r.URL.RawQuery)
	}
	if why != nil {
		s.refuse(w, r, media, why)
		return
	}
	params.Headers = r.Header
	own.asked = sent
	s.run(tenant.With(own, scope), w, r, media, scope, params, started)
}

// asks tells a request from an address that somebody typed.
func asks(query url.Values) bool {
	return query.Has("query") || query.Has("documentId") || query.Has("extensions")
}

func (s *Server) refuseEarly(w http.ResponseWriter, r *http.Request, acceptable bool) *refusal {
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodPost:
		w.Header().Set("Allow", allowedMethods)
		return &refusal{http.StatusMethodNotAllowed, models.BadUserInput, "send GET or POST"}
	case !acceptable:
		return &refusal{http.StatusNotAcceptable, models.BadUserInput, "answers are application/graphql-response+json or application/json, in UTF-8"}
	case s.origins.forged(r):
		return &refusal{http.StatusForbidden, models.Forbidden, "this looks like another site's request: send Authorization or GraphQL-Require-Preflight, from an allowed origin"}
	case r.Method == http.MethodPost:
		return checkContentType(r.Header)
	}
	return nil
}

// refuseCredentials answers in the words of the authenticator.
func (s *Server) refuseCredentials(ctx context.Context, w http.ResponseWriter, r *http.Request, media mediaType, err error) {
	shown := s.presenter.present(ctx, err)
	code, _ := shown.Extensions["code"].(models.Code)
	status := http.StatusInternalServerError
	switch code {
	case models.Unauthenticated:
		status = http.StatusUnauthorized
		if strings.TrimSpace(r.Header.Get("Authorization")) != "" {
			w.Header().Set("WWW-Authenticate", `Bearer realm="taskmed", error="invalid_token"`) // RFC 6750, section 3.1
		}
	case models.Forbidden:
		status = http.StatusForbidden
	case models.BadUserInput:
		status = http.StatusBadRequest
	case models.RateLimited:
		status = http.StatusTooManyRequests
	case models.Unavailable:
		status = http.StatusServiceUnavailable
	case models.CostLimit, models.OutcomeUnknown, models.Expired, models.Internal:
	}
	s.fail(w, r, media, status, code, shown.Message)
}

// run executes and answers an operation.
func (s *Server) run(ctx context.Context, w http.ResponseWriter, r *http.Request, media mediaType, scope *tenant.Scope, params *graphql.RawParams, started time.Time) {
	developer := scope.May(tenant.PermissionDeveloper)
	var noted *watched
	if developer {
		ctx, noted = s.watch(ctx, started)
	}
	op, faults := s.executor.CreateOperationContext(ctx, params)
	if len(faults) == 0 {
		s.remembered.keep(askedOf(ctx), op)
	}
	if r.Method == http.MethodGet && op.Operation != nil && op.Operation.Operation != ast.Query {
		w.Header().Set("Allow", "POST, OPTIONS")
		s.refuse(w, r, media, &refusal{http.StatusMethodNotAllowed, models.BadUserInput, "GET runs queries only: send POST"})
		return
	}
	if len(faults) == 0 && notServed(op.Operation.Operation) {
		faults = gqlerror.List{operation.Fault(models.BadUserInput, op.Operation.Position, "a plain request cannot carry a subscription")}
	}
	response := s.respond(ctx, op, faults)
	etag, told := "", noteOf(op)
	if told != nil {
		etag = s.describe(w.Header(), told, scope, media, developer)
	}
	if etag != "" && r.Method == http.MethodGet && noneMatch(r.Header, etag) {
		w.WriteHeader(http.StatusNotModified)
		s.logRequest(ctx, r, scope, op, told, http.StatusNotModified, 0, 0, started)
		return
	}
	if developer {
		if response.Extensions == nil {
			response.Extensions = map[string]any{}
		}
		response.Extensions["taskmed"] = s.seen(ctx, noted, r.Header, op, scope)
	}
	buffer := s.buffers.get()
	defer s.buffers.put(buffer)
	status := statusOf(response, media)
	if err := encode(buffer, response); err != nil {
		s.presenter.logError(ctx, slog.LevelError, "an answer cannot be encoded", err)
		s.fail(w, r, media, http.StatusInternalServerError, models.Internal, internalMessage)
		return
	}
	s.write(w, media, answer{status, buffer.Bytes()})
	s.logRequest(ctx, r, scope, op, told, status, len(response.Errors), buffer.Len(), started)
}

// respond gives the operation's one response, whatever happens in it.
func (s *Server) respond(ctx context.Context, op *graphql.OperationContext, faults gqlerror.List) (response *graphql.Response) {
	opCtx := graphql.WithOperationContext(ctx, op)
	defer func() {
		if reason := recover(); reason != nil {
			response = s.alone(opCtx, s.presenter.recovered(opCtx, reason))
		}
	}()
	if len(faults) > 0 {
		return s.executor.DispatchError(opCtx, faults)
	}
	responses, runCtx := s.executor.DispatchOperation(ctx, op)
	response = responses(runCtx)
	if response == nil { // The time was up before anything ran.
		return s.alone(opCtx, errors.Join(ctx.Err(), context.DeadlineExceeded))
	}
	return response
}

func (s *Server) alone(ctx context.Context, err error) *graphql.Response {
	return &graphql.Response{Errors: gqlerror.List{s.presenter.present(ctx, err)}}
}
