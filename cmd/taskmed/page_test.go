package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/testkit"
)

// firstBooking are the commands of docs/operations.md's first section, in their order.
func firstBooking(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/operations.md")
	require.NoError(t, err)
	_, section, found := strings.Cut(string(page), "## From an empty server to a clinic's first booking")
	require.True(t, found)
	section, _, _ = strings.Cut(section, "\n## ")
	var script strings.Builder
	inside := false
	for line := range strings.SplitSeq(section, "\n") {
		switch fence := strings.TrimSpace(line); {
		case fence == "```sh":
			inside = true
		case fence == "```":
			inside = false
		case inside:
			script.WriteString(strings.TrimPrefix(line, "   ") + "\n")
		}
	}
	return script.String()
}

// theirs puts a reader's own values into the page's exports, each of which must be there.
func theirs(t *testing.T, script string, values map[string]string) string {
	t.Helper()
	for name, value := range values {
		line := regexp.MustCompile("(?m)^export " + name + "=.*$")
		require.Len(t, line.FindAllString(script, -1), 1, name)
		script = line.ReplaceAllLiteralString(script, "export "+name+"='"+value+"'")
	}
	return script
}

// The page is what an operator does who has nothing but an empty server.
func TestPage_GoesFromAnEmptyServerToTheFirstBooking(t *testing.T) {
	t.Parallel()
	servers, stop, err := testkit.StartServers(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, stop()) })
	super := emptied(t, servers.SuperuserURL)

	jwks, token := identityProvider(t, "ana@example.org")
	public, admin := freeAddress(t), freeAddress(t)
	script := theirs(t, firstBooking(t), map[string]string{
		"SERVER": super.Host, "SUPERUSER_URL": super.String(), "TASKMED_ADDR": public, "TASKMED_ADMIN_ADDR": admin,
		"TASKMED_JWKS_URL": jwks, "TOKEN": token,
	})

	folder := t.TempDir()
	self, err := os.Executable()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "taskmed"), []byte("#!/bin/sh\n"+asCommand+"=1 exec '"+self+"' \"$@\"\n"), 0o755))
	ctx, done := context.WithTimeout(t.Context(), 3*time.Minute)
	defer done()
	shell := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", "trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT\n"+script)
	shell.Dir = "../.."
	shell.Env = []string{"PATH=" + folder + ":" + os.Getenv("PATH"), "HOME=" + folder, "TASKMED_LOG_LEVEL=error"}
	shell.WaitDelay = 20 * time.Second
	out, err := shell.CombinedOutput()
	require.NoError(t, err, "%s", out)
	for _, told := range []string{"applied 00001_tenancy.sql", "made clinica-aurora", "clinica-aurora  clinic_", "ana@example.org", `"role":"OWNER"`, `"status": "SCHEDULED"`} {
		require.Contains(t, string(out), told)
	}

	super.Path = "/taskmed"
	conn, err := pgx.Connect(t.Context(), super.String())
	require.NoError(t, err)
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	var booked int
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT count(*) FROM appointments a JOIN contacts c ON c.id = a.contact_id
		JOIN clinics k ON k.id = a.clinic_id WHERE c.name = 'João Silva' AND k.slug = 'clinica-aurora' AND a.status = 'agendado'`).Scan(&booked))
	require.Equal(t, 1, booked)
}

// emptied takes everything of ours off a server, and gives its superuser's address.
func emptied(t *testing.T, superuser string) *url.URL {
	t.Helper()
	address, err := url.Parse(superuser)
	require.NoError(t, err)
	address.Path, address.RawQuery = "/postgres", "sslmode=disable"
	conn, err := pgx.Connect(t.Context(), address.String())
	require.NoError(t, err)
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	for _, sql := range []string{
		"DROP DATABASE " + testkit.Template, "DROP OWNED BY taskmed_owner, taskmed_app, taskmed_lookup", "DROP ROLE taskmed_owner, taskmed_app, taskmed_lookup",
	} {
		_, err := conn.Exec(t.Context(), sql)
		require.NoError(t, err, sql)
	}
	return address
}

// identityProvider publishes a key and gives a token of a subject's, signed by it.
func identityProvider(t *testing.T, subject string) (jwks, token string) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	key, err := jwkset.NewJWKFromKey(public, jwkset.JWKOptions{Metadata: jwkset.JWKMetadataOptions{KID: "k", USE: jwkset.UseSig}})
	require.NoError(t, err)
	body, err := json.Marshal(jwkset.JWKSMarshal{Keys: []jwkset.JWKMarshal{key.Marshal()}})
	require.NoError(t, err)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) }))
	t.Cleanup(server.Close)
	signed := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.MapClaims{
		"iss": "https://idp.example", "aud": "taskmed", "sub": subject, "exp": time.Now().Add(time.Hour).Unix(),
	})
	signed.Header["kid"] = "k"
	token, err = signed.SignedString(private)
	require.NoError(t, err)
	return server.URL, token
}

// freeAddress is one of this machine's that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

func TestClinic_IsMadeListedAndJoined(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	status, id, complaint := s.run("clinic create --slug clinica-nova --time-zone America/Manaus --owner ana", "--name", "Clínica Nova")
	require.Equal(t, exitOK, status, complaint)
	require.True(t, strings.HasPrefix(id, "clinic_"))
	status, list, complaint := s.run("clinic list")
	require.Equal(t, exitOK, status, complaint)
	require.Contains(t, list, "clinica-nova  "+id+"  America/Manaus  Clínica Nova")

	status, rui, complaint := s.run("member add --clinic clinica-nova --subject rui --role RECEPTIONIST", "--name", "Rui")
	require.Equal(t, exitOK, status, complaint)
	status, _, complaint = s.run("member revoke --clinic clinica-nova", rui)
	require.Equal(t, exitOK, status, complaint)
	_, list, _ = s.run("member list --clinic clinica-nova")
	require.Regexp(t, `member_\w+ +OWNER +\S+ +ana`, list)
	require.Regexp(t, rui+` +RECEPTIONIST +\S+ +\d\S+ +rui +Rui`, list)

	status, key, complaint := s.run("key create --clinic clinica-nova", "--name", "Agenda")
	require.Equal(t, exitOK, status, complaint)
	_, list, _ = s.run("key list --clinic clinica-nova")
	require.Regexp(t, `api_key_\w+ +PARTNER +`+key[len(key)-4:]+` +good +never +Agenda`, list)

	for want, args := range map[string][]string{
		"another clinic has this slug": {"clinic create --slug clinica-nova --owner ana", "--name", "Nova"},
		"a slug is":                    {"clinic create --slug Nova! --owner ana", "--name", "Nova"},
		"IANA time zone":               {"clinic create --slug nova --time-zone Mars --owner ana", "--name", "Nova"},
		"last OWNER":                   {"member revoke --clinic clinica-nova ana"},
		"has no member":                {"member revoke --clinic clinica-nova nobody"},
		"a member already":             {"member add --clinic clinica-nova --subject ana --role ADMIN"},
		"no such clinic":               {"member list --clinic nowhere"},
	} {
		status, _, complaint := s.run(args[0], args[1:]...)
		require.Equal(t, exitFailure, status, want)
		require.Contains(t, complaint, want)
	}
	require.Equal(t, 1, s.d.Count(t, "SELECT count(*) FROM clinics"))
}
