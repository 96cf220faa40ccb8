package app_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/app"
	"github.com/taskmed/taskmed/internal/config"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/models"
)

// filesIn are the files below a folder.
func filesIn(t *testing.T, dir string) (paths []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			paths = append(paths, path)
		}
		return err
	}))
	return paths
}

func keptIn(dir string) api.Option {
	return func(settings *config.Config, _ *app.Options) { settings.Attachments.Dir = dir }
}

// dead is a process that stops at a point, for ever or until the test lets it go on.
type dead struct {
	point   string
	reached chan struct{}
	goes    chan bool
	once    sync.Once
}

func diesAt(t *testing.T, point string) (*dead, api.Option) {
	t.Helper()
	d := &dead{point: point, reached: make(chan struct{}), goes: make(chan bool)}
	return d, func(_ *config.Config, options *app.Options) {
		options.Attachments.At = func(point string) {
			if point != d.point {
				return
			}
			first := false
			d.once.Do(func() { first = true; close(d.reached) })
			if first && !<-d.goes {
				runtime.Goexit()
			}
		}
	}
}

func (d *dead) buried(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		select {
		case d.goes <- false:
		default:
			close(d.goes)
		}
	})
}

func TestAttachment_OfAKilledServerIsWholeOrCleared(t *testing.T) {
	t.Parallel()
	content := png("canary")
	for _, one := range []struct {
		point string
		// object and row are what is there once it was killed.
		object, row int
	}{{"taken", 0, 0}, {"stored", 1, 0}, {"kept", 1, 1}} {
		t.Run(one.point, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			killed, option := diesAt(t, one.point)
			f := newFiles(t, option, keptIn(dir))
			other := api.NewServer(t, f.d, api.At(deskMonday), keptIn(dir))
			owner := f.as(models.RoleOwner)
			killed.buried(t)
			address, attachment := f.ask(owner, f.input("a.png", "image/png", content))
			ctx, leave := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			wg.Go(func() {
				request, err := http.NewRequestWithContext(ctx, http.MethodPut, f.here(address), bytes.NewReader(content))
				if !assert.NoError(t, err) { //nolint:testifylint // beside the test, where require may not end it
					return
				}
				if answer, err := http.DefaultClient.Do(request); err == nil {
					_ = answer.Body.Close()
				}
			})
			<-killed.reached
			leave()
			wg.Wait()
			f.server = other
			assert.Equal(t, http.StatusConflict, f.put(address, content).status, "it was used")
			assert.Len(t, filesIn(t, dir), one.object)
			assert.Len(t, f.listed(other.As(t, f.clinic, models.RoleOwner)), one.row)

			// Nothing is cleared that somebody may still be at.
			sweep := func(want int) {
				t.Helper()
				gone, err := other.App.Sweep(t.Context())
				require.NoError(t, err)
				require.Equal(t, want, gone)
			}
			sweep(0)
			f.d.Exec(t, "UPDATE attachment_uploads SET expires_at = clock_timestamp() - interval '61 minutes'")
			sweep(0)
			assert.Zero(t, f.d.Count(t, "SELECT count(*) FROM attachment_uploads"))
			assert.Len(t, filesIn(t, dir), one.object)
			f.d.Exec(t, "UPDATE attachment_removals SET due_at = clock_timestamp()")
			sweep(1 - one.row)
			sweep(0)
			assert.Zero(t, f.d.Count(t, "SELECT count(*) FROM attachment_removals"))
			assert.Len(t, filesIn(t, dir), one.row, "an object without a row is gone, one with a row is not")
			got := f.send(http.MethodGet, fmt.Sprint(attachment["url"]), nil)
			if one.row == 1 {
				assert.Equal(t, string(content), got.body)
				return
			}
			assert.Equal(t, http.StatusNotFound, got.status)
			if one.point == "stored" {
				// It was not dead, but very slow: nothing comes of it.
				killed.goes <- true
				require.Eventually(t, func() bool {
					return f.d.Count(t, "SELECT count(*) FROM attachments") == 0 && len(filesIn(t, dir)) == 0
				}, time.Minute, 10*time.Millisecond)
			}
		})
	}
}

func TestAttachment_OfADiscardedDraftLeavesTheStore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	killed, option := diesAt(t, "removed")
	f := newFiles(t, option, keptIn(dir))
	other := api.NewServer(t, f.d, api.At(deskMonday), keptIn(dir))
	owner := f.as(models.RoleOwner)
	killed.buried(t)
	content := png("canary")
	attachment := f.attached(owner, "a.png", "image/png", content)
	awaited, _ := f.ask(owner, f.input("b.png", "image/png", content))
	require.Len(t, filesIn(t, dir), 1)

	// A dry run discards nothing.
	owner.Must(t, "mutation ($id: ID!) { discardMedicalRecord(input: {id: $id}) @dryRun { medicalRecord { id } userErrors { code } } }", map[string]any{"id": f.draft}, nil)
	require.Len(t, f.listed(owner), 1)
	f.made(owner, "discardMedicalRecord", "medicalRecord", "id", map[string]any{"id": f.draft})
	assert.Equal(t, http.StatusNotFound, f.send(http.MethodGet, fmt.Sprint(attachment["url"]), nil).status)
	assert.Equal(t, http.StatusNotFound, f.put(awaited, content).status)
	require.Len(t, filesIn(t, dir), 1, "until it is swept")

	// A server dies between the object and its row; another one ends it.
	go func() { _, _ = f.server.App.Sweep(t.Context()) }()
	<-killed.reached
	assert.Empty(t, filesIn(t, dir))
	assert.Equal(t, 1, f.d.Count(t, "SELECT count(*) FROM attachment_removals"))
	gone, err := other.App.Sweep(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 1, gone)
	assert.Zero(t, f.d.Count(t, "SELECT (SELECT count(*) FROM attachment_removals) + (SELECT count(*) FROM attachment_uploads)"))
}

func TestAttachment_IsSignedWithItsRecord(t *testing.T) {
	t.Parallel()
	f := newFiles(t)
	doctor := f.as(models.RolePractitioner)
	f.d.Exec(t, `UPDATE practitioners p SET member_id = m.id FROM memberships m WHERE m.clinic_id = p.clinic_id AND m.subject = $1 AND p.id = $2`,
		testkit.Subject("aurora", models.RolePractitioner), f.clinic.Practitioners[0])
	content := png("canary")
	var read struct{ MedicalRecord struct{ Version int } }
	doctor.Must(t, "query ($id: ID!) { medicalRecord(id: $id) { version } }", map[string]any{"id": f.draft}, &read)
	attachment := f.attached(doctor, "a.png", "image/png", content)
	late, _ := f.ask(doctor, f.input("b.png", "image/png", content))
	_, mistakes := f.do(doctor, "signMedicalRecord", "medicalRecord { id }", map[string]any{"id": f.draft, "expectedVersion": read.MedicalRecord.Version})
	require.Equal(t, []string{"STALE expectedVersion"}, mistakes, "what was read had no file")
	signed := f.made(doctor, "signMedicalRecord", "medicalRecord", "digest contact { id } practitioner { id } signedAt attachments { id }", map[string]any{"id": f.draft})
	assert.Equal(t, []string{fmt.Sprint(attachment["id"])}, idsOf(signed["attachments"]))

	// Anybody who holds the content can compute it.
	said := fmt.Sprintf(`{"amendmentReason":null,"amends":null,"appointment":null,"attachments":[{"byteSize":%d,"digest":"%s","fileName":"a.png","id":"%s","mediaType":"image/png"}],`+
		`"body":"b","clinic":"%s","codes":[],"contact":"%s","data":null,"format":"taskmed.medical_record.v2","id":"%s","kind":"EXAM_RESULT","practitioner":"%s",`+
		`"signedAt":"2026-11-23T11:00:00.000000Z","signedBy":"%s","title":"Raio X"}`,
		len(content), sha(content), attachment["id"], models.KindClinic.Global(f.clinic.ID), models.KindContact.Global(f.clinic.Contacts[0]), f.draft,
		models.KindPractitioner.Global(f.clinic.Practitioners[0]), testkit.Subject("aurora", models.RolePractitioner))
	assert.Equal(t, sha([]byte(said)), signed["digest"])

	got := f.put(late, content)
	assert.Equal(t, http.StatusConflict, got.status)
	assert.Contains(t, got.body, "signed")
	_, mistakes = f.do(doctor, "requestAttachmentUpload", "uploadUrl", f.input("c.png", "image/png", content))
	assert.Equal(t, []string{"IMMUTABLE medicalRecordId"}, mistakes)
	conn := f.d.Connect(t, f.d.OwnerURL)
	_, err := conn.Exec(t.Context(), "SELECT set_config('app.clinic', $1, false)", f.clinic.ID.String())
	require.NoError(t, err)
	for _, statement := range []string{
		"DELETE FROM attachments",
		"INSERT INTO attachments SELECT clinic_id, gen_random_uuid(), medical_record_id, file_name, media_type, byte_size, digest FROM attachments",
	} {
		_, err = conn.Exec(t.Context(), statement)
		require.ErrorContains(t, err, "immutable", statement)
	}
	// Withdrawn, it is kept.
	f.made(doctor, "withdrawMedicalRecord", "medicalRecord", "id", map[string]any{"id": f.draft, "reason": "Paciente errado"})
	assert.Equal(t, string(content), f.send(http.MethodGet, fmt.Sprint(attachment["url"]), nil).body)
}

func TestAttachment_OfTwoUploadsAtOnceOneWins(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := newFiles(t, keptIn(dir))
	other := f
	other.server = api.NewServer(t, f.d, api.At(deskMonday), keptIn(dir))
	content := png(strings.Repeat("x", 100_000))
	for range 5 {
		address, _ := f.ask(f.as(models.RoleOwner), f.input("a.png", "image/png", content))
		var won, told atomic.Int32
		var wg sync.WaitGroup
		for _, at := range []clinicFiles{f, other, f, other} {
			wg.Go(func() {
				switch got := at.put(address, content); got.status {
				case http.StatusCreated:
					won.Add(1)
				case http.StatusConflict:
					told.Add(1)
				}
			})
		}
		wg.Wait()
		assert.EqualValues(t, 1, won.Load())
		assert.EqualValues(t, 3, told.Load())
	}
	assert.Len(t, f.listed(f.as(models.RoleOwner)), 5)
	assert.Len(t, filesIn(t, dir), 5)
}

// ones is so many bytes of a text.
type ones struct{ left int }

func (o *ones) Read(p []byte) (int, error) {
	if o.left == 0 {
		return 0, io.EOF
	}
	n := min(len(p), o.left)
	for i := range p[:n] {
		p[i] = '1'
	}
	o.left -= n
	return n, nil
}

func TestAttachment_WithoutEndIsCutOff(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := newFiles(t, keptIn(dir))
	content := bytes.Repeat([]byte("1"), 1<<20)
	address, _ := f.ask(f.as(models.RoleOwner), f.input("a.txt", "text/plain", content))
	body := &ones{left: 1 << 30}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, f.here(address), chunked{body})
	require.NoError(t, err)
	answer, err := http.DefaultClient.Do(request)
	if err == nil { // or the connection was cut while it was being written to
		_ = answer.Body.Close()
		assert.Equal(t, http.StatusRequestEntityTooLarge, answer.StatusCode)
	}
	assert.Greater(t, body.left, 1<<29, "it was not read to its end")
	assert.Empty(t, f.listed(f.as(models.RoleOwner)))
	assert.Empty(t, filesIn(t, dir))
}

func TestAttachment_OfAnyTypeThatRunsIsNeverShownInAPage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := newFiles(t, keptIn(dir))
	owner := f.as(models.RoleOwner)
	f.attached(owner, "a.png", "image/png", png("x"))
	for _, mediaType := range []string{"text/html", "image/svg+xml", "application/xhtml+xml", "application/pdf", "text/plain", "text/xml", "application/javascript"} {
		f.d.Exec(t, "UPDATE attachments SET media_type = $1, file_name = 'relatório \"x\".html'", mediaType)
		got := f.send(http.MethodGet, fmt.Sprint(f.listed(owner)[0]["url"]), nil)
		require.Equal(t, http.StatusOK, got.status)
		assert.True(t, strings.HasPrefix(got.header.Get("Content-Disposition"), "attachment; filename*=utf-8''relat%C3%B3rio%20%22x%22.html"), got.header.Get("Content-Disposition"))
		assert.Equal(t, "nosniff", got.header.Get("X-Content-Type-Options"))
		assert.Equal(t, "sandbox; default-src 'none'", got.header.Get("Content-Security-Policy"))
	}
}

func TestAttachment_InABucketAndNothingOfItInTheLog(t *testing.T) {
	t.Parallel()
	backend := s3mem.New()
	require.NoError(t, backend.CreateBucket("files"))
	bucket := httptest.NewServer(gofakes3.New(backend).Server())
	t.Cleanup(bucket.Close)
	book := &testkit.Logbook{}
	f := newFiles(t, api.WithLog(slog.New(slog.NewTextHandler(book, nil))), func(settings *config.Config, _ *app.Options) {
		settings.Attachments = config.Attachments{S3Endpoint: bucket.URL, S3Bucket: "files", S3Key: "key", S3Secret: "canary-secret", Bytes: 50 << 20}
	})
	owner := f.as(models.RoleOwner)
	content := png(strings.Repeat("canary-content", 200_000))
	attachment := f.attached(owner, "canary-name.png", "image/png", content)
	url := fmt.Sprint(attachment["url"])
	assert.Equal(t, string(content), f.send(http.MethodGet, url, nil).body)
	assert.Equal(t, string(content[1000:1010]), f.send(http.MethodGet, url, nil, "Range", "bytes=1000-1009").body)
	address, _ := f.ask(owner, f.input("canary-name.png", "image/png", content))
	other := bytes.Clone(content)
	other[len(other)-1]++
	assert.Equal(t, http.StatusUnprocessableEntity, f.put(address, other).status)
	objects, err := backend.ListBucket("files", nil, gofakes3.ListBucketPage{})
	require.NoError(t, err)
	require.Len(t, objects.Contents, 1, "what does not fit is not kept")
	assert.Equal(t, f.clinic.ID.String(), strings.Split(objects.Contents[0].Key, "/")[0])

	// A store that cannot be reached.
	next, _ := f.ask(owner, f.input("canary-name.png", "image/png", content))
	bucket.Close()
	assert.Equal(t, http.StatusServiceUnavailable, f.put(next, content).status)
	assert.Equal(t, http.StatusServiceUnavailable, f.send(http.MethodGet, url, nil).status)
	require.Contains(t, book.String(), "a file could not be kept or served")
	for _, secret := range []string{"canary", next[strings.LastIndex(next, "/")+1:], url[strings.LastIndex(url, "/")+1:]} {
		assert.NotContains(t, book.String(), secret)
	}
}

func TestAttachment_WithoutAStoreIsRefused(t *testing.T) {
	t.Parallel()
	f := newFiles(t, keptIn(""))
	answer := f.as(models.RoleOwner).Do(t, "mutation ($i: RequestAttachmentUploadInput!) { requestAttachmentUpload(input: $i) { uploadUrl } }",
		map[string]any{"i": f.input("a.png", "image/png", png("x"))})
	require.Len(t, answer.Errors, 1)
	assert.Equal(t, "UNAVAILABLE", answer.Errors[0].Extensions.Code)
	assert.NotContains(t, string(answer.Body), "TASKMED_")
}
