package app_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/internal/testkit/compose"
	"github.com/taskmed/taskmed/internal/testkit/conform"
	"github.com/taskmed/taskmed/models"
)

// differential is two instances that share what they keep, beside one that keeps
// nothing, under random writes.
type differential struct {
	suite  *conform.Suite
	cached [2]*api.Client
	plain  *api.Client
	write  *compose.Generator
	ask    *compose.Generator
	dice   *rand.Rand
	// sentinel is a contact whose every change all instances must show.
	sentinel string
	turn     int

	compared, hits, differences int
}

func newDifferential(t *testing.T, seed uint64) *differential {
	t.Helper()
	suite := conform.NewAt(t, time.Now().UTC().Truncate(24*time.Hour), time.Now)
	d := &differential{suite: suite, dice: rand.New(rand.NewPCG(seed, 1))}
	for i := range d.cached {
		d.cached[i] = api.NewServer(t, suite.Database(), api.WithRedis(suite.Database()), unbounded).As(t, suite.Own(), models.RoleOwner)
	}
	d.plain = api.NewServer(t, suite.Database(), api.WithoutCache(), unbounded).As(t, suite.Own(), models.RoleOwner)
	d.ask = d.generator(t, seed)
	d.ask.Leaves = 15
	d.write = d.generator(t, seed+1)
	d.write.Faultless = true
	id := models.NewID()
	suite.Database().Exec(t, "INSERT INTO contacts (clinic_id, id, name, notes) VALUES ($1, $2, 'Sentinel', '0')", suite.Own().ID, id)
	d.sentinel = models.KindContact.Global(id)
	for _, client := range d.cached {
		require.Eventually(t, func() bool {
			return strings.Contains(d.marked(t, client).Header.Get("Cache-Status"), "hit")
		}, 30*time.Second, 10*time.Millisecond)
	}
	return d
}

func (d *differential) generator(t *testing.T, seed uint64) *compose.Generator {
	t.Helper()
	g := &compose.Generator{
		Schema: liveSchema(), Pool: poolOf(t, d.suite.Database(), d.suite.Own(), time.Now()), Role: string(models.RoleOwner),
		Dice: rand.New(rand.NewPCG(seed, seed)), Try: asking(t, d.plain),
	}
	require.NoError(t, g.FillCursors(asking(t, d.plain)))
	return g
}

func (d *differential) marked(t *testing.T, client *api.Client) *api.Response {
	t.Helper()
	return client.Do(t, "query ($id: ID!) { contact(id: $id) { notes } }", map[string]any{"id": d.sentinel})
}

// settle waits until all instances have heard of what was written past them: Postgres
// keeps the order of what it tells.
func (d *differential) settle(t *testing.T) {
	t.Helper()
	d.turn++
	d.suite.Database().Exec(t, "UPDATE contacts SET notes = $1 WHERE name = 'Sentinel'", fmt.Sprint(d.turn))
	for _, client := range d.cached {
		require.Eventually(t, func() bool {
			return strings.Contains(string(d.marked(t, client).Data), fmt.Sprintf("%q", fmt.Sprint(d.turn)))
		}, 20*time.Second, time.Millisecond)
	}
}

// body is all of an answer that may not differ: of errors, not their order, since
// fields of Query are resolved beside each other.
func body(response *api.Response) string {
	faults := answered(response).Errors
	slices.SortFunc(faults, func(a, b compose.Error) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	text, err := json.Marshal(map[string]any{"data": response.Data, "errors": faults})
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// compare asks all instances one question. Time may pass between two answers, so that
// both were right: then the one that keeps nothing gives the other's when asked again.
func (d *differential) compare(t *testing.T, q compose.Question) (difference string) {
	t.Helper()
	before := body(d.plain.Do(t, q.Text, q.Variables))
	for i, client := range d.cached {
		response := client.Do(t, q.Text, q.Variables)
		d.compared++
		if strings.Contains(response.Header.Get("Cache-Status"), "taskmed; hit") {
			d.hits++
		}
		if got := body(response); got != before {
			after := body(d.plain.Do(t, q.Text, q.Variables))
			if got != after {
				d.differences++
				return fmt.Sprintf("instance %d (%s) answers\n%s\nwhere it is\n%s", i, response.Header.Get("Cache-Status"), got, after)
			}
			before = after
		}
	}
	return ""
}

// run writes and asks until so many answers were compared, or one differs.
func (d *differential) run(t *testing.T, comparisons int) (difference string) {
	t.Helper()
	const window, asked = 40, 12
	var questions []compose.Question
	for len(questions) < window {
		questions = append(questions, d.ask.Query())
	}
	for d.compared < comparisons {
		wrote := ""
		switch d.dice.IntN(4) {
		case 0:
			q := d.write.Written()
			wrote = q.Text
			d.cached[d.dice.IntN(2)].Do(t, q.Text, q.Variables)
		case 1, 2:
			wrote = d.suite.Write(t, d.dice)
			d.settle(t)
		default:
			// What begins soon changes answers by itself.
			wrote = "UPDATE appointments SET starts_at = now() + interval '1 second'"
			d.suite.Database().Exec(t, `UPDATE appointments SET starts_at = now() + interval '1 second', ends_at = now() + interval '1 hour', overbooked = true
				WHERE id = (SELECT id FROM appointments WHERE clinic_id = $1 ORDER BY md5(id::text || $2) LIMIT 1)`, d.suite.Own().ID, fmt.Sprint(d.turn))
			d.settle(t)
		}
		for range asked {
			q := questions[d.dice.IntN(window)]
			if difference := d.compare(t, q); difference != "" {
				return fmt.Sprintf("after %s\n%s\n%s", wrote, q, difference)
			}
		}
		questions[d.dice.IntN(window)] = d.ask.Query()
	}
	return ""
}

// Promise C11: two cached instances answer as one that keeps nothing, whatever is
// written, on whatever way, while time goes by. TASKMED_DIFFERENTIAL says how many
// answers are compared.
func TestDifferential_CachedAnswersAreThoseOfNow(t *testing.T) {
	t.Parallel()
	d := newDifferential(t, uint64(rounds(t, "TASKMED_COMPOSED_SEED", composedSeed)))
	require.Empty(t, d.run(t, rounds(t, "TASKMED_DIFFERENTIAL", 1200)))
	t.Logf("%d answers compared, %d of them from the cache", d.compared, d.hits)
	require.Greater(t, d.hits, d.compared/20)
}

// The run can see: it finds answers whose changes nobody announces.
func TestDifferential_FindsWhatIsNotAnnounced(t *testing.T) {
	t.Parallel()
	d := newDifferential(t, composedSeed)
	d.suite.Database().Exec(t, "CREATE OR REPLACE FUNCTION cache_tags_appointments() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$")
	question := compose.Question{Text: "{ appointments(first: 100, orderBy: {field: UPDATED_AT, direction: DESC}) { nodes { id startsAt version } } }"}
	require.Empty(t, d.compare(t, question))
	d.suite.Database().Exec(t, "UPDATE appointments SET notes = 'x' WHERE clinic_id = $1", d.suite.Own().ID)
	d.settle(t)
	require.NotEmpty(t, d.compare(t, question))
}
