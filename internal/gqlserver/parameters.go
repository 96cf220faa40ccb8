package gqlserver

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/99designs/gqlgen/graphql"

	"github.com/taskmed/taskmed/internal/gqlserver/operation"
	"github.com/taskmed/taskmed/models"
)

// refusal is a request that is answered by a status and one error.
type refusal struct {
	status  int
	code    models.Code
	message string
}

func badRequest(message string) *refusal {
	return &refusal{http.StatusBadRequest, models.BadUserInput, message}
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

// checkContentType refuses what a form or a page without a preflight can send,
// and what would have to be decoded before it is bounded.
func checkContentType(header http.Header) *refusal {
	sent := header.Get("Content-Type")
	if sent == string(jsonType) && header["Content-Encoding"] == nil {
		return nil // as almost all say it
	}
	kind, parameters, err := mime.ParseMediaType(sent)
	if err != nil || kind != string(jsonType) {
		return &refusal{http.StatusUnsupportedMediaType, models.BadUserInput, "send the request as application/json"}
	}
	if !utf8Charset(parameters) {
		return &refusal{http.StatusUnsupportedMediaType, models.BadUserInput, "send the request in UTF-8"}
	}
	if encoding := header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return &refusal{http.StatusUnsupportedMediaType, models.BadUserInput, "send the request uncompressed"}
	}
	return nil
}

// readBody reads the parameters of a POST. No message tells what the body holds.
func (s *Server) readBody(w http.ResponseWriter, r *http.Request) (*graphql.RawParams, *asked, *refusal) {
	if r.ContentLength > s.limits.BodyBytes {
		return nil, nil, tooLarge()
	}
	buffer := s.buffers.get()
	defer s.buffers.put(buffer)
	_, err := buffer.ReadFrom(http.MaxBytesReader(w, r.Body, s.limits.BodyBytes))
	var exceeded *http.MaxBytesError
	switch {
	case errors.As(err, &exceeded):
		return nil, nil, tooLarge()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, nil, &refusal{http.StatusRequestTimeout, models.BadUserInput, "the body took too long"}
	case err != nil:
		return nil, nil, badRequest("the body could not be read")
	}
	body := bytes.TrimLeft(buffer.Bytes(), " \t\r\n")
	return s.remembered.read('P', body, func() (*graphql.RawParams, *refusal) { return s.parseBody(body) })
}

func tooLarge() *refusal {
	return &refusal{http.StatusRequestEntityTooLarge, models.BadUserInput, "the body is too large"}
}

func (s *Server) parseBody(body []byte) (*graphql.RawParams, *refusal) {
	switch {
	case len(body) == 0:
		return nil, badRequest("the body is empty")
	case !utf8.Valid(body):
		return nil, badRequest("the body is not UTF-8")
	case body[0] == '[':
		return nil, badRequest("batches are not served: send one operation per request")
	}
	var parts struct {
		Query         json.RawMessage `json:"query"`
		DocumentID    json.RawMessage `json:"documentId"`
		OperationName json.RawMessage `json:"operationName"`
		Variables     json.RawMessage `json:"variables"`
		Extensions    json.RawMessage `json:"extensions"`
	}
	if json.Unmarshal(body, &parts) != nil {
		return nil, badRequest("the body is not a JSON object")
	}
	params := &graphql.RawParams{}
	// Before it is unpacked: what is far too long is not worth the time.
	if len(parts.Query) > 2*s.executor.textLimit {
		return nil, &refusal{http.StatusRequestEntityTooLarge, operation.ParseFailed, "the document is too long: send long values as variables"}
	}
	var documentID string
	for _, part := range []struct {
		name string
		raw  json.RawMessage
		into *string
	}{
		{"query", parts.Query, &params.Query},
		{"operationName", parts.OperationName, &params.OperationName},
		{"documentId", parts.DocumentID, &documentID},
	} {
		if len(part.raw) > 0 && json.Unmarshal(part.raw, part.into) != nil {
			return nil, badRequest(part.name + " must be a string")
		}
	}
	for _, part := range []struct {
		name string
		raw  json.RawMessage
		into *map[string]any
	}{{"variables", parts.Variables, &params.Variables}, {"extensions", parts.Extensions, &params.Extensions}} {
		if len(part.raw) > 0 && decode(bytes.NewReader(part.raw), part.into) != nil {
			return nil, badRequest(part.name + " must be an object")
		}
	}
	return s.complete(params, documentID)
}

// readURL reads the parameters of a GET.
func (s *Server) readURL(rawQuery string) (*graphql.RawParams, *asked, *refusal) {
	return s.remembered.read('G', []byte(rawQuery), func() (*graphql.RawParams, *refusal) { return s.parseURL(rawQuery) })
}

func (s *Server) parseURL(rawQuery string) (*graphql.RawParams, *refusal) {
	values, err := url.ParseQuery(rawQuery)
	if err != nil {
		return nil, badRequest("the URL's query cannot be parsed")
	}
	for _, name := range []string{"query", "documentId", "operationName", "variables", "extensions"} {
		if len(values[name]) > 1 {
			return nil, badRequest(name + " is given twice")
		}
		if !utf8.ValidString(values.Get(name)) {
			return nil, badRequest(name + " is not UTF-8")
		}
	}
	params := &graphql.RawParams{Query: values.Get("query"), OperationName: values.Get("operationName")}
	if text := values.Get("variables"); text != "" && decode(strings.NewReader(text), &params.Variables) != nil {
		return nil, badRequest("variables must be an object")
	}
	if text := values.Get("extensions"); text != "" && decode(strings.NewReader(text), &params.Extensions) != nil {
		return nil, badRequest("extensions must be an object")
	}
	return s.complete(params, values.Get("documentId"))
}

// complete refuses a request without a document, unless it says by a name or,
// to an extension, in another way which one it means.
func (s *Server) complete(params *graphql.RawParams, documentID string) (*graphql.RawParams, *refusal) {
	if !nameDocument(params, documentID) {
		return nil, badRequest("give documentId or extensions.persistedQuery, not both")
	}
	if strings.TrimSpace(params.Query) != "" || params.Extensions[persistedQuery] != nil {
		return params, nil
	}
	if len(params.Extensions) == 0 || len(s.executor.parameterMutators) == 0 {
		return nil, badRequest("query must be given")
	}
	return params, nil
}

// decode reads one JSON object and nothing after it; numbers stay as written.
func decode(r io.Reader, into *map[string]any) error {
	decoder := json.NewDecoder(r)
	decoder.UseNumber()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if decoder.More() {
		return errors.New("more than one value")
	}
	return nil
}
