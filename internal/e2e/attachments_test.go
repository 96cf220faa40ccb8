package e2e_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/app"
	"github.com/taskmed/taskmed/internal/config"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/models"
)

// uploads is what a front end of another origin does: it asks for an address, puts a file
// there, and reads all of it and a part of it. It gives what it saw, or its fault.
const uploads = `async ({api, token, clinic, draft}) => {
	const ask = async (query, variables) => {
		const answer = await fetch(api + '/graphql', {
			method: 'POST', body: JSON.stringify({query, variables}),
			headers: {'Content-Type': 'application/json', 'Authorization': token, 'X-Clinic-Id': clinic},
		});
		return (await answer.json()).data;
	};
	const here = url => { const at = new URL(url); return api + at.pathname + at.search; };
	try {
		const file = new TextEncoder().encode('laudo: nada a assinalar');
		const digest = [...new Uint8Array(await crypto.subtle.digest('SHA-256', file))].map(b => b.toString(16).padStart(2, '0')).join('');
		const {requestAttachmentUpload: {uploadUrl}} = await ask(
			'mutation ($input: RequestAttachmentUploadInput!) { requestAttachmentUpload(input: $input) { uploadUrl } }',
			{input: {medicalRecordId: draft, fileName: 'laudo.txt', mediaType: 'text/plain', byteSize: file.length, digest}});
		const put = await fetch(here(uploadUrl), {method: 'PUT', body: file});
		const {medicalRecord: {attachments: [{url}]}} = await ask('query ($id: ID!) { medicalRecord(id: $id) { attachments { url } } }', {id: draft});
		const whole = await fetch(here(url));
		const part = await fetch(here(url), {headers: {'Range': 'bytes=0-4'}});
		return [put.status, whole.status, await whole.text(), part.status, await part.text()].join('|');
	} catch (fault) {
		return String(fault);
	}
}`

// A clinic's front end is served from another origin than the API: files go both ways
// from the origins that are allowed, and from no other.
func TestAttachments_AreUploadedAndReadFromThePagesThatMay(t *testing.T) {
	t.Parallel()
	page := func() string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = w.Write([]byte(`<!doctype html><link rel="icon" href="data:,"><title>Agenda</title>`))
		}))
		t.Cleanup(server.Close)
		return server.URL
	}
	allowed, other := page(), page()
	d := testkit.NewDatabase(t)
	clinic := d.NewClinic(t, "aurora")
	server := api.NewServer(t, d, func(settings *config.Config, _ *app.Options) { settings.AllowedOrigins = []string{allowed} })
	credentials := http.Header{}
	server.As(t, clinic, models.RolePractitioner).Authorize(&http.Request{Header: credentials})
	b := newBrowser(t, allowed, other, server.URL)
	try := func(origin, sees string) {
		args, err := json.Marshal(map[string]string{
			"api": server.URL, "token": credentials.Get("Authorization"), "clinic": credentials.Get("X-Clinic-Id"), "draft": models.KindMedicalRecord.Global(d.Draft(t, clinic)),
		})
		require.NoError(t, err)
		run := "(" + uploads + ")(" + string(args) + ").then(saw => { document.body.innerText = saw })"
		b.do(t, chromedp.Navigate(origin+"/"), chromedp.Evaluate[chromedp.Void]("void "+run))
		b.text(t, "body", sees)
	}
	try(allowed, "201|200|laudo: nada a assinalar|206|laudo")
	try(other, "TypeError")
	// The browser notes the refusal on a way of its own, which may be later than the page's.
	var said []string
	require.Eventually(t, func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		said, b.console = b.console, nil
		return len(said) > 0
	}, patience, 10*time.Millisecond)
	assert.Len(t, said, 1)
	assert.Contains(t, said[0], "from origin '"+other+"'", "only the other one is refused")
}
