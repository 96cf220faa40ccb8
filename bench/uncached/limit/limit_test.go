package limit_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/bench/uncached/limit"
	"github.com/taskmed/taskmed/internal/config"
	"github.com/taskmed/taskmed/internal/seed"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/models"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// world is a seeded clinic behind TaskMed and behind the handler written by hand.
type world struct {
	database *testkit.Database
	clinic   seed.Clinic
	owner    *api.Client
	limit    *httptest.Server
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{database: testkit.NewDatabase(t)}
	seeded, err := seed.Run(t.Context(), w.database.OwnerURL, seed.Options{
		Clinics: 2, Contacts: 300, Practitioners: 5, Appointments: 4000, Records: 900, Seed: 3,
		Today: time.Date(2026, time.November, 23, 0, 0, 0, 0, time.UTC),
	}, nil)
	require.NoError(t, err)
	w.clinic = seeded.Clinics[0]
	noon := time.Date(2026, time.November, 23, 15, 0, 0, 0, time.UTC)
	server := api.NewServer(t, w.database, api.At(noon), api.WithoutCache())
	w.owner = server.AsSubject(t, &testkit.Clinic{ID: w.clinic.ID, Slug: w.clinic.Slug}, seed.Subject(w.clinic.Slug, "owner"))
	secret, err := config.Config{Secret: api.Secret}.SecretBytes()
	require.NoError(t, err)
	handler, err := limit.New(t.Context(), w.database.SuperuserURL, secret, func() time.Time { return noon })
	require.NoError(t, err)
	t.Cleanup(handler.Close)
	w.limit = httptest.NewServer(handler)
	t.Cleanup(w.limit.Close)
	return w
}

// byHand is what the handler written by hand answers.
func (w *world) byHand(t *testing.T, path string, values ...string) string {
	t.Helper()
	query := url.Values{"clinic": {models.KindClinic.Global(w.clinic.ID)}}
	for i := 0; i < len(values); i += 2 {
		query.Set(values[i], values[i+1])
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.limit.URL+path+"?"+query.Encode(), http.NoBody)
	require.NoError(t, err)
	answer, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, answer.StatusCode, "%s", body)
	var whole struct{ Data json.RawMessage }
	require.NoError(t, json.Unmarshal(body, &whole))
	return string(whole.Data)
}

func document(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../../../internal/app/testdata/" + name + ".graphql")
	require.NoError(t, err)
	return string(text)
}

func (w *world) taskmed(t *testing.T, query string, variables map[string]any) string {
	t.Helper()
	return string(w.owner.Must(t, query, variables, nil).Data)
}

func TestLimit_AnswersTheDayViewAsTaskMedDoes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	query := document(t, "day_view")
	longest := 0
	for offset := -10; offset <= 10; offset++ {
		from := time.Date(2026, time.November, 23+offset, 3, 0, 0, 0, time.UTC)
		// Ten days are more than a page.
		to := from.AddDate(0, 0, 1+9*(offset&1))
		ends := []string{from.Format(time.RFC3339), to.Format(time.RFC3339)}
		wanted := w.taskmed(t, query, map[string]any{"range": map[string]any{"from": ends[0], "to": ends[1]}})
		require.Equal(t, wanted, w.byHand(t, "/day", "from", ends[0], "to", ends[1]))
		longest = max(longest, strings.Count(wanted, `"startsAt"`))
	}
	require.Equal(t, 50, longest)
}

func TestLimit_AnswersTheContactPageAsTaskMedDoes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	// Texts that must be escaped, and as many nulls as a contact can have.
	w.database.Exec(t, `UPDATE contacts SET notes = E'"a"\\\\b\n\r\t' || chr(1) || '</é>' || chr(8232) WHERE clinic_id = $1 AND version % 2 = 1`, w.clinic.ID)
	w.database.Exec(t, `INSERT INTO contacts (clinic_id, id, name) VALUES ($1, $2, 'Ana')`, w.clinic.ID, models.NewID())
	rows, err := w.database.Connect(t, w.database.SuperuserURL).Query(t.Context(), "SELECT id FROM contacts WHERE clinic_id = $1", w.clinic.ID)
	require.NoError(t, err)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	require.NoError(t, err)
	require.Len(t, ids, 301)
	query, answers := document(t, "contact_page"), map[string]bool{}
	for _, id := range ids {
		global := models.KindContact.Global(id)
		wanted := w.taskmed(t, query, map[string]any{"id": global})
		require.Equal(t, wanted, w.byHand(t, "/contact", "id", global))
		answers[wanted] = true
	}
	require.Len(t, answers, len(ids), "no two answers are equal, so that one could not pass for another")
}

func TestLimit_AnswersTheContactListAsTaskMedDoes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	query := document(t, "contact_list")
	variables, values, pages := map[string]any{}, []string{}, 0
	for {
		wanted := w.taskmed(t, query, variables)
		require.Equal(t, wanted, w.byHand(t, "/contacts", values...))
		pages++
		var page struct {
			Contacts struct {
				PageInfo struct {
					HasNextPage bool
					EndCursor   string
				}
			}
		}
		require.NoError(t, json.Unmarshal([]byte(wanted), &page))
		if !page.Contacts.PageInfo.HasNextPage {
			break
		}
		variables["after"], values = page.Contacts.PageInfo.EndCursor, []string{"after", page.Contacts.PageInfo.EndCursor}
	}
	require.Greater(t, pages, 3)
}
