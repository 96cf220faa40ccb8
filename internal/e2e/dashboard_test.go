package e2e_test

import (
	"context"
	"fmt"
	"math"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/telemetry/dashboard"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/models"
	"github.com/taskmed/taskmed/web"
)

// figures are what a server would tell, an hour of it, made up.
type figures struct {
	mu   sync.Mutex
	kept []dashboard.Snapshot
	open []chan dashboard.Snapshot
}

func (f *figures) History() []dashboard.Snapshot {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]dashboard.Snapshot(nil), f.kept...)
}

func (*figures) Plan(context.Context, string) (string, error) {
	return "Index Scan using idx_contacts_search on contacts", nil
}

func (f *figures) Subscribe(context.Context) <-chan dashboard.Snapshot {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open = append(f.open, make(chan dashboard.Snapshot, 10))
	return f.open[len(f.open)-1]
}

// tell adds to what was kept and hands it on.
func (f *figures) tell(s dashboard.Snapshot) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.kept = append(f.kept, s)
	for _, listener := range f.open {
		listener <- s
	}
}

// figure is a snapshot of a server that does well.
func figure(at time.Time, n int) dashboard.Snapshot {
	wave := 1 + math.Sin(float64(n)/40)/3
	hits := 0.93 + math.Sin(float64(n)/25)/30
	s := dashboard.Snapshot{
		At: at, IntervalSeconds: 5,
		Requests: dashboard.Requests{
			Count: int64(2000 * wave), PerSecond: 400 * wave, InFlight: 3, Failed: int64(n % 3), Refused: int64(n % 7),
			ErrorRate: float64(n%3) / (2000 * wave), RefusedBy: []dashboard.Count{{Name: "BAD_USER_INPUT", Count: int64(n % 7)}},
			P50: 2 * wave, P95: 9 * wave, P99: 18 * wave, Max: 40,
		},
		Cache: dashboard.Cache{
			Hits: 900, Misses: 70, Bypassed: 30, HitRate: &hits,
			MissesBy: []dashboard.Count{{Name: "absent", Count: 40}, {Name: "invalidated", Count: 30}, {Name: "mutation", Count: 30}},
		},
		SlowFields: []dashboard.Field{
			{
				Name: "Query.searchContacts", Count: 300, P50: 4, P95: 22, Total: 1500,
				Statements: []dashboard.Share{{Name: "SELECT … FROM search_contacts($1, $2)", Count: 300, Total: 1200, Mean: 4, Statement: "a1"}},
			},
			{Name: "Query.availability", Count: 200, Errors: 2, P50: 3, P95: 12, Total: 800},
			{Name: "Contact.nextAppointment", Count: 5000, P50: 0.1, P95: 0.6, Total: 700},
		},
		SlowOperations: []dashboard.Operation{
			{
				Name: "SearchContacts", Type: "query", Count: 300, P50: 5, P95: 24, P99: 41,
				Fields:     []dashboard.Share{{Name: "Query.searchContacts", Count: 300, Total: 1500, Mean: 5}, {Name: "Contact.appointments", Count: 300, Total: 300, Mean: 1}},
				Statements: []dashboard.Share{{Name: "SELECT … FROM search_contacts($1, $2)", Count: 300, Total: 1200, Mean: 4, Statement: "a1"}},
			},
			{Name: "other", Type: "query", Count: 7, P50: 2, P95: 11, P99: 16},
			{Name: "other", Type: "mutation", Count: 3, P50: 2, P95: 10, P99: 16},
			{Name: "DayView", Type: "query", Count: 900, Failed: 1, P50: 2, P95: 9, P99: 16},
			{Name: "ScheduleAppointment", Type: "mutation", Count: 60, P50: 7, P95: 8, P99: 9},
		},
		SlowStatements: []dashboard.Statement{
			{Family: "select search_contacts", Shape: "SELECT … FROM search_contacts($1, $2)", Statement: "a1", Count: 300, P50: 4, P95: 19, Total: 1200},
			{Family: "select appointments", Shape: "SELECT … FROM appointments WHERE clinic_id = $1", Count: 2300, P50: 0.5, P95: 2, Total: 1900},
		},
		Clinics: []dashboard.Clinic{
			{ID: "018f4a3e-7a10-7cc2-9d9c-5b1f0a4c1111", Requests: 1400, Slow: 4, Mean: 3.5},
			{ID: "018f4a3e-7a10-7cc2-9d9c-5b1f0a4c2222", Requests: 600, Failed: 2, Slow: 1, Mean: 2.5},
		},
		Pool: dashboard.Pool{Max: 20, InUse: int32(5 * wave), Idle: 8, Utilization: 0.25 * wave, Waits: 1, Waited: 0.4},
		Process: dashboard.Process{
			CPU: 0.4 * wave, Memory: 0.12, MemoryBytes: uint64(120e6 * wave), MemoryLimitBytes: 1 << 30, HeapBytes: uint64(60e6 * wave),
			Goroutines: 240, GCs: 3, GCPause: 0.3 * wave, UptimeSeconds: float64(n) * 5,
		},
		Postgres: dashboard.Health{Configured: true, Up: true, Latency: 0.4 * wave},
		Redis:    dashboard.Health{Configured: true, Up: true, Latency: 0.1 * wave},
	}
	return s
}

const snapshots = 720

// hour is a dashboard of an hour, with a hole where the server was down.
func hour(t *testing.T) (*figures, string, time.Time) {
	t.Helper()
	f := &figures{}
	now := time.Now().Truncate(time.Second)
	for n := range snapshots {
		if n < 400 || n > 460 {
			f.tell(figure(now.Add(time.Duration(n-snapshots)*dashboard.Interval), n))
		}
	}
	server := httptest.NewServer(web.Dashboard[dashboard.Snapshot](f))
	t.Cleanup(server.Close)
	return f, server.URL, now
}

func TestDashboard_ShowsWhatGoesOn(t *testing.T) {
	t.Parallel()
	f, url, now := hour(t)
	b := newBrowser(t, url)
	b.do(t, chromedp.Navigate(url+"/dashboard"))
	shown := b.text(t, "main", "SearchContacts")
	for _, text := range []string{"No alert now", "Requests per second", "Query.availability", "select appointments", "5b1f0a4c1111", "invalidated", "answers in"} {
		assert.Contains(t, shown, text)
	}
	b.text(t, ".state", "Live")

	// An operation opens, by the keyboard alone, to show where its time goes.
	assert.NotContains(t, shown, "SQL statements")
	b.do(t, chromedp.Focus(".operations button"), chromedp.KeyEvent("\r"))
	opened := b.text(t, ".details", "SQL statements")
	assert.Contains(t, opened, "Contact.appointments")
	assert.Contains(t, opened, "SELECT … FROM search_contacts($1, $2)")
	b.do(t, chromedp.Focus(".operations .plan-toggle"), chromedp.KeyEvent("\r"))
	b.text(t, ".operations .plan", "Index Scan using idx_contacts_search")

	// So do a field and a statement.
	b.do(t, chromedp.Focus(".fields .opener"), chromedp.KeyEvent("\r"))
	opened = b.text(t, ".fields .details", "query SearchContacts")
	assert.Contains(t, opened, "SELECT … FROM search_contacts($1, $2)")
	b.do(t, chromedp.Focus(".statements .opener"), chromedp.KeyEvent(" "))
	b.text(t, ".statements .details", "SELECT … FROM search_contacts($1, $2)")
	b.do(t, chromedp.Focus(".statements .plan-toggle"), chromedp.KeyEvent(" "))
	b.text(t, ".statements .plan", "Index Scan using idx_contacts_search")
	b.do(t, chromedp.Click(".statements .opener"), chromedp.Click(".fields .opener"))

	b.do(t, chromedp.Click(`.operations tbody > tr:nth-of-type(3) button`))
	b.text(t, ".operations .details", "no statement ran")
	open, err := chromedp.Run(b.ctx, chromedp.Evaluate[int](`document.querySelectorAll('.details').length`))
	require.NoError(t, err)
	assert.Equal(t, 1, open, "one operation is open at a time, whatever it is called")
	b.do(t, chromedp.Click(`.operations tbody > tr:first-of-type button`))
	b.text(t, ".details", "Contact.appointments")

	// The arrow keys on one chart read earlier figures on all.
	const second = ".charts .chart:nth-child(2) .u-legend"
	assert.Contains(t, b.text(t, second, "p95"), "now")
	b.do(t, chromedp.Focus(".plot"), chromedp.KeyEvent(kb.ArrowLeft), chromedp.KeyEvent(kb.ArrowLeft))
	b.text(t, second, f.History()[len(f.History())-2].At.Local().Format("15:04:05"))
	b.do(t, chromedp.KeyEvent(kb.Escape))
	b.text(t, second, "now")

	// What happens is on the page without it being loaded anew.
	trouble := figure(now, snapshots)
	trouble.Redis = dashboard.Health{Configured: true, Fault: "unreachable"}
	trouble.Requests.P95 = 250
	trouble.Alerts.Active = []dashboard.Alert{
		{Name: "Redis", Summary: "Redis does not answer", Severity: "critical", Threshold: 1, Unit: "up", Since: now},
		{Name: "ResponseTime", Summary: "responses take too long", Severity: "warning", Value: 250, Threshold: 100, Unit: "ms", Since: now},
		{Name: "SlowField", Subject: "Query.availability", Summary: "it takes too long", Severity: "warning", Value: 180, Threshold: 100, Unit: "ms", Since: now},
		{Name: "SlowField", Subject: "Query.contacts", Summary: "it takes too long", Severity: "warning", Value: 170, Threshold: 100, Unit: "ms", Since: now},
	}
	f.tell(trouble)
	alerts := b.text(t, ".alerts", "Redis does not answer")
	for _, text := range []string{"250 ms against 100 ms", "Query.availability", "Query.contacts", "170 ms"} {
		assert.Contains(t, alerts, text)
	}
	b.text(t, ".health .down", "unreachable")
	b.text(t, ".tile.bad", "over its limit")
	b.text(t, ".details", "SQL statements")

	well := figure(now.Add(dashboard.Interval), snapshots+1)
	ended := now.Add(dashboard.Interval)
	trouble.Alerts.Active[0].Until = &ended
	well.Alerts.Recent = trouble.Alerts.Active[:1]
	f.tell(well)
	b.text(t, ".alerts", "No alert now")
	b.do(t, chromedp.Click(".alerts summary"))
	b.text(t, ".lately", "Redis does not answer")
}

// What a real server does is on its page within 15 seconds, by its right name.
func TestDashboard_ShowsTheServersOwnWork(t *testing.T) {
	t.Parallel()
	site := startSite(t)
	admin := httptest.NewServer(site.server.App.Admin())
	t.Cleanup(admin.Close)
	b := newBrowser(t, admin.URL)
	b.do(t, chromedp.Navigate(admin.URL+"/dashboard"))
	b.text(t, ".state", "Live")

	began := time.Now()
	owner := site.server.As(t, site.clinic, models.RoleOwner)
	variables := resolved(t, owner)
	for _, example := range web.Requests() {
		if example.Name == "day-view" {
			owner.Must(t, example.Query, variables[example.Name], nil)
		}
	}
	owner.Do(t, `{ viewer { shoeSize } }`, nil)

	b.text(t, ".operations", "DayView")
	b.text(t, "main", site.clinic.ID.String())
	b.text(t, "main", "Query.appointments")
	b.text(t, "main", "GRAPHQL_VALIDATION_FAILED")
	b.text(t, ".health", "answers in")
	if testkit.Timed() {
		assert.Less(t, time.Since(began), 15*time.Second)
	}
	shown := b.text(t, "main", "select appointments")
	assert.NotContains(t, shown, "Ana Souza")

	b.do(t, chromedp.Click(".operations button"))
	b.text(t, ".details", "SELECT")
}

func TestDashboard_IsReadInEveryWidthAndTheme(t *testing.T) {
	t.Parallel()
	_, url, _ := hour(t)
	b := newBrowser(t, url)
	for _, width := range []int64{1440, 480, 320} {
		b.do(t, chromedp.EmulateViewport(width, 900), chromedp.Navigate(url+"/dashboard"))
		b.text(t, "main", "SearchContacts")
		wider, err := chromedp.Run(b.ctx, chromedp.Evaluate[int](`document.documentElement.scrollWidth - innerWidth`))
		require.NoError(t, err)
		assert.LessOrEqual(t, wider, 0, "at %d pixels the page must not scroll sideways", width)
	}
	for _, theme := range []string{"light", "dark"} {
		b.do(t, chromedp.Click(".theme-toggle"), chromedp.WaitVisible(fmt.Sprintf(`html[data-theme=%q]`, theme)))
	}
	kept, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`localStorage.getItem('taskmed:theme')`))
	require.NoError(t, err)
	assert.Equal(t, "dark", kept)
}
