package e2e_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/models"
)

const (
	runButton = ".graphiql-execute-button"
	operation = ".graphiql-query-editor .view-lines"
	answer    = ".graphiql-response .result-window .view-lines"
	variables = ".graphiql-editor-tool .graphiql-editor:not(.hidden) .view-lines"
	footer    = ".outcome"
)

func TestPlayground_ShowsTheClinicsDay(t *testing.T) {
	t.Parallel()
	site := startSite(t)
	b := newBrowser(t, site.server.URL)

	b.do(t, chromedp.Navigate(site.server.URL+"/"))
	b.text(t, variables, "T00:00:00-03:00")
	b.do(t, chromedp.Click(runButton))
	b.text(t, footer, "200")
	shown := b.text(t, answer, `"appointments"`)
	assert.Contains(t, shown, "Ana Souza")
	assert.Contains(t, shown, "Dra. Beatriz Lima")
	assert.NotContains(t, shown, `"errors"`)
}

func TestPlayground_ActsAsWhoIsChosen(t *testing.T) {
	t.Parallel()
	site := startSite(t)
	b := newBrowser(t, site.server.URL)
	b.do(t, chromedp.Navigate(site.server.URL+"/"))
	b.text(t, variables, "T00:00:00-03:00")

	// Types a label's first letters into a list, and waits until the tabs have
	// been opened anew for it.
	choose := func(list, label, opened string) {
		t.Helper()
		b.do(t, chromedp.Focus(`select[name="`+list+`"]`), chromedp.KeyEvent(label), chromedp.WaitVisible("main"+opened+" "+runButton))
	}
	choose("clinic", site.other.Name, `[data-clinic="`+site.other.ID+`"]`)
	b.do(t, chromedp.Click(`button[title="Viewer"]`))
	b.text(t, operation, "query Viewer")
	b.do(t, chromedp.Click(runButton))
	assert.Contains(t, b.text(t, answer, `"clinic"`), site.other.ID)

	choose("role", "Finance", `[data-role="FINANCE"]`)
	b.text(t, operation, "query Viewer")
	b.do(t, chromedp.Click(runButton))
	b.text(t, answer, `"FINANCE"`)
	b.do(t, chromedp.Click(`button[title="CreateMedicalRecord"]`))
	b.text(t, operation, "mutation CreateMedicalRecord")
	b.do(t, chromedp.Click(runButton))
	b.text(t, answer, `"FORBIDDEN"`)

	kept, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`JSON.stringify(localStorage)`))
	require.NoError(t, err)
	assert.Contains(t, kept, "taskmed:tabs", "the tabs are kept")
	assert.NotContains(t, kept, "Bearer", "tokens are not")
}

func TestPlayground_ExplainsTheSchema(t *testing.T) {
	t.Parallel()
	site := startSite(t)
	b := newBrowser(t, site.server.URL)
	b.do(t, chromedp.Navigate(site.server.URL+"/"), chromedp.Click(`button[aria-label="Show Documentation Explorer"]`))
	b.text(t, ".graphiql-plugin", "Query")
	b.do(t, chromedp.Click(`.graphiql-plugin a.graphiql-doc-explorer-type-name`))
	b.text(t, ".graphiql-plugin", "searchContacts")
}

// A developer sees beside the answer what it cost, with Postgres' plans once
// they are asked for, in every width and theme.
func TestPlayground_ShowsDevelopersWhatAnAnswerCosts(t *testing.T) {
	t.Parallel()
	site := startSite(t)
	site.database.Exec(t, "UPDATE memberships SET permissions = '{developer}' WHERE clinic_id = $1 AND role = 'owner'", site.clinic.ID)
	b := newBrowser(t, site.server.URL)
	const panel = ".cost"
	b.do(t, chromedp.Navigate(site.server.URL+"/"))
	b.text(t, variables, "T00:00:00-03:00")

	b.do(t, chromedp.Click(".cost-button"))
	b.text(t, panel, "Run an operation")
	b.do(t, chromedp.Click(runButton))
	shown := b.text(t, panel, "appointments.nodes.contact")
	assert.Contains(t, shown, "first seen")
	assert.Contains(t, shown, `FROM "appointments" WHERE`)
	assert.NotContains(t, shown, "Limit", "plans were not asked for")

	b.do(t, chromedp.Click(`.cost input[name="plans"]`), chromedp.Click(`.cost input[name="afresh"]`), chromedp.Click(runButton))
	shown = b.text(t, panel, "idx_appointments_clinic_")
	assert.Contains(t, shown, "no-cache asked for")
	assert.Contains(t, shown, "Nothing was run for them")
	assert.NotContains(t, shown, "Ana Souza")
	shown = b.text(t, answer, `"appointments"`)
	assert.Contains(t, shown, "Ana Souza")
	// The panel is beside the answer, and covers none of it.
	overlap, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](`
		document.querySelector('.cost').getBoundingClientRect().left < document.querySelector('.graphiql-response').getBoundingClientRect().right`))
	require.NoError(t, err)
	assert.False(t, overlap)

	for _, theme := range []string{"light", "dark"} {
		b.do(t, chromedp.Click(".theme-toggle"), chromedp.WaitVisible(`html[data-theme="`+theme+`"]`))
		for _, size := range [][2]int64{{1440, 900}, {1024, 800}, {390, 844}} {
			b.do(t, chromedp.EmulateViewport(size[0], size[1]))
			wider, err := chromedp.Run(b.ctx, chromedp.Evaluate[int](`
				Math.max(document.documentElement.scrollWidth - innerWidth, document.querySelector('.cost').scrollWidth - document.querySelector('.cost').clientWidth)`))
			require.NoError(t, err)
			assert.LessOrEqual(t, wider, 0, "at %d pixels nothing must scroll sideways", size[0])
			b.keep(t, fmt.Sprintf("cost-%s-%d.png", theme, size[0]))
		}
	}

	// A hit is told as one. What was chosen is chosen still when the page is opened again.
	b.do(t, chromedp.EmulateViewport(1440, 900), chromedp.Navigate(site.server.URL+"/"))
	b.text(t, variables, "T00:00:00-03:00")
	plans, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](`document.querySelector('.cost input[name="plans"]').checked`))
	require.NoError(t, err)
	assert.True(t, plans)
	b.do(t, chromedp.Click(runButton))
	b.text(t, panel, "The answer was kept")
	b.keep(t, "cost-hit.png")

	// Who has not the right is told so, and closes it by the keyboard.
	b.do(t, chromedp.Focus(`select[name="role"]`), chromedp.KeyEvent("Finance"), chromedp.WaitVisible(`main[data-role="FINANCE"] `+runButton))
	b.text(t, operation, "query")
	b.do(t, chromedp.Click(runButton))
	b.text(t, panel, "developer")
	b.do(t, chromedp.Focus(".cost .close"), chromedp.KeyEvent("\r"), chromedp.WaitNotPresent(panel))
}

// A subscription shows what happens while it runs, and ends with its tab's button.
func TestPlayground_TellsWhatHappens(t *testing.T) {
	t.Parallel()
	site := startSite(t)
	b := newBrowser(t, site.server.URL)
	b.do(t, chromedp.Navigate(site.server.URL+"/"))
	b.text(t, variables, "T00:00:00-03:00")
	b.find(t, "as it happens", "What happens, as it happens")
	b.text(t, operation, "subscription Changed")
	b.do(t, chromedp.Click(runButton))
	told := make(chan struct{})
	var writing sync.WaitGroup
	writing.Go(func() {
		for {
			site.database.Exec(t, "INSERT INTO contacts (clinic_id, id, name) VALUES ($1, $2, 'Rita Lobo')", site.clinic.ID, models.NewID())
			select {
			case <-told:
				return
			case <-time.After(500 * time.Millisecond):
			}
		}
	})
	shown := b.text(t, answer, "Rita Lobo")
	close(told)
	writing.Wait()
	assert.Contains(t, shown, "CONTACT_CREATED")
	b.keep(t, "live.png")
	b.do(t, chromedp.Click(runButton)) // it stops
}

// The list of examples is found through: it is in parts, a word or a field's name leaves
// what has it, and it fits every width and theme.
func TestPlayground_FindsAnExample(t *testing.T) {
	t.Parallel()
	site := startSite(t)
	b := newBrowser(t, site.server.URL)
	b.do(t, chromedp.Navigate(site.server.URL+"/"))
	b.text(t, variables, "T00:00:00-03:00")
	tabs := func() int {
		open, err := chromedp.Run(b.ctx, chromedp.Evaluate[int](`document.querySelectorAll('.graphiql-tab').length`))
		require.NoError(t, err)
		return open
	}
	before := tabs()
	require.Equal(t, 10, before, "a first visit opens the first part")

	b.find(t, "refundPayment @dryRun", "Take a payment, give one back")
	b.text(t, operation, "mutation RecordPayment")
	require.Equal(t, before+1, tabs())
	b.do(t, chromedp.SendKeys(`.examples input`, " nowhere"))
	b.text(t, ".examples", "No example has this")

	b.do(t, chromedp.Navigate(site.server.URL+"/"), chromedp.WaitVisible(".examples h3"))
	parts, err := chromedp.Run(b.ctx, chromedp.Evaluate[[]string](`[...document.querySelectorAll('.examples h3')].map(part => part.textContent)`))
	require.NoError(t, err)
	assert.Equal(t, []string{"First steps", "The clinic", "The diary", "Contacts", "Medical records", "Calendars and access", "Money", "Conversations", "What happened"}, parts)
	for _, theme := range []string{"light", "dark"} {
		b.do(t, chromedp.Click(".theme-toggle"), chromedp.WaitVisible(`html[data-theme="`+theme+`"]`))
		for _, size := range [][2]int64{{1440, 900}, {1024, 800}, {390, 844}} {
			b.do(t, chromedp.EmulateViewport(size[0], size[1]))
			wider, err := chromedp.Run(b.ctx, chromedp.Evaluate[int](`
				Math.max(document.documentElement.scrollWidth - innerWidth, document.querySelector('.examples').scrollWidth - document.querySelector('.examples').clientWidth)`))
			require.NoError(t, err)
			assert.LessOrEqual(t, wider, 0, "at %d pixels nothing must scroll sideways", size[0])
			b.keep(t, fmt.Sprintf("examples-%s-%d.png", theme, size[0]))
		}
	}
}

// find opens an example from the list by what is typed.
func (b *browser) find(t *testing.T, typed, title string) {
	t.Helper()
	b.do(t, chromedp.Click(`button[aria-label="Show Examples"]`), chromedp.SendKeys(`.examples input`, typed))
	b.text(t, ".examples li:only-child strong", title)
	b.do(t, chromedp.Click(`.examples li button`))
}
