package persisted_test

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/persisted"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/models"
)

const (
	dayText   = "query Day {\n  __typename\n}\n"
	writeText = "mutation Write { __typename }"
)

// write puts a file into a folder.
func write(t *testing.T, folder, name, text string) string {
	t.Helper()
	path := filepath.Join(folder, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func asJSON(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	require.NoError(t, err)
	return string(text)
}

func TestRead_TakesFoldersAndBothManifests(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	write(t, folder, "queries/day.graphql", dayText)
	write(t, folder, "write.gql", writeText)
	write(t, folder, "README.md", "not one")
	sum := md5.Sum([]byte(dayText))
	relayID := hex.EncodeToString(sum[:])

	day := &persisted.Operation{ID: persisted.Hash(dayText), Name: "Day", Kind: "query", Body: dayText}
	mutation := &persisted.Operation{ID: persisted.Hash(writeText), Name: "Write", Kind: "mutation", Body: writeText}
	got, err := persisted.Read(folder)
	require.NoError(t, err)
	require.Equal(t, []*persisted.Operation{day, mutation}, got)

	got, err = persisted.Read(write(t, t.TempDir(), "manifest.json", asJSON(t, map[string]any{
		"format": "apollo-persisted-query-manifest", "version": 1,
		"operations": []any{map[string]any{"id": persisted.Hash(dayText), "name": "Day", "type": "query", "body": dayText}},
	})))
	require.NoError(t, err)
	require.Equal(t, []*persisted.Operation{day}, got)

	got, err = persisted.Read(write(t, t.TempDir(), "persisted_queries.json", asJSON(t, map[string]string{relayID: dayText})))
	require.NoError(t, err)
	require.Equal(t, []*persisted.Operation{{ID: relayID, Name: "Day", Kind: "query", Body: dayText}}, got)
}

func TestRead_SaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	apollo := func(version int, id, body string) string {
		return asJSON(t, map[string]any{
			"format": "apollo-persisted-query-manifest", "version": version,
			"operations": []any{map[string]any{"id": id, "name": "Day", "body": body}},
		})
	}
	for name, c := range map[string]struct{ text, want string }{
		"no JSON":           {"{", "neither"},
		"another format":    {`{"format": "x", "version": 1, "operations": []}`, "neither"},
		"another version":   {apollo(2, "x", dayText), "neither"},
		"no operation":      {`{}`, "has no operation"},
		"another's hash":    {apollo(1, persisted.Hash("x"), dayText), "not the SHA-256"},
		"no id":             {apollo(1, "", dayText), "an id is"},
		"an id with blanks": {apollo(1, "a b", dayText), "an id is"},
		"not GraphQL":       {apollo(1, "x", "query {"), "Expected Name"},
		"without a name":    {apollo(1, "x", "{ __typename }"), "it has a name"},
		"two operations":    {apollo(1, "x", "query A { a } query B { b }"), "one operation"},
	} {
		_, err := persisted.Read(write(t, t.TempDir(), "manifest.json", c.text))
		require.ErrorContains(t, err, c.want, name)
	}
	_, err := persisted.Read(filepath.Join(t.TempDir(), "nothing"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func publish(t *testing.T, d *testkit.Database, operations ...*persisted.Operation) {
	t.Helper()
	_, err := persisted.Publish(t.Context(), d.Connect(t, d.OwnerURL), operations)
	require.NoError(t, err)
}

func newRegistry(t *testing.T, source persisted.Source, soonest time.Duration) *persisted.Registry {
	t.Helper()
	registry := persisted.NewRegistry(persisted.RegistryConfig{Source: source, Every: time.Hour, Soonest: soonest})
	t.Cleanup(registry.Close)
	return registry
}

func TestRegistry_RunsWhatIsPublishedAndNothingElse(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	clinic := d.NewClinic(t, "aurora")
	publish(t, d, &persisted.Operation{ID: persisted.Hash(dayText), Name: "Day", Kind: "query", Body: dayText},
		&persisted.Operation{ID: "relay-7", Name: "Write", Kind: "mutation", Body: writeText})
	registry := newRegistry(t, persisted.InPostgres(d.DB), time.Nanosecond)
	require.Eventually(t, func() bool { return registry.Loaded() == nil }, 10*time.Second, time.Millisecond)
	texts, err := persisted.NewTexts(persisted.TextsConfig{})
	require.NoError(t, err)
	operations := persisted.New(texts, registry, true)
	// As in a request: a clinic is in the context.
	ctx := clinic.As(t.Context(), models.RoleOwner)

	for _, c := range []struct {
		id, text, want string
		code           models.Code
	}{
		{persisted.Hash(dayText), "", dayText, ""},
		{"relay-7", "", writeText, ""},
		{persisted.Hash(writeText), "", writeText, ""},
		{"", dayText, dayText, ""},
		{"", "query Day{__typename}", "query Day{__typename}", ""}, // laid out in another way
		{persisted.Hash(dayText), dayText, dayText, ""},
		{"relay-7", writeText, writeText, ""},
		{"relay-7", dayText, "", models.BadUserInput},
		{persisted.Hash(dayText), writeText, "", models.BadUserInput},
		{"relay-8", dayText, "", models.BadUserInput},
		{"", "query Day { a: __typename }", "", models.Forbidden},
		{"", "query Other { __typename }", "", models.Forbidden},
		{"", "{", "", models.Forbidden},
		{"", "", "", persisted.CodeNotFound},
		{persisted.Hash("{ other }"), "", "", persisted.CodeNotFound},
		{persisted.Hash("{ other }"), "{ other }", "", models.Forbidden},
		{"relay-8", "", "", persisted.CodeNotFound},
	} {
		text, err := operations.Resolve(ctx, c.id, c.text)
		if c.code == "" {
			require.NoError(t, err, "%+v", c)
			require.Equal(t, c.want, text)
			continue
		}
		require.Equal(t, c.code, codeOf(t, err), "%+v", c)
	}
	// What ran by its text becomes nobody's to find.
	operations.Admitted(ctx, persisted.Hash("{ other }"), "{ other }")
	_, err = operations.Resolve(ctx, persisted.Hash("{ other }"), "")
	require.Equal(t, persisted.CodeNotFound, codeOf(t, err))

	name, ok := operations.Name(dayText)
	require.True(t, ok)
	require.Equal(t, "Day", name)
	_, ok = operations.Name("{ other }")
	require.False(t, ok)
}

func TestRegistry_SeesWhatIsPublishedAndRetiredWhileItRuns(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	registry := newRegistry(t, persisted.InPostgres(d.DB), time.Nanosecond)
	require.Eventually(t, func() bool { return registry.Loaded() == nil }, 10*time.Second, time.Millisecond)
	_, ok := registry.Find(t.Context(), persisted.Hash(dayText))
	require.False(t, ok)
	publish(t, d, &persisted.Operation{ID: persisted.Hash(dayText), Name: "Day", Kind: "query", Body: dayText})
	_, ok = registry.Find(t.Context(), persisted.Hash(dayText))
	require.True(t, ok, "an unknown id is looked for")

	require.NoError(t, persisted.Retire(t.Context(), d.Connect(t, d.OwnerURL), []string{persisted.Hash(dayText)}))
	_, ok = registry.Find(t.Context(), "something unknown")
	require.False(t, ok)
	_, ok = registry.Find(t.Context(), persisted.Hash(dayText))
	require.False(t, ok, "what was retired is gone with the next look")
	err := persisted.Retire(t.Context(), d.Connect(t, d.OwnerURL), []string{persisted.Hash(dayText)})
	require.ErrorIs(t, err, persisted.ErrNotPublished)
}

func TestPublish_KeepsWhatAnIDMeans(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	conn := d.Connect(t, d.OwnerURL)
	day := &persisted.Operation{ID: "relay-1", Name: "Day", Kind: "query", Body: dayText}
	done, err := persisted.Publish(t.Context(), conn, []*persisted.Operation{day})
	require.NoError(t, err)
	require.Equal(t, persisted.Published{Added: 1}, done)
	done, err = persisted.Publish(t.Context(), conn, []*persisted.Operation{day})
	require.NoError(t, err)
	require.Equal(t, persisted.Published{Known: 1}, done)

	_, err = persisted.Publish(t.Context(), conn, []*persisted.Operation{
		{ID: "relay-2", Name: "Write", Kind: "mutation", Body: writeText},
		{ID: "relay-1", Name: "Day", Kind: "query", Body: "query Day { a: __typename }"},
	})
	require.ErrorContains(t, err, "another document is published as relay-1")
	require.Equal(t, 1, d.Count(t, "SELECT count(*) FROM registered_operations"), "all or none")
}

// The table is believed no more than Redis is.
func TestRegistry_LeavesOutWhatItsHashDoesNotSay(t *testing.T) {
	t.Parallel()
	source := &fixed{operations: []*persisted.Operation{
		{ID: persisted.Hash("x"), Name: "Wrong", Body: dayText},
		{ID: "right", Name: "Right", Body: writeText},
	}}
	registry := newRegistry(t, source, time.Hour)
	require.Eventually(t, func() bool { return registry.Loaded() == nil }, 10*time.Second, time.Millisecond)
	_, ok := registry.Find(t.Context(), persisted.Hash("x"))
	require.False(t, ok)
	_, ok = registry.Find(t.Context(), "right")
	require.True(t, ok)
}

func TestRegistry_IsUnavailableUntilItWasRead(t *testing.T) {
	t.Parallel()
	registry := newRegistry(t, &fixed{err: errors.New("down")}, time.Hour)
	texts, err := persisted.NewTexts(persisted.TextsConfig{})
	require.NoError(t, err)
	_, err = persisted.New(texts, registry, true).Resolve(t.Context(), "x", "")
	require.Equal(t, models.Unavailable, codeOf(t, err))
	// Where anything may run, what is not published still does.
	text, err := persisted.New(texts, registry, false).Resolve(t.Context(), "", dayText)
	require.NoError(t, err)
	require.Equal(t, dayText, text)
}

type fixed struct {
	operations []*persisted.Operation
	err        error
}

func (f *fixed) Revision(context.Context) (string, error) { return "1", f.err }

func (f *fixed) All(context.Context) ([]*persisted.Operation, error) { return f.operations, f.err }

func TestInPostgres_IsReadWithoutAClinic(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	publish(t, d, &persisted.Operation{ID: "x", Name: "Day", Kind: "query", Body: dayText})
	all, err := persisted.InPostgres(d.DB).All(tenant.With(t.Context(), &tenant.Scope{ClinicID: uuid.New()}))
	require.NoError(t, err)
	require.Len(t, all, 1)
	// The application reads it and does not write it.
	_, err = database.Lookup[struct{}](t.Context(), d.DB, "DELETE FROM registered_operations")
	require.Error(t, err)
}
