package gqlserver

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/taskmed/taskmed/internal/requestid"
	"github.com/taskmed/taskmed/models"
)

// write sends the operation's response, or says that the client has it, and logs the
// request's line.
func (q *request) write(ctx context.Context, response *graphql.Response) {
	developer := q.watched != nil
	if q.told != nil {
		etag := q.describe(q.out.Header(), developer)
		if etag != "" && q.in.Method == http.MethodGet && noneMatch(q.in.Header, etag) {
			q.out.WriteHeader(http.StatusNotModified)
			q.log(ctx, http.StatusNotModified, 0, 0)
			return
		}
	}
	if developer {
		if response.Extensions == nil {
			response.Extensions = map[string]any{}
		}
		response.Extensions["taskmed"] = q.seen(ctx)
	}
	buffer := q.buffers.get()
	defer q.buffers.put(buffer)
	status := statusOf(response, q.media)
	if err := encode(buffer, response); err != nil {
		q.presenter.logError(ctx, slog.LevelError, "an answer cannot be encoded", err)
		q.refuse(&refusal{http.StatusInternalServerError, models.Internal, internalMessage})
		return
	}
	q.send(q.out, q.media, status, buffer.Bytes())
	q.log(ctx, status, len(response.Errors), buffer.Len())
}

// refuse answers a request that does not get as far as an operation.
func (q *request) refuse(why *refusal) { q.fail(q.out, q.in, q.media, why) }

func (s *Server) fail(w http.ResponseWriter, r *http.Request, media mediaType, why *refusal) {
	body, err := json.Marshal(map[string]gqlerror.List{"errors": {{
		Message:    why.message,
		Extensions: map[string]any{"code": why.code, "requestId": requestid.From(r.Context())},
	}}})
	status := why.status
	if err != nil { // Strings always marshal.
		status = http.StatusInternalServerError
	}
	s.send(w, media, status, body)
}

// send writes an answer with the headers that its status asks for.
func (s *Server) send(w http.ResponseWriter, media mediaType, status int, body []byte) {
	header := w.Header()
	header["Content-Type"] = s.fixed.mediaType(media)
	header.Set("Content-Length", strconv.Itoa(len(body)))
	switch status {
	case http.StatusUnauthorized:
		if header.Get("WWW-Authenticate") == "" {
			header.Set("WWW-Authenticate", `Bearer realm="taskmed"`)
		}
	case http.StatusServiceUnavailable:
		header.Set("Retry-After", "1")
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) //nolint:gosec // JSON, and labelled so; where the client is gone, there is nobody to tell
}

// encode writes a response into the buffer. Its data is JSON already and is
// taken as it is; an answer to a request error has none, not even null.
func encode(buffer *bytes.Buffer, response *graphql.Response) error {
	buffer.WriteByte('{')
	if len(response.Errors) > 0 {
		errs, err := json.Marshal(response.Errors)
		if err != nil {
			return err
		}
		buffer.WriteString(`"errors":`)
		buffer.Write(errs)
	}
	if response.Data != nil {
		comma(buffer)
		buffer.WriteString(`"data":`)
		buffer.Write(response.Data)
	}
	if len(response.Extensions) > 0 {
		extensions, err := json.Marshal(response.Extensions)
		if err != nil {
			return err
		}
		comma(buffer)
		buffer.WriteString(`"extensions":`)
		buffer.Write(extensions)
	}
	buffer.WriteByte('}')
	return nil
}

func comma(buffer *bytes.Buffer) {
	if buffer.Len() > 1 {
		buffer.WriteByte(',')
	}
}

// statusOf follows the specification: an answer with data is 200. Without, it
// is 200 for application/json, whose readers of old take any other status for
// something that is not GraphQL, unless the fault lies outside the operation.
func statusOf(response *graphql.Response, media mediaType) int {
	if response.Data != nil {
		// The specification recommends 200 here as well; but balancers and retrying
		// clients must see that nothing at all could be had.
		switch {
		case nothingBut(response, models.Unavailable):
			return http.StatusServiceUnavailable
		case nothingBut(response, models.Conflict):
			return http.StatusConflict
		}
		return http.StatusOK
	}
	status := http.StatusBadRequest
	for _, err := range response.Errors {
		switch err.Extensions["code"] {
		case models.Unauthenticated:
			return http.StatusUnauthorized
		case models.RateLimited:
			return http.StatusTooManyRequests
		case models.Unavailable:
			return http.StatusServiceUnavailable
		case models.Internal, models.OutcomeUnknown:
			return http.StatusInternalServerError
		case models.Forbidden:
			status = http.StatusForbidden
		}
	}
	if media == jsonType {
		return http.StatusOK
	}
	return status
}

// nothingBut is true where every error has the code and no root field has a value.
func nothingBut(response *graphql.Response, code models.Code) bool {
	if len(response.Errors) == 0 {
		return false
	}
	for _, err := range response.Errors {
		if err.Extensions["code"] != code {
			return false
		}
	}
	var roots map[string]json.RawMessage
	if json.Unmarshal(response.Data, &roots) != nil {
		return false
	}
	for _, value := range roots {
		if string(value) != "null" {
			return false
		}
	}
	return true
}

// fixedHeaders are values of headers that every answer has, made once. A header
// whose value is one of them is replaced or added to, never written into.
type fixedHeaders struct {
	nosniff, noStore, revalidate, vary, hit, json, response []string
}

func newFixedHeaders() fixedHeaders {
	return fixedHeaders{
		nosniff: []string{"nosniff"}, noStore: []string{"no-store"}, revalidate: []string{"private, no-cache"},
		vary: []string{"Authorization, X-Clinic-Id, Accept, Origin"},
		hit:  []string{hitStatus},
		json: []string{jsonType.header()}, response: []string{responseType.header()},
	}
}

func (f *fixedHeaders) mediaType(media mediaType) []string {
	if media == responseType {
		return f.response
	}
	return f.json
}

// largestPooled is the largest buffer worth keeping, in bytes.
const largestPooled = 256 << 10

type bufferPool struct{ pool sync.Pool }

func (p *bufferPool) get() *bytes.Buffer {
	if b, ok := p.pool.Get().(*bytes.Buffer); ok {
		return b
	}
	return new(bytes.Buffer)
}

func (p *bufferPool) put(b *bytes.Buffer) {
	if b.Cap() <= largestPooled {
		b.Reset()
		p.pool.Put(b)
	}
}

// linePool has the attributes of request lines, for a line is written for every
// request.
type linePool struct{ pool sync.Pool }

// line is as many attributes as a request's line has.
type line [12]slog.Attr

func (p *linePool) get() *line {
	if l, ok := p.pool.Get().(*line); ok {
		return l
	}
	return new(line)
}

func (p *linePool) put(l *line) {
	*l = line{} // What it tells of a request goes with it.
	p.pool.Put(l)
}

// log hands the request's line to the log's handler by itself: the logger would look
// for the caller each time, which takes longer than all else here.
func (q *request) log(ctx context.Context, status, faults, bytes int) {
	handler := q.config.Log.Handler()
	if !handler.Enabled(ctx, slog.LevelInfo) {
		return
	}
	cache := ""
	if q.told != nil {
		cache = strings.TrimPrefix(q.told.status(), "taskmed; ")
	}
	now := time.Now()
	pooled := q.lines.get()
	defer q.lines.put(pooled)
	attrs := append(pooled[:0],
		slog.String("request_id", requestid.From(ctx)), slog.String("clinic_id", q.scope.ClinicID.String()), slog.String("operation", operationName(q.op)),
		slog.String("method", q.in.Method), slog.Int("status", status), slog.Int("errors", faults),
		slog.Int("bytes", bytes), slog.Int64("cost", q.estimate()), slog.String("cache", cache), slog.Duration("took", now.Sub(q.started)))
	if statements, counted := q.config.Observer.Statements(ctx); counted {
		attrs = append(attrs, slog.Int64("statements", statements))
	}
	// What fails is not told, as the logger has it: there is nobody to tell.
	if whole, ok := handler.(lineHandler); ok {
		_ = whole.HandleLine(ctx, now, slog.LevelInfo, "request", attrs)
		return
	}
	record := slog.NewRecord(now, slog.LevelInfo, "request", 0)
	record.AddAttrs(attrs...) // It copies them.
	_ = handler.Handle(ctx, record)
}

// lineHandler is a handler that takes a line without a record made for it, with
// keys of letters alone. It does not keep the attributes.
type lineHandler interface {
	HandleLine(ctx context.Context, at time.Time, level slog.Level, message string, attrs []slog.Attr) error
}
