package app_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/answering"
	"github.com/taskmed/taskmed/internal/answers"
	"github.com/taskmed/taskmed/internal/app"
	"github.com/taskmed/taskmed/internal/config"
	"github.com/taskmed/taskmed/internal/doctor"
	"github.com/taskmed/taskmed/internal/keyed"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/internal/trust"
	"github.com/taskmed/taskmed/models"
)

// withOwnRedis has a server keep its answers in a Redis of the test's own.
func withOwnRedis(r *testkit.Redis) api.Option {
	return func(settings *config.Config, _ *app.Options) {
		settings.RedisURL, settings.RedisTimeout = r.URL, 5*time.Second
	}
}

// examination is what `taskmed doctor cache` is made of.
type examination struct {
	t        *testing.T
	redis    *answers.Inspector
	examiner *app.Examiner
	heard    string
	// before is called before each answer is computed anew; may be nil.
	before func(*answers.Kept)
	// differed counts the answers that were not what was kept.
	differed atomic.Int64
}

func newExamination(t *testing.T, d *testkit.Database, redisURL string) *examination {
	t.Helper()
	e := &examination{t: t}
	var err error
	e.redis, err = answers.Inspect(t.Context(), answers.Config{RedisURL: redisURL, ListenURL: d.AppURL, RedisTimeout: 20 * time.Second, Secret: secret(t)})
	require.NoError(t, err)
	t.Cleanup(func() { _ = e.redis.Close() })
	e.heard, _, err = trust.Identify(t.Context(), d.AppURL)
	require.NoError(t, err)
	settings, err := config.Development(nil, d.AppURL, api.Secret)
	require.NoError(t, err)
	settings.AcquireTimeout = 20 * time.Second
	e.examiner, err = app.NewExaminer(t.Context(), settings, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(e.examiner.Close)
	return e
}

func (e *examination) again(ctx context.Context, kept *answers.Kept) (*doctor.Answer, error) {
	if e.before != nil {
		e.before(kept)
	}
	now, err := e.examiner.Again(ctx, kept)
	if errors.Is(err, answering.ErrAnotherProgram) || errors.Is(err, answering.ErrNoRecipe) {
		return nil, fmt.Errorf("%w: %w", doctor.ErrUnexamined, err)
	}
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(now.Body, kept.Body) {
		e.differed.Add(1)
	}
	return &doctor.Answer{Body: now.Body, Digest: now.Digest, Unfit: now.Unfit, Name: now.Name, Text: now.Text, Role: string(now.Role)}, nil
}

func (e *examination) run(clinic uuid.UUID) doctor.Report {
	e.t.Helper()
	report, err := doctor.Cache(e.t.Context(), doctor.CacheOptions{Redis: e.redis, Again: e.again, Database: e.heard, Clinic: clinic})
	require.NoError(e.t, err)
	return report
}

// keptQuestions are asked until their answers are kept: each scope, numbers,
// lists, defaults and aliases among them.
func keptQuestions(t *testing.T, server *api.Server, clinic *testkit.Clinic) {
	t.Helper()
	owner := server.As(t, clinic, models.RoleOwner)
	for query, variables := range map[string]any{
		contactQuery: map[string]any{"id": contactID(clinic, 0)},
		`query Page($first: Int = 2, $status: [ContactStatus!]) { contacts(first: $first, filter: {status: $status}) { totalCount nodes { id called: name } pageInfo { endCursor } } }`: map[string]any{"first": 10},
		`query Both($ids: [ID!]!) { nodes(ids: $ids) { ... on Contact { name } ... on Practitioner { name } } }`:                                                                        map[string]any{"ids": []string{contactID(clinic, 1), models.KindPractitioner.Global(clinic.Practitioners[0])}},
		`query Me { viewer { subject role } }`:            nil,
		`{ clinic { name services { nodes { name } } } }`: nil,
	} {
		untilHit(t, owner, query, variables)
	}
	untilHit(t, server.As(t, clinic, models.RolePractitioner), contactQuery, map[string]any{"id": contactID(clinic, 0)})
}

// undisturbed runs an attempt until it says that no server lost its trust in what
// is kept meanwhile, which a machine that is busy enough brings about.
func undisturbed(t *testing.T, attempt func(t *testing.T) bool) {
	t.Helper()
	for range 10 {
		if attempt(t) {
			return
		}
	}
	t.Fatal("the servers trusted what is kept never for long enough")
}

// trusts gives a function that tells whether servers serve what they served when
// trusts was called.
func (e *examination) trusts(shared *testkit.Redis) func(doctor.Report) bool {
	e.t.Helper()
	epoch := func() string {
		for key, value := range everythingIn(e.t, shared) {
			if strings.HasSuffix(key, ":epoch") {
				return key + value
			}
		}
		return ""
	}
	began := epoch()
	return func(report doctor.Report) bool {
		return epoch() == began && !slices.ContainsFunc(report.Findings, func(f doctor.Finding) bool { return f.Rule == "a server serves what is kept" })
	}
}

func TestExamine_FindsExactlyWhatIsPlanted(t *testing.T) {
	t.Parallel()
	undisturbed(t, findsWhatIsPlanted)
}

func findsWhatIsPlanted(t *testing.T) bool {
	t.Helper()
	d, shared := testkit.NewDatabase(t), testkit.NewRedis(t)
	clinic, other := d.NewClinic(t, "aurora"), d.NewClinic(t, "horizonte")
	server := api.NewServer(t, d, withOwnRedis(shared))
	keptQuestions(t, server, clinic)
	e := newExamination(t, d, shared.URL)
	trusted := e.trusts(shared)
	keptQuestions(t, server, clinic)
	untilHit(t, server.As(t, other, models.RoleOwner), contactQuery, map[string]any{"id": contactID(other, 0)})

	clean := e.run(uuid.Nil)
	if !trusted(clean) {
		return false
	}
	require.Empty(t, clean.Findings)
	require.True(t, clean.Healthy)
	require.Equal(t, "7 of 7 answers: 7 are what Postgres says, 0 went or were renewed meanwhile", clean.Examined)
	theirs := e.run(other.ID)
	if !trusted(theirs) {
		return false
	}
	require.Contains(t, theirs.Examined, "1 of 1 answers")

	// A row that changed though nothing tells of it: two answers show it.
	d.Exec(t, "SET session_replication_role = replica; UPDATE contacts SET name = 'Mallory Mendes' WHERE id = '"+clinic.Contacts[1].String()+"'")
	// And another's words under a key, as if they belonged there.
	planted := plant(t, shared, "Clínica aurora", "Clínica falsas")
	report := e.run(uuid.Nil)
	if !trusted(report) {
		return false
	}
	require.False(t, report.Healthy)
	found := map[string][]string{}
	for _, stale := range report.Stale {
		found[stale.Operation] = stale.Paths
		require.Equal(t, clinic.ID, stale.Clinic)
		require.Equal(t, "OWNER", stale.Role)
		require.NotEmpty(t, stale.Tags)
		if stale.Operation == "" {
			require.Equal(t, planted, stale.Key)
		}
	}
	require.Len(t, found, 3, "%v", found)
	require.Equal(t, []string{"nodes[0].name"}, found["Both"])
	require.Equal(t, []string{"clinic.name"}, found[""])
	require.NotEmpty(t, found["Page"])
	text, err := json.Marshal(report)
	require.NoError(t, err)
	for _, value := range []string{"Mallory", "Silva", "Oliveira", "falsas", "aurora"} {
		require.NotContains(t, string(text), value, "values are not told")
	}

	// What the report says to do helps.
	require.Equal(t, 3, report.Problems())
	remedy := report.Findings[0].Remedy
	d.Exec(t, remedy[strings.Index(remedy, "SELECT"):])
	owner := server.As(t, clinic, models.RoleOwner)
	require.Eventually(t, func() bool {
		return strings.Contains(string(owner.Do(t, `{ clinic { name services { nodes { name } } } }`, nil).Body), "Clínica aurora")
	}, 30*time.Second, 10*time.Millisecond)
	keptQuestions(t, server, clinic)
	report = e.run(uuid.Nil)
	if !trusted(report) {
		return false
	}
	require.Empty(t, report.Findings)
	return true
}

// plant rewrites the first kept value that holds some words, as one could who
// knows the secret. Both are equally long.
func plant(t *testing.T, shared *testkit.Redis, old, made string) (key string) {
	t.Helper()
	require.Len(t, made, len(old))
	for key, value := range shared.Values(t) {
		if !bytes.Contains(value, []byte(old)) {
			continue
		}
		value = sealed(secret(t), bytes.ReplaceAll(value[:len(value)-sealBytes], []byte(old), []byte(made)))
		require.NoError(t, shared.Client.SetArgs(t.Context(), key, value, keepTTL()).Err())
		return key
	}
	t.Fatalf("nothing holds %q", old)
	return ""
}

// secret is the servers'.
func secret(t *testing.T) []byte {
	t.Helper()
	secret, err := hex.DecodeString(api.Secret)
	require.NoError(t, err)
	return secret
}

// sealBytes is how long the seal of a kept value is, which sealed appends.
const sealBytes = 16

func sealed(secret, value []byte) []byte {
	sum := keyed.New(secret, "taskmed kept answer 1").Sum(value)
	return append(value, sum[:sealBytes]...)
}

// TestExamine_IsNotDisturbedByWrites has what was kept change each time before
// it is computed anew, by the API and past it: what differs then is not stale.
func TestExamine_IsNotDisturbedByWrites(t *testing.T) {
	t.Parallel()
	d, shared := testkit.NewDatabase(t), testkit.NewRedis(t)
	clinic := d.NewClinic(t, "aurora")
	server := api.NewServer(t, d, withOwnRedis(shared))
	owner := server.As(t, clinic, models.RoleOwner)
	e := newExamination(t, d, shared.URL)
	n := 0
	e.before = func(kept *answers.Kept) {
		if !bytes.Contains(kept.Body, []byte("Ana Souza")) {
			return // what no name stands in stays as it is
		}
		n++
		if n%2 == 0 {
			d.Exec(t, "UPDATE contacts SET name = $2 WHERE clinic_id = $1", clinic.ID, fmt.Sprintf("Ana Souza %d", n))
			return
		}
		for i := range clinic.Contacts {
			owner.Must(t, updateContact, map[string]any{"input": map[string]any{"id": contactID(clinic, i), "name": fmt.Sprintf("Ana Souza %d", n)}}, nil)
		}
		// Kept again at once: there is always something to be examined.
		owner.Do(t, contactQuery, map[string]any{"id": contactID(clinic, 0)})
	}
	d.Exec(t, "UPDATE contacts SET name = 'Ana Souza' WHERE clinic_id = $1", clinic.ID)
	for range 4 {
		keptQuestions(t, server, clinic)
		report := e.run(uuid.Nil)
		assert.Empty(t, report.Stale)
		assert.True(t, report.Healthy, "%+v", report.Findings)
	}
	require.Positive(t, e.differed.Load(), "answers did change while they were looked at")
}

func TestExamine_TellsWhatItCannotJudge(t *testing.T) {
	t.Parallel()
	undisturbed(t, tellsWhatItCannotJudge)
}

func tellsWhatItCannotJudge(t *testing.T) bool {
	t.Helper()
	d, shared := testkit.NewDatabase(t), testkit.NewRedis(t)
	clinic := d.NewClinic(t, "aurora")
	server := api.NewServer(t, d, withOwnRedis(shared))
	owner := server.As(t, clinic, models.RoleOwner)
	untilHit(t, owner, `{ clinic { name } }`, nil)
	e := newExamination(t, d, shared.URL)
	trusted := e.trusts(shared)
	untilHit(t, owner, contactQuery, map[string]any{"id": contactID(clinic, 0)})
	untilHit(t, owner, `{ clinic { name } }`, nil)
	for key := range shared.Values(t) {
		require.NoError(t, shared.Client.Set(t.Context(), key+"x", "x", time.Hour).Err())
		require.NoError(t, shared.Client.SetArgs(t.Context(), key, "poison", keepTTL()).Err())
		break
	}
	report := e.run(uuid.Nil)
	if !trusted(report) {
		return false
	}
	require.True(t, report.Healthy)
	require.Len(t, report.Findings, 1)
	require.Equal(t, doctor.Note, report.Findings[0].Level)
	require.Equal(t, "2 answers", report.Findings[0].Subject)
	require.Equal(t, "3 of 3 answers: 1 are what Postgres says, 0 went or were renewed meanwhile", report.Examined)

	// Where the servers hear another database nothing is judged.
	e.heard = "another"
	report = e.run(uuid.Nil)
	require.True(t, report.Healthy)
	require.Equal(t, "a server serves what is kept", report.Findings[0].Rule)
	return true
}

func TestExaminer_RunsNothingButWhatTheAnswerAnswers(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	clinic := d.NewClinic(t, "aurora")
	e := newExamination(t, d, d.RedisURL)
	kept := func(recipe string) *answers.Kept {
		return &answers.Kept{Entry: &answers.Entry{Recipe: []byte(recipe)}, Clinic: clinic.ID}
	}
	for recipe, want := range map[string]error{
		"":        answering.ErrNoRecipe,
		"no JSON": answering.ErrNoRecipe,
		`{"v":[}`: answering.ErrNoRecipe,
		`{"q":"{ clinic { name } }","r":"OWNER"}`: answering.ErrAnotherProgram,
	} {
		_, err := e.examiner.Again(t.Context(), kept(recipe))
		require.ErrorIs(t, err, want, recipe)
	}
	// What somebody planted in Redis is not run.
	for _, recipe := range []string{
		`{"q":"mutation { createContact(input: {name: \"Mallory\"}) { contact { id } } }","r":"OWNER"}`,
		`{"q":"{ medicalRecords(contactId: \"x\") { nodes { body } } }","r":"FINANCE"}`,
		`{"q":"{ clinic { name } }","r":"EMPEROR"}`,
		`{"q":"}","r":"OWNER"}`,
	} {
		_, err := e.examiner.Again(t.Context(), kept(recipe))
		require.Error(t, err, recipe)
	}
	require.Equal(t, 3, d.Count(t, "SELECT count(*) FROM contacts"))
}

func keepTTL() redis.SetArgs { return redis.SetArgs{KeepTTL: true} }
