package gqlserver

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/taskmed/taskmed/internal/gqlserver/operation"
	"github.com/taskmed/taskmed/models"
)

// said is what a request says, as it was sent. Others may be given the same: it is
// not changed.
type said struct {
	query, documentID, operationName string
	variables, extensions            map[string]any

	// sum and sent find a query that is remembered, and passed is what it came to.
	sum    uint64
	sent   []byte
	passed *passed
}

// read takes what the request says from its body or its URL. No message tells what
// that holds.
func (q *request) read() (why *refusal) {
	if q.in.Method == http.MethodPost {
		q.said, why = q.readBody()
		return why
	}
	q.said, why = q.remembered.read('G', []byte(q.in.URL.RawQuery), func() (*said, *refusal) { return parseURL(q.in.URL.RawQuery) })
	return why
}

func (q *request) readBody() (*said, *refusal) {
	longest := q.config.Limits.BodyBytes
	if q.in.ContentLength > longest {
		return nil, tooLarge()
	}
	buffer := q.buffers.get()
	defer q.buffers.put(buffer)
	_, err := buffer.ReadFrom(http.MaxBytesReader(q.out, q.in.Body, longest))
	var exceeded *http.MaxBytesError
	switch {
	case errors.As(err, &exceeded):
		return nil, tooLarge()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, &refusal{http.StatusRequestTimeout, models.BadUserInput, "the body took too long"}
	case err != nil:
		return nil, badRequest("the body could not be read")
	}
	body := bytes.TrimLeft(buffer.Bytes(), " \t\r\n")
	return q.remembered.read('P', body, func() (*said, *refusal) { return parseBody(body, q.config.Operations.TextBytes) })
}

func tooLarge() *refusal {
	return &refusal{http.StatusRequestEntityTooLarge, models.BadUserInput, "the body is too large"}
}

func parseBody(body []byte, longestText int) (*said, *refusal) {
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
	read := &said{}
	// Before it is unpacked: what is far too long is not worth the time.
	if len(parts.Query) > 2*longestText {
		return nil, &refusal{http.StatusRequestEntityTooLarge, operation.ParseFailed, "the document is too long: send long values as variables"}
	}
	for _, part := range []struct {
		name string
		raw  json.RawMessage
		into *string
	}{
		{"query", parts.Query, &read.query},
		{"operationName", parts.OperationName, &read.operationName},
		{"documentId", parts.DocumentID, &read.documentID},
	} {
		if len(part.raw) > 0 && json.Unmarshal(part.raw, part.into) != nil {
			return nil, badRequest(part.name + " must be a string")
		}
	}
	for _, part := range []struct {
		name string
		raw  json.RawMessage
		into *map[string]any
	}{{"variables", parts.Variables, &read.variables}, {"extensions", parts.Extensions, &read.extensions}} {
		if len(part.raw) > 0 && decode(bytes.NewReader(part.raw), part.into) != nil {
			return nil, badRequest(part.name + " must be an object")
		}
	}
	return read.complete()
}

func parseURL(rawQuery string) (*said, *refusal) {
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
	read := &said{query: values.Get("query"), documentID: values.Get("documentId"), operationName: values.Get("operationName")}
	if text := values.Get("variables"); text != "" && decode(strings.NewReader(text), &read.variables) != nil {
		return nil, badRequest("variables must be an object")
	}
	if text := values.Get("extensions"); text != "" && decode(strings.NewReader(text), &read.extensions) != nil {
		return nil, badRequest("extensions must be an object")
	}
	return read.complete()
}

// complete refuses a request without a document, unless it says by a name which one
// it means.
func (s *said) complete() (*said, *refusal) {
	named := s.extensions[persistedQuery] != nil
	switch {
	case s.documentID != "" && named:
		return nil, badRequest("give documentId or extensions.persistedQuery, not both")
	case strings.TrimSpace(s.query) == "" && s.documentID == "" && !named:
		return nil, badRequest("query must be given")
	}
	return s, nil
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
