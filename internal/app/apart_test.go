package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/app"
	"github.com/taskmed/taskmed/internal/config"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/models"
)

// alias is one of many questions for the same thing.
func alias(n int) string {
	return fmt.Sprintf(`query Contact($id: ID!) { contact(id: $id) { called%d: name } }`, n)
}

// nameIn is what an answer to alias says.
func nameIn(t *testing.T, answer *api.Response, n int) string {
	t.Helper()
	var data struct{ Contact map[string]string }
	require.NoError(t, json.Unmarshal(answer.Data, &data), "%s", answer.Body)
	return data.Contact[fmt.Sprintf("called%d", n)]
}

// A second database that was restored from the first one's backup has the same
// clinics, contacts and subjects; only what was written since differs.
func TestCache_TwoDatabasesOnOneRedisNeverSeeEachOthersAnswers(t *testing.T) {
	t.Parallel()
	first := testkit.NewDatabase(t)
	clinic := first.NewClinic(t, "aurora")
	second := first.Restore(t)
	second.Exec(t, "UPDATE contacts SET name = 'Restored' WHERE id = $1", clinic.Contacts[0])
	shared := testkit.NewRedis(t)
	one, two := api.NewServer(t, first, withOwnRedis(shared)), api.NewServer(t, second, withOwnRedis(shared))
	owners := []*api.Client{one.As(t, clinic, models.RoleOwner), two.As(t, clinic, models.RoleOwner)}
	wanted := []string{"Ana Souza", "Restored"}
	variables := map[string]any{"id": contactID(clinic, 0)}
	wrong := 0
	for n := range 200 {
		// Each in turn keeps an answer, and the other asks for the same first.
		for _, i := range []int{n % 2, 1 - n%2} {
			kept := untilHit(t, owners[i], alias(n), variables)
			if got := nameIn(t, kept, n); got != wanted[i] {
				wrong++
				t.Logf("question %d: database %d was answered %q", n, i, got)
			}
		}
	}
	require.Zero(t, wrong, "answers of the other database, of 400")

	// Each doctor finds the answers of its own database, and only those.
	for i, d := range []*testkit.Database{first, second} {
		found := newExamination(t, d, shared.URL)
		undisturbed(t, func(t *testing.T) bool {
			t.Helper()
			trusts := found.trusts(shared)
			untilHit(t, owners[i], alias(0), variables)
			report := found.run(uuid.Nil)
			if !trusts(report) {
				return false
			}
			require.Empty(t, report.Stale)
			require.Zero(t, found.differed.Load())
			require.NotContains(t, report.Examined, "0 of 0 answers", "database %d", i)
			return true
		})
	}
}

// A name that leads to another database, as after a switch to a restored one, is
// noticed: what was kept of the one is not served for the other.
func TestCache_AServerThatIsLedToAnotherDatabaseForgetsTheFirst(t *testing.T) {
	t.Parallel()
	first := testkit.NewDatabase(t)
	clinic := first.NewClinic(t, "aurora")
	second := first.Restore(t)
	second.Exec(t, "UPDATE contacts SET name = 'Restored' WHERE id = $1", clinic.Contacts[0])
	shared := testkit.NewRedis(t)
	owner := api.NewServer(t, first, withOwnRedis(shared)).As(t, clinic, models.RoleOwner)
	variables := map[string]any{"id": contactID(clinic, 0)}
	for n := range 20 {
		require.Equal(t, "Ana Souza", nameIn(t, untilHit(t, owner, alias(n), variables), n))
	}
	switchNames(t, first, second)
	for n := range 20 {
		require.Equal(t, "Restored", nameIn(t, untilHit(t, owner, alias(n), variables), n), "question %d", n)
	}
	switchNames(t, first, second)
	for n := range 20 {
		require.Equal(t, "Ana Souza", nameIn(t, untilHit(t, owner, alias(n), variables), n), "question %d, back again", n)
	}
}

// switchNames gives each of two databases the other's name, and cuts whoever is
// connected.
func switchNames(t *testing.T, one, two *testkit.Database) {
	t.Helper()
	parsed, err := url.Parse(one.SuperuserURL)
	require.NoError(t, err)
	parsed.Path = "/postgres"
	conn := one.Connect(t, parsed.String())
	a, b := one.Name(t), two.Name(t)
	step := func(from, to string) {
		require.Eventually(t, func() bool {
			_, err := conn.Exec(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", from)
			require.NoError(t, err)
			_, err = conn.Exec(t.Context(), fmt.Sprintf("ALTER DATABASE %s RENAME TO %s", pgx.Identifier{from}.Sanitize(), pgx.Identifier{to}.Sanitize()))
			return err == nil
		}, 60*time.Second, time.Millisecond, "%s to %s", from, to)
	}
	step(a, a+"_x")
	step(b, a)
	step(a+"_x", b)
}

// A server whose statements go to one database, and which hears another, knows
// nothing of what is written to the first.
func TestCache_NothingIsKeptWhereAnotherDatabaseIsHeard(t *testing.T) {
	t.Parallel()
	first := testkit.NewDatabase(t)
	clinic := first.NewClinic(t, "aurora")
	second := first.Restore(t)
	hears := func(d *testkit.Database) api.Option {
		return func(settings *config.Config, _ *app.Options) { settings.DatabaseListen = d.AppURL }
	}
	for name, options := range map[string][]api.Option{"Redis": {withOwnRedis(testkit.NewRedis(t))}, "the process": nil} {
		right := api.NewServer(t, first, append(options, hears(first))...).As(t, clinic, models.RoleOwner)
		variables := map[string]any{"id": contactID(clinic, 0)}
		untilHit(t, right, contactQuery, variables)
		wrong := api.NewServer(t, first, append(options, hears(second))...).As(t, clinic, models.RoleOwner)
		// The first is as long in being trusted as a server takes that may be.
		beside := api.NewServer(t, first, append(options, hears(first))...).As(t, clinic, models.RoleOwner)
		for n := range 20 {
			wrong.Must(t, alias(n), variables, nil)
			untilHit(t, beside, alias(n), variables)
			answer := wrong.Must(t, alias(n), variables, nil)
			require.NotEqual(t, "taskmed; hit", status(answer), "%s, question %d", name, n)
		}
	}
}

// rewording has a server answer one text otherwise, as another build may.
type rewording struct{ from, to string }

var _ graphql.ResponseInterceptor = rewording{}

// ExtensionName implements graphql.HandlerExtension.
func (rewording) ExtensionName() string { return "Answering" }

// Validate implements graphql.HandlerExtension.
func (rewording) Validate(graphql.ExecutableSchema) error { return nil }

// InterceptResponse implements graphql.ResponseInterceptor.
func (a rewording) InterceptResponse(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
	response := next(ctx)
	if response != nil {
		response.Data = bytes.ReplaceAll(response.Data, []byte(`"`+a.from+`"`), []byte(`"`+a.to+`"`))
	}
	return response
}

// build has a server pass for one that was built otherwise, and answer otherwise.
func build(name string) api.Option {
	return func(_ *config.Config, options *app.Options) {
		app.AsBuild(options, name)
		options.Extensions = append(options.Extensions, rewording{"BRL", name})
	}
}

func TestCache_TwoBuildsOnOneRedisNeverSeeEachOthersAnswers(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	clinic := d.NewClinic(t, "aurora")
	shared := testkit.NewRedis(t)
	names := []string{"older", "newer"}
	var owners []*api.Client
	for _, name := range names {
		owners = append(owners, api.NewServer(t, d, withOwnRedis(shared), build(name)).As(t, clinic, models.RoleOwner))
	}
	wrong := 0
	for n := range 50 {
		for _, i := range []int{n % 2, 1 - n%2} {
			answer := untilHit(t, owners[i], fmt.Sprintf("{ clinic { name asked%d: currency } }", n), nil)
			var data struct{ Clinic map[string]string }
			require.NoError(t, json.Unmarshal(answer.Data, &data))
			if got := data.Clinic[fmt.Sprintf("asked%d", n)]; got != names[i] {
				wrong++
				t.Logf("question %d: the %s build answered %q", n, names[i], got)
			}
		}
	}
	require.Zero(t, wrong, "answers of the other build, of 100")

	// The same build finds what its like has kept.
	again := api.NewServer(t, d, withOwnRedis(shared), build(names[0])).As(t, clinic, models.RoleOwner)
	require.Eventually(t, func() bool {
		untilHit(t, owners[0], "{ clinic { currency } }", nil)
		answer := again.Do(t, "{ clinic { currency } }", nil)
		return status(answer) == "taskmed; hit"
	}, 30*time.Second, time.Millisecond)
}
