package e2e_test

import (
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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
