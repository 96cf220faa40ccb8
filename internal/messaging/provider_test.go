package messaging_test

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/messaging"
	"github.com/taskmed/taskmed/models"
)

// graphAPI stands in for WhatsApp's Cloud API: it takes every message, calls it after
// what it says, and answers as told.
type graphAPI struct {
	*httptest.Server

	mu       sync.Mutex
	asked    []map[string]any
	headers  []http.Header
	refusals []string // answers that come first: a status, a blank and a body
	// taken is told of each message once it is taken and nothing is answered yet.
	taken func(r *http.Request, body string)
}

func newGraphAPI(t testing.TB) *graphAPI {
	t.Helper()
	g := &graphAPI{taken: func(*http.Request, string) {}}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var message map[string]any
		if err := json.NewDecoder(r.Body).Decode(&message); err != nil || r.URL.Path != "/777/messages" || r.Method != http.MethodPost {
			t.Errorf("%s %s: %v", r.Method, r.URL.Path, err)
		}
		text, _ := message["text"].(map[string]any)
		g.mu.Lock()
		g.asked, g.headers = append(g.asked, message), append(g.headers, r.Header)
		taken := g.taken
		g.mu.Unlock()
		taken(r, fmt.Sprint(text["body"]))
		g.mu.Lock()
		defer g.mu.Unlock()
		if len(g.refusals) > 0 {
			var status int
			body := g.refusals[0]
			_, err := fmt.Sscanf(body, "%d", &status)
			if err != nil {
				t.Error(err)
			}
			g.refusals = g.refusals[1:]
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body[4:])
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"messages": []any{map[string]any{"id": fmt.Sprint("wamid.", text["body"])}}})
	}))
	t.Cleanup(g.Close)
	return g
}

func (g *graphAPI) bodies() (all []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, message := range g.asked {
		text, _ := message["text"].(map[string]any)
		all = append(all, fmt.Sprint(text["body"]))
	}
	return all
}

func (g *graphAPI) refuse(answers ...string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.refusals = answers
}

const appSecret = "the app's secret"

// connect makes a channel account by the API, and gives its id and the path of its address.
func (d *desk) connect(t testing.TB, channel, address string, settings map[string]string) (id, path string) {
	t.Helper()
	var got struct {
		CreateChannelAccount struct {
			ChannelAccount *struct{ ID, InboundURL string }
			UserErrors     []mistake
		}
	}
	d.server.As(t, d.clinic, models.RoleOwner).Must(t, `mutation ($input: CreateChannelAccountInput!) { createChannelAccount(input: $input) { channelAccount { id inboundUrl } userErrors { code field entityIds } } }`,
		map[string]any{"input": map[string]any{"channel": channel, "name": "Recepção", "address": address, "settings": settings}}, &got)
	require.Empty(t, got.CreateChannelAccount.UserErrors)
	made := got.CreateChannelAccount.ChannelAccount
	return made.ID, made.InboundURL[strings.Index(made.InboundURL, messaging.InboundPath):]
}

func (d *desk) whatsapp(t testing.TB) (id, path string) {
	t.Helper()
	return d.connect(t, "WHATSAPP", "+551140000000", map[string]string{"phoneNumberId": "777", "accessToken": "the token", "appSecret": appSecret, "verifyToken": "the verify token"})
}

// post posts a body as Meta does, and gives the answer's status.
func (d *desk) post(t *testing.T, path, body string, headers ...string) int {
	t.Helper()
	sum := hmac.New(sha256.New, []byte(appSecret))
	sum.Write([]byte(body))
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.server.URL+path, strings.NewReader(body))
	require.NoError(t, err)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(sum.Sum(nil)))
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	answer, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	return answer.StatusCode
}

func value(of string) string {
	return `{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":{"messaging_product":"whatsapp","metadata":{"phone_number_id":"777"},` + of + `}}]}]}`
}

func wrote(id, from, user, text string, at int64) string {
	contact := `"user_id":"` + user + `"`
	sender := `"from_user_id":"` + user + `"`
	if from != "" {
		contact += `,"wa_id":"` + from + `"`
		sender += `,"from":"` + from + `"`
	}
	return value(fmt.Sprintf(`"contacts":[{"profile":{"name":"Rita"},%s}],"messages":[{%s,"id":%q,"timestamp":"%d","type":"text","text":{"body":%q}}]`, contact, sender, id, at, text))
}

func status(id, what string, at int64) string {
	faults := ""
	if what == "failed" {
		faults = `,"errors":[{"code":131026,"title":"Message undeliverable","error_data":{"details":"no WhatsApp there"}}]`
	}
	return value(fmt.Sprintf(`"statuses":[{"id":%q,"status":%q,"timestamp":"%d","recipient_id":"5511987654321"%s}]`, id, what, at, faults))
}

func (d *desk) worker(seams ...func(string)) *messaging.Worker {
	config := messaging.WorkerConfig{Backoff: func(int) time.Duration { return time.Millisecond }}
	if len(seams) > 0 {
		config.At = seams[0]
	}
	return messaging.NewWorker(d.talk, config)
}

// waiting counts what is yet to be understood or sent.
const waiting = "SELECT (SELECT count(*) FROM channel_events WHERE due_at IS NOT NULL) + (SELECT count(*) FROM outgoing_messages)"

// settle works until nothing is left to do.
func (d *desk) settle(t *testing.T, w *messaging.Worker) {
	t.Helper()
	require.Eventually(t, func() bool {
		_, err := w.Round(context.WithoutCancel(t.Context()))
		if err != nil {
			t.Error(err)
		}
		return d.Count(t, waiting) == 0
	}, time.Minute, 5*time.Millisecond)
}

// mailServer takes mail on loopback, as plainly as it can be done.
func mailServer(t *testing.T) (url string, got func() []string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	var mu sync.Mutex
	var all []string
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			text := takeMail(conn)
			mu.Lock()
			all = append(all, text)
			mu.Unlock()
		}
	}()
	return "smtp://" + listener.Addr().String(), func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string{}, all...)
	}
}

func takeMail(conn net.Conn) string {
	defer func() { _ = conn.Close() }()
	lines := bufio.NewReader(conn)
	say := func(text string) { _, _ = io.WriteString(conn, text+"\r\n") }
	say("220 here")
	var text strings.Builder
	inside := false
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return text.String()
		}
		text.WriteString(line)
		switch word := strings.ToUpper(strings.TrimSpace(line)); {
		case inside && word == ".":
			inside = false
			say("250 taken")
		case inside:
		case strings.HasPrefix(word, "RCPT TO:<NOBODY"):
			say("550 nobody of this name")
		case word == "DATA":
			inside = true
			say("354 go on")
		case word == "QUIT":
			say("221 bye")
			return text.String()
		default:
			say("250 ok")
		}
	}
}
