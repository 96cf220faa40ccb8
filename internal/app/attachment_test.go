package app_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/models"
)

// png is a picture of one point, and what follows it.
func png(more string) []byte {
	return append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89"), more...)
}

func sha(of []byte) string {
	sum := sha256.Sum256(of)
	return hex.EncodeToString(sum[:])
}

// clinicFiles is a clinic with a draft, whose files are uploaded and read.
type clinicFiles struct {
	desk

	draft string
}

func newFiles(t *testing.T, options ...api.Option) clinicFiles {
	t.Helper()
	d := testkit.NewDatabase(t)
	clinic := d.NewClinic(t, "aurora")
	d.NewClinic(t, "horizonte")
	k := desk{t, d, api.NewServer(t, d, append([]api.Option{api.At(deskMonday)}, options...)...), clinic}
	return clinicFiles{k, models.KindMedicalRecord.Global(d.Draft(t, clinic))}
}

func (f clinicFiles) input(name, mediaType string, content []byte) map[string]any {
	return map[string]any{"medicalRecordId": f.draft, "fileName": name, "mediaType": mediaType, "byteSize": len(content), "digest": sha(content)}
}

const attachmentFields = "attachment { id fileName mediaType byteSize digest url } uploadUrl expiresAt"

// ask asks for an address, and gives it with the attachment.
func (f clinicFiles) ask(client *api.Client, input map[string]any) (address string, attachment map[string]any) {
	f.t.Helper()
	payload, mistakes := f.do(client, "requestAttachmentUpload", attachmentFields, input)
	require.Empty(f.t, mistakes)
	attachment, _ = payload["attachment"].(map[string]any)
	return fmt.Sprint(payload["uploadUrl"]), attachment
}

// here is an address at this test's server.
func (f clinicFiles) here(address string) string {
	f.t.Helper()
	_, path, found := strings.Cut(address, "/attachments/")
	require.True(f.t, found, address)
	return f.server.URL + "/attachments/" + path
}

// send puts or gets as anybody does who has an address.
func (f clinicFiles) send(method, address string, body io.Reader, headers ...string) subscribed {
	f.t.Helper()
	request, err := http.NewRequestWithContext(f.t.Context(), method, f.here(address), body)
	require.NoError(f.t, err)
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	answer, err := http.DefaultClient.Do(request)
	require.NoError(f.t, err)
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	require.NoError(f.t, err)
	return subscribed{answer.StatusCode, answer.Header, string(text)}
}

func (f clinicFiles) put(address string, content []byte) subscribed {
	f.t.Helper()
	return f.send(http.MethodPut, address, bytes.NewReader(content))
}

// attached uploads a file and gives the attachment.
func (f clinicFiles) attached(client *api.Client, name, mediaType string, content []byte) map[string]any {
	f.t.Helper()
	address, attachment := f.ask(client, f.input(name, mediaType, content))
	got := f.put(address, content)
	require.Equal(f.t, http.StatusCreated, got.status, got.body)
	return attachment
}

// listed are the record's attachments as a client reads them.
func (f clinicFiles) listed(client *api.Client) []map[string]any {
	f.t.Helper()
	var read struct {
		MedicalRecord struct{ Attachments []map[string]any }
	}
	client.Must(f.t, "query ($id: ID!) { medicalRecord(id: $id) { attachments { id fileName mediaType byteSize digest url } } }", map[string]any{"id": f.draft}, &read)
	return read.MedicalRecord.Attachments
}

func TestAttachment_IsUploadedOnceAndReadByWhoMay(t *testing.T) {
	t.Parallel()
	f := newFiles(t)
	doctor := f.as(models.RolePractitioner)
	content := png(strings.Repeat("canary of the file ", 1000))
	address, promised := f.ask(doctor, f.input("C:\\exames\\..\\raio\u202e  x.png", "image/png", content))
	assert.Equal(t, "raio x.png", promised["fileName"])
	assert.Empty(t, f.listed(doctor), "nothing is there before it came")
	assert.Equal(t, http.StatusNotFound, f.send(http.MethodGet, fmt.Sprint(promised["url"]), nil).status)
	version := f.d.Count(t, "SELECT version FROM medical_records WHERE title = 'Raio X'")

	got := f.put(address, content)
	require.Equal(t, http.StatusCreated, got.status, got.body)
	assert.Equal(t, fmt.Sprint(promised["id"])+"\n", got.body)
	again := f.put(address, content)
	assert.Equal(t, http.StatusConflict, again.status)
	listed := f.listed(doctor)
	require.Len(t, listed, 1, "a kept answer without it is old")
	assert.Equal(t, promised, listed[0])
	assert.Equal(t, version+1, f.d.Count(t, "SELECT version FROM medical_records WHERE title = 'Raio X'"), "who signs what they read is told of it")

	read := f.send(http.MethodGet, fmt.Sprint(listed[0]["url"]), nil)
	require.Equal(t, http.StatusOK, read.status, read.body)
	assert.Equal(t, string(content), read.body)
	for name, want := range map[string]string{
		"Content-Type": "image/png", "Cache-Control": "private, no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
		"Content-Security-Policy": "sandbox; default-src 'none'", "ETag": `"` + sha(content) + `"`, "Accept-Ranges": "bytes",
	} {
		assert.Equal(t, want, read.header.Get(name), name)
	}
	assert.True(t, strings.HasPrefix(read.header.Get("Content-Disposition"), "inline; filename="), read.header.Get("Content-Disposition"))
	assert.Equal(t, 1, f.d.Count(t, `SELECT count(*) FROM audit_events WHERE action = 'read' AND operation = 'attachment' AND actor = $1 AND role = 'practitioner' AND $2 = ANY (entity_ids)
		AND $3 = ANY (entity_ids) AND $4 = ANY (entity_ids)`,
		testkit.Subject("aurora", models.RolePractitioner), promised["id"], f.draft, models.KindContact.Global(f.clinic.Contacts[0])))

	// Not for roles that may not read what records say.
	for _, role := range []models.Role{models.RoleReceptionist, models.RoleFinance, models.RolePartner} {
		answer := f.as(role).Do(t, "query ($id: ID!) { node(id: $id) { ... on Attachment { url } } }", map[string]any{"id": promised["id"]})
		require.NotEmpty(t, answer.Errors, role)
		answer = f.as(role).Do(t, "mutation ($i: RequestAttachmentUploadInput!) { requestAttachmentUpload(input: $i) { uploadUrl } }", map[string]any{"i": f.input("a.png", "image/png", content)})
		require.NotEmpty(t, answer.Errors, role)
	}
}

func TestAttachment_IsReadInParts(t *testing.T) {
	t.Parallel()
	f := newFiles(t)
	owner := f.as(models.RoleOwner)
	content := png(strings.Repeat("0123456789", 10_000))
	address := fmt.Sprint(f.attached(owner, "a.png", "image/png", content)["url"])
	etag := `"` + sha(content) + `"`
	for _, one := range []struct {
		headers      []string
		status       int
		body, ranged string
	}{
		{[]string{"Range", "bytes=100-109"}, http.StatusPartialContent, string(content[100:110]), fmt.Sprintf("bytes 100-109/%d", len(content))},
		{[]string{"Range", "bytes=-5"}, http.StatusPartialContent, string(content[len(content)-5:]), fmt.Sprintf("bytes %d-%d/%d", len(content)-5, len(content)-1, len(content))},
		{[]string{"Range", "bytes=1-2", "If-Range", etag}, http.StatusPartialContent, string(content[1:3]), fmt.Sprintf("bytes 1-2/%d", len(content))},
		{[]string{"Range", "bytes=1-2", "If-Range", `"other"`}, http.StatusOK, string(content), ""},
		{[]string{"Range", "bytes=9999999-"}, http.StatusRequestedRangeNotSatisfiable, "invalid range: failed to overlap\n", fmt.Sprintf("bytes */%d", len(content))},
		{[]string{"If-None-Match", etag}, http.StatusNotModified, "", ""},
	} {
		got := f.send(http.MethodGet, address, nil, one.headers...)
		assert.Equal(t, one.status, got.status, one.headers)
		assert.Equal(t, one.body, got.body, one.headers)
		assert.Equal(t, one.ranged, got.header.Get("Content-Range"), one.headers)
	}
	head := f.send(http.MethodHead, address, nil)
	assert.Equal(t, http.StatusOK, head.status)
	assert.Empty(t, head.body)
	assert.Equal(t, fmt.Sprint(len(content)), head.header.Get("Content-Length"))
}

// chunked is a body of which nobody says how long it is.
type chunked struct{ io.Reader }

func TestAttachment_RefusesWhatIsNotWhatWasAnnounced(t *testing.T) {
	t.Parallel()
	f := newFiles(t)
	owner := f.as(models.RoleOwner)
	content := png(strings.Repeat("x", 5000))
	page := []byte("<!DOCTYPE html><html><script>alert(1)</script></html>" + strings.Repeat(" ", 5000))
	drawing := []byte(`<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>` + strings.Repeat(" ", 5000))
	other := bytes.Replace(bytes.Clone(content), []byte("xx"), []byte("xy"), 1)
	for _, one := range []struct {
		what, mediaType string
		announced, sent []byte
		headers         []string
		status          int
		// spent is whether the address is used up.
		spent bool
	}{
		{"a longer body, and says so", "image/png", content, append(bytes.Clone(content), 'x'), nil, http.StatusRequestEntityTooLarge, false},
		{"a shorter body, and says so", "image/png", content, content[:len(content)-1], nil, http.StatusBadRequest, false},
		{"what is packed", "image/png", content, content, []string{"Content-Encoding", "gzip"}, http.StatusUnsupportedMediaType, false},
		{"a longer body in chunks", "image/png", content, append(bytes.Clone(content), 'x'), []string{"chunked"}, http.StatusRequestEntityTooLarge, true},
		{"a shorter body in chunks", "image/png", content, content[:len(content)-1], []string{"chunked"}, http.StatusBadRequest, true},
		{"almost nothing in chunks", "image/png", content, content[:10], []string{"chunked"}, http.StatusBadRequest, true},
		{"other bytes", "image/png", content, other, nil, http.StatusUnprocessableEntity, true},
		{"a page called a picture", "image/png", page, page, nil, http.StatusUnsupportedMediaType, true},
		{"a page called a text", "text/plain", page, page, nil, http.StatusUnsupportedMediaType, true},
		{"a drawing called a text", "text/plain", drawing, drawing, nil, http.StatusUnsupportedMediaType, true},
		{"a drawing called a picture", "image/webp", drawing, drawing, nil, http.StatusUnsupportedMediaType, true},
		{"a picture called a PDF", "application/pdf", content, content, nil, http.StatusUnsupportedMediaType, true},
	} {
		address, attachment := f.ask(owner, f.input("a", one.mediaType, one.announced))
		var body io.Reader = bytes.NewReader(one.sent)
		headers := one.headers
		if len(headers) == 1 {
			body, headers = chunked{body}, nil
		}
		got := f.send(http.MethodPut, address, body, headers...)
		assert.Equal(t, one.status, got.status, "%s: %s", one.what, got.body)
		assert.Equal(t, http.StatusNotFound, f.send(http.MethodGet, fmt.Sprint(attachment["url"]), nil).status, one.what)
		want := http.StatusCreated
		if one.spent {
			want = http.StatusConflict
		}
		assert.Equal(t, want, f.put(address, one.announced).status, "%s, and then what was announced", one.what)
	}
	late, _ := f.ask(owner, f.input("a", "image/png", content))
	f.d.Exec(t, "UPDATE attachment_uploads SET expires_at = clock_timestamp() WHERE taken_at IS NULL")
	assert.Equal(t, http.StatusGone, f.put(late, content).status)
	require.Len(t, f.listed(owner), 3, "those that were announced in the end")

	most := int(50 << 20)
	for _, wrong := range []struct {
		change   map[string]any
		mistakes []string
	}{
		{map[string]any{"fileName": "  ", "mediaType": "text/html", "byteSize": 0, "digest": "x"}, []string{"REQUIRED fileName", "INVALID mediaType", "INVALID byteSize", "INVALID digest"}},
		{map[string]any{"fileName": "a/..", "mediaType": "image/svg+xml", "byteSize": most + 1}, []string{"INVALID fileName", "INVALID mediaType", "LIMIT byteSize"}},
		{map[string]any{"fileName": "a\x00b"}, []string{"INVALID fileName"}},
		{map[string]any{"fileName": strings.Repeat("ã", 256)}, []string{"TOO_LONG fileName"}},
		{map[string]any{"medicalRecordId": models.KindMedicalRecord.Global(models.NewID())}, []string{"NOT_FOUND medicalRecordId"}},
	} {
		input := f.input("a.png", "image/png", content)
		maps.Copy(input, wrong.change)
		_, mistakes := f.do(owner, "requestAttachmentUpload", "uploadUrl", input)
		assert.Equal(t, wrong.mistakes, mistakes)
	}
	f.d.Exec(t, `INSERT INTO attachments (clinic_id, id, medical_record_id, file_name, media_type, byte_size, digest)
		SELECT $1, gen_random_uuid(), id, 'a', 'image/png', 1, repeat('0', 64) FROM medical_records, generate_series(1, 46) WHERE title = 'Raio X'`, f.clinic.ID)
	f.ask(owner, f.input("a", "image/png", content))
	_, mistakes := f.do(owner, "requestAttachmentUpload", "uploadUrl", f.input("a", "image/png", content))
	assert.Equal(t, []string{"LIMIT medicalRecordId"}, mistakes, "46, 3 and one that is awaited")
}

func TestAttachment_OfForeignAndRevokedIsNone(t *testing.T) {
	t.Parallel()
	f := newFiles(t)
	admin := f.as(models.RoleAdmin)
	content := png("canary")
	address, attachment := f.ask(admin, f.input("a.png", "image/png", content))
	require.Equal(t, http.StatusCreated, f.put(address, content).status)
	url := fmt.Sprint(attachment["url"])
	require.Equal(t, http.StatusOK, f.send(http.MethodGet, url, nil).status)

	// What an answer to nobody looks like.
	none := f.send(http.MethodGet, "/attachments/x", nil)
	require.Equal(t, http.StatusNotFound, none.status)
	same := func(what string, got subscribed) {
		t.Helper()
		for _, name := range []string{"X-Request-Id", "Date"} {
			got.header.Del(name)
			none.header.Del(name)
		}
		assert.Equal(t, none, got, what)
	}
	name := url[strings.LastIndex(url, "/")+1:]
	foreign := strings.TrimPrefix(models.KindClinic.Global(foreignOf(t, f)), "clinic_")
	same("of another clinic's", f.send(http.MethodGet, "/attachments/"+foreign+name[26:], nil))
	same("changed", f.send(http.MethodGet, "/attachments/"+testkit.Spoilt(name), nil))
	same("an upload's", f.send(http.MethodGet, "/attachments/"+address[strings.LastIndex(address, "/")+1:], nil))
	reads := f.d.Count(t, "SELECT count(*) FROM audit_events")

	// A link that was given to a member who is one no more, or has another role.
	next, _ := f.ask(admin, f.input("b.png", "image/png", content))
	f.d.Exec(t, "UPDATE memberships SET role = 'receptionist' WHERE subject = $1", testkit.Subject("aurora", models.RoleAdmin))
	same("of another role", f.send(http.MethodGet, url, nil))
	assert.Equal(t, http.StatusNotFound, f.put(next, content).status)
	f.d.Exec(t, "UPDATE memberships SET role = 'admin', revoked_at = now() WHERE subject = $1", testkit.Subject("aurora", models.RoleAdmin))
	same("of one who left", f.send(http.MethodGet, url, nil))
	assert.Equal(t, http.StatusNotFound, f.put(next, content).status)
	f.d.Exec(t, "UPDATE memberships SET revoked_at = NULL WHERE subject = $1", testkit.Subject("aurora", models.RoleAdmin))
	assert.Equal(t, http.StatusOK, f.send(http.MethodGet, url, nil).status)
	assert.Equal(t, reads+1, f.d.Count(t, "SELECT count(*) FROM audit_events"), "what was not shown was not read")

	// A draft of another clinic's is none.
	input := f.input("a.png", "image/png", content)
	var other testkit.Clinic
	other.ID = foreignOf(t, f)
	record := models.NewID()
	f.d.Exec(t, `INSERT INTO medical_records (clinic_id, id, contact_id, practitioner_id, kind, title, body)
		SELECT $1, $2, c.id, p.id, 'evolution', 'a', 'b' FROM contacts c, practitioners p WHERE c.clinic_id = $1 AND p.clinic_id = $1 LIMIT 1`, other.ID, record)
	input["medicalRecordId"] = models.KindMedicalRecord.Global(record)
	_, mistakes := f.do(f.as(models.RoleOwner), "requestAttachmentUpload", "uploadUrl", input)
	assert.Equal(t, []string{"NOT_FOUND medicalRecordId"}, mistakes)
}

func foreignOf(t *testing.T, f clinicFiles) uuid.UUID {
	t.Helper()
	return column[uuid.UUID](t, f.d.Connect(t, f.d.SuperuserURL), "SELECT id FROM clinics WHERE id <> $1", f.clinic.ID)[0]
}
