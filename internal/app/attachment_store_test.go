package app_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/app"
	"github.com/taskmed/taskmed/internal/auth"
	"github.com/taskmed/taskmed/internal/config"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/models"
)

// A clinic's own front end is at another origin: its pages may put and show files, and
// those of any other may not.
func TestAttachment_IsPutAndShownByPagesOfAllowedOrigins(t *testing.T) {
	t.Parallel()
	const front = "https://app.example.com"
	f := newFiles(t, func(settings *config.Config, _ *app.Options) { settings.AllowedOrigins = []string{front} })
	owner := f.as(models.RoleOwner)
	content := png("canary")
	address, attachment := f.ask(owner, f.input("a.png", "image/png", content))
	url := fmt.Sprint(attachment["url"])
	for _, origin := range []string{front, "https://evil.example", "null"} {
		allowed := ""
		if origin == front {
			allowed = front
		}
		for where, method := range map[string]string{address: http.MethodPut, url: http.MethodGet} {
			got := f.send(http.MethodOptions, where, nil, "Origin", origin, "Access-Control-Request-Method", method, "Access-Control-Request-Headers", "content-type")
			assert.Equal(t, http.StatusNoContent, got.status)
			assert.Equal(t, allowed, got.header.Get("Access-Control-Allow-Origin"), origin)
			assert.Empty(t, got.header.Get("Access-Control-Allow-Credentials"))
			assert.Contains(t, strings.Join(got.header.Values("Vary"), ", "), "Origin")
			if allowed != "" {
				assert.Equal(t, method, got.header.Get("Access-Control-Allow-Methods"))
				assert.Contains(t, got.header.Get("Access-Control-Allow-Headers"), "content-type")
			}
		}
	}
	put := f.send(http.MethodPut, address, bytes.NewReader(content), "Origin", front)
	assert.Equal(t, http.StatusCreated, put.status)
	assert.Equal(t, front, put.header.Get("Access-Control-Allow-Origin"))
	assert.Contains(t, put.header.Get("Access-Control-Expose-Headers"), "ETag")
	again := f.send(http.MethodPut, address, bytes.NewReader(content), "Origin", front)
	assert.Equal(t, http.StatusConflict, again.status)
	assert.Equal(t, front, again.header.Get("Access-Control-Allow-Origin"), "why not must be readable as well")
	part := f.send(http.MethodGet, url, nil, "Origin", front, "Range", "bytes=0-3")
	assert.Equal(t, http.StatusPartialContent, part.status)
	assert.Equal(t, front, part.header.Get("Access-Control-Allow-Origin"))
	assert.Contains(t, part.header.Get("Access-Control-Expose-Headers"), "Content-Range")
	assert.Empty(t, f.send(http.MethodGet, url, nil, "Origin", "https://evil.example").header.Get("Access-Control-Allow-Origin"))
}

// What a clinic awaits is bounded, in files and in bytes, over all of its records, and
// another clinic's is not counted.
func TestAttachment_AClinicAwaitsSoManyAtOnce(t *testing.T) {
	t.Parallel()
	f := newFiles(t)
	owner := f.as(models.RoleOwner)
	fill := func(files, bytes int) {
		t.Helper()
		f.d.Exec(t, "DELETE FROM attachment_uploads")
		// Of another record, and as many of another clinic's.
		f.d.Exec(t, `INSERT INTO medical_records (clinic_id, id, contact_id, practitioner_id, kind, title, body)
			SELECT c.id, gen_random_uuid(), (SELECT id FROM contacts x WHERE x.clinic_id = c.id LIMIT 1), (SELECT id FROM practitioners x WHERE x.clinic_id = c.id LIMIT 1), 'exam_result', 'x', 'b' FROM clinics c`)
		f.d.Exec(t, `INSERT INTO attachment_uploads (clinic_id, id, medical_record_id, file_name, media_type, byte_size, digest, token_hash, requested_by, expires_at)
			SELECT c.id, gen_random_uuid(), (SELECT id FROM medical_records r WHERE r.clinic_id = c.id AND r.title = 'x' LIMIT 1), 'f', 'image/png', $2, repeat('0', 64), sha256(n::text::bytea), 's', now() + interval '10 minutes'
			FROM clinics c, generate_series(1, $1) n`, files, bytes)
	}
	content := png("x")
	refused := func() []string {
		_, mistakes := f.do(owner, "requestAttachmentUpload", "uploadUrl", f.input("a.png", "image/png", content))
		return mistakes
	}
	fill(499, 1)
	assert.Empty(t, refused(), "the last")
	assert.Equal(t, []string{"LIMIT "}, refused())
	f.d.Exec(t, "UPDATE attachment_uploads SET expires_at = now() - interval '1 second' WHERE id = (SELECT id FROM attachment_uploads WHERE clinic_id = $1 LIMIT 1)", f.clinic.ID)
	assert.Empty(t, refused(), "one has expired")
	f.d.Exec(t, "UPDATE attachment_uploads SET taken_at = now(), expires_at = now() - interval '1 second' WHERE clinic_id = $1", f.clinic.ID)
	assert.Equal(t, []string{"LIMIT "}, refused(), "what is coming in counts until it has ended")
	f.d.Exec(t, "UPDATE attachment_uploads SET ended_at = now() WHERE clinic_id = $1", f.clinic.ID)
	assert.Empty(t, refused())

	const most = 2 << 30
	fill(2, (most-len(content))/2)
	assert.Empty(t, refused(), "the last that fits")
	assert.Equal(t, []string{"LIMIT byteSize"}, refused())
	answer := owner.Do(t, "mutation ($i: RequestAttachmentUploadInput!) { requestAttachmentUpload(input: $i) { userErrors { message } } }", map[string]any{"i": f.input("a.png", "image/png", content)})
	assert.Contains(t, string(answer.Body), "wait until their addresses expire", "it says what to do")
}

// A store that only an operator can mend is refused by its variable's name when a server
// starts; one that is away is not, nor does its going away end anything but files.
func TestAttachment_AStoreThatIsMisconfiguredIsRefusedAtTheStart(t *testing.T) {
	t.Parallel()
	d := testkit.NewDatabase(t)
	d.NewClinic(t, "aurora")
	backend := s3mem.New()
	require.NoError(t, backend.CreateBucket("files"))
	bucket := httptest.NewServer(gofakes3.New(backend).Server())
	t.Cleanup(bucket.Close)
	forbids := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	t.Cleanup(forbids.Close)
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	begin := func(where config.Attachments) error {
		settings, err := config.Development(nil, d.AppURL, api.Secret)
		require.NoError(t, err)
		settings.Attachments, settings.Outbox, settings.Waitlist, settings.Maintain.On = where, false, false, false
		key, err := auth.LoadOrCreateDevKey(filepath.Join(t.TempDir(), "dev-key.pem"))
		require.NoError(t, err)
		a, err := app.New(t.Context(), settings, app.Options{DevKey: key, Log: slog.New(slog.DiscardHandler)})
		if err == nil {
			a.Close()
		}
		return err
	}
	kept := func(endpoint, name string) config.Attachments {
		return config.Attachments{S3Endpoint: endpoint, S3Bucket: name, S3Key: "key", S3Secret: "canary-secret", Bytes: 50 << 20}
	}
	require.NoError(t, begin(kept(bucket.URL, "files")))
	for variable, where := range map[string]config.Attachments{
		`TASKMED_ATTACHMENTS_S3_BUCKET is none that can be used: store: it cannot be used as it is configured: there is no bucket "others"`: kept(bucket.URL, "others"),
		`TASKMED_ATTACHMENTS_S3_BUCKET is none that can be used: store: it cannot be used as it is configured: the key may not use`:         kept(forbids.URL, "files"),
		"TASKMED_ATTACHMENTS_DIR is no folder that can be written":                                                                          {Dir: filepath.Join(file, "below"), Bytes: 1 << 20},
	} {
		err := begin(where)
		require.ErrorContains(t, err, variable)
		require.NotContains(t, err.Error(), "canary")
	}
	away := httptest.NewServer(http.NotFoundHandler())
	away.Close()
	require.NoError(t, begin(kept(away.URL, "files")), "it may be there later")
}

// While the store is away files fail, and say so; the rest is served, and the server is
// ready.
func TestAttachment_OfAStoreThatIsAwayFailsAlone(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "files")
	f := newFiles(t, keptIn(dir))
	owner := f.as(models.RoleOwner)
	content := png("canary")
	address, _ := f.ask(owner, f.input("a.png", "image/png", content))
	require.NoError(t, os.RemoveAll(dir))
	got := f.put(address, content)
	assert.Equal(t, http.StatusServiceUnavailable, got.status)
	assert.Contains(t, got.body, "files can be neither taken nor served now")
	owner.Must(t, "{ clinic { id } }", nil, nil)
	ready := httptest.NewRecorder()
	f.server.App.Handler().ServeHTTP(ready, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/readyz", http.NoBody))
	assert.Equal(t, http.StatusOK, ready.Code, "all else is served")
}
