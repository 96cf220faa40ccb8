package gqlserver_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/gqlserver"
	"github.com/taskmed/taskmed/internal/persisted"
)

// shelf is what instances share, in a test's hands.
type shelf struct {
	mu    sync.Mutex
	texts map[string]string
	down  bool
}

func (s *shelf) Get(_ context.Context, hash string, _ time.Duration) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return "", errors.New("out of reach")
	}
	return s.texts[hash], nil
}

func (s *shelf) Put(_ context.Context, hash, text string, _ time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return errors.New("out of reach")
	}
	s.texts[hash] = text
	return nil
}

func (s *shelf) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.texts)
}

func newDocuments(t *testing.T) (*persisted.Operations, *shelf) {
	t.Helper()
	s := &shelf{texts: map[string]string{}}
	texts, err := persisted.NewTexts(persisted.TextsConfig{Shared: s})
	require.NoError(t, err)
	return persisted.New(texts, nil, false), s
}

func newPersistedFixture(t *testing.T) (*fixture, *shelf) {
	t.Helper()
	documents, s := newDocuments(t)
	return newFixture(t, func(c *gqlserver.Config) { c.Documents = documents }), s
}

func (f *fixture) byHash(token, hash, query string) *httptest.ResponseRecorder {
	body := map[string]any{"extensions": map[string]any{"persistedQuery": map[string]any{"version": 1, "sha256Hash": hash}}}
	if query != "" {
		body["query"] = query
	}
	text, _ := json.Marshal(body)
	return f.do(request{body: string(text), headers: map[string]string{"Authorization": "Bearer " + token}})
}

func TestPersisted_AHashIsEnoughOnceItsTextRan(t *testing.T) {
	t.Parallel()
	f, s := newPersistedFixture(t)
	const text = "{ __typename }"
	hash := persisted.Hash(text)

	unknown := f.byHash("OWNER", hash, "")
	require.Equal(t, "PERSISTED_QUERY_NOT_FOUND", code(t, unknown))
	require.Equal(t, "PersistedQueryNotFound", read(t, unknown).Errors[0].Message)
	require.Contains(t, f.byHash("OWNER", hash, text).Body.String(), `"__typename":"Query"`)
	require.Contains(t, f.byHash("FINANCE", hash, "").Body.String(), `"__typename":"Query"`)
	require.Equal(t, text, s.texts[hash])

	extensions := url.QueryEscape(`{"persistedQuery":{"version":1,"sha256Hash":"` + hash + `"}}`)
	for _, query := range []string{"extensions=" + extensions, "documentId=sha256:" + hash, "documentId=" + hash} {
		got := f.do(request{method: http.MethodGet, url: "/graphql?" + query})
		require.Contains(t, got.Body.String(), `"__typename":"Query"`, query)
	}
	require.Contains(t, f.do(request{body: `{"documentId":"sha256:` + hash + `"}`}).Body.String(), `"__typename":"Query"`)
	require.Equal(t, http.StatusBadRequest, f.do(request{method: http.MethodGet, url: "/graphql?documentId=" + hash + "&extensions=" + extensions}).Code)
	require.Equal(t, http.StatusUnauthorized, f.byHash("expired", hash, "").Code)
}

// Promise C3.
func TestPersisted_WhatIsWrongIsRefusedAndNeverStored(t *testing.T) {
	t.Parallel()
	const text = "{ __typename }"
	hash := persisted.Hash(text)
	large := "{ __typename } #" + strings.Repeat("x", 1<<20-200)
	forbidden := `{ medicalRecord(id: "medical_record_01h455vb4pex5vsknk084sn02q") { body } }`
	cases := []struct{ name, token, hash, query, code string }{
		{"another text's hash", "OWNER", persisted.Hash("{ x }"), text, "BAD_USER_INPUT"},
		{"upper case", "OWNER", strings.ToUpper(hash), text, "BAD_USER_INPUT"},
		{"upper case alone", "OWNER", strings.ToUpper(hash), "", "BAD_USER_INPUT"},
		{"not hexadecimal", "OWNER", "z" + hash[1:], text, "BAD_USER_INPUT"},
		{"too short", "OWNER", hash[1:], text, "BAD_USER_INPUT"},
		{"too long", "OWNER", hash + "0", text, "BAD_USER_INPUT"},
		{"empty", "OWNER", "", text, "BAD_USER_INPUT"},
		{"a path", "OWNER", "../" + hash[3:], "", "BAD_USER_INPUT"},
		{"not parsed", "OWNER", persisted.Hash("{"), "{", "GRAPHQL_PARSE_FAILED"},
		{"not valid", "OWNER", persisted.Hash("{ nothing }"), "{ nothing }", "GRAPHQL_VALIDATION_FAILED"},
		{"not allowed", "FINANCE", persisted.Hash(forbidden), forbidden, "FORBIDDEN"},
		{"a megabyte", "OWNER", persisted.Hash(large), large, ""},
	}
	f, s := newPersistedFixture(t)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := f.byHash(c.token, c.hash, c.query)
			if c.code != "" {
				assert.Equal(t, c.code, code(t, got), got.Body.String())
			} else {
				assert.NotEqual(t, http.StatusOK, got.Code)
			}
			assert.NotContains(t, got.Body.String(), `"data"`)
			assert.Zero(t, s.len(), "nothing was stored")
		})
	}
	// The same could be stored.
	f.byHash("OWNER", hash, text)
	assert.Equal(t, 1, s.len())
}

func TestPersisted_APoisonedTextIsAMiss(t *testing.T) {
	t.Parallel()
	f, s := newPersistedFixture(t)
	hash := persisted.Hash("{ __typename }")
	for _, poison := range []string{"{ a: __typename }", strings.Repeat("x", 1<<20), "\x00"} {
		s.texts[hash] = poison
		require.Equal(t, "PERSISTED_QUERY_NOT_FOUND", code(t, f.byHash("OWNER", hash, "")))
	}
	s.texts[hash] = "{ __typename }"
	require.Contains(t, f.byHash("OWNER", hash, "").Body.String(), `"__typename":"Query"`)
}

func TestPersisted_WhatCannotBeSharedIsStillKnownHere(t *testing.T) {
	t.Parallel()
	f, s := newPersistedFixture(t)
	s.down = true
	hash := persisted.Hash("{ __typename }")
	require.Equal(t, "PERSISTED_QUERY_NOT_FOUND", code(t, f.byHash("OWNER", hash, "")))
	f.byHash("OWNER", hash, "{ __typename }")
	require.Contains(t, f.byHash("OWNER", hash, "").Body.String(), `"__typename":"Query"`)
}

func TestPersisted_ClientsAreToldWhereNothingIsKept(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	hash := persisted.Hash("{ __typename }")
	got := f.byHash("OWNER", hash, "")
	require.Equal(t, "PERSISTED_QUERY_NOT_SUPPORTED", code(t, got))
	require.Equal(t, "PersistedQueryNotSupported", read(t, got).Errors[0].Message)
	require.Contains(t, f.byHash("OWNER", hash, "{ __typename }").Body.String(), `"__typename":"Query"`)
}

func TestPersisted_OnlyTheVersionThatIsKnown(t *testing.T) {
	t.Parallel()
	f, _ := newPersistedFixture(t)
	for _, extension := range []string{
		`{"version":2,"sha256Hash":"x"}`, `{"sha256Hash":"x"}`, `{"version":"1","sha256Hash":"x"}`, `{"version":1}`,
		`{"version":1,"sha256Hash":5}`, `[]`, `"x"`, `1`,
	} {
		got := f.do(request{body: `{"query":"{ __typename }","extensions":{"persistedQuery":` + extension + `}}`})
		require.Equal(t, "BAD_USER_INPUT", code(t, got), extension)
	}
	got := f.do(request{body: `{"query":"{ __typename }","extensions":{"persistedQuery":null}}`})
	require.Contains(t, got.Body.String(), `"__typename":"Query"`)
}
