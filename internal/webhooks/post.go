package webhooks

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/taskmed/taskmed/internal/dialling"
	"github.com/taskmed/taskmed/models"
)

const (
	// longestDial bounds one connection, the look-up of its name included, and
	// longestCall a whole call.
	longestDial = 5 * time.Second
	longestCall = 15 * time.Second
	// longestAnswer is read of an answer's body, and thrown away, so that the connection
	// can be used again.
	longestAnswer = 16 << 10
	// longestRetryAfter bounds what an endpoint may ask for.
	longestRetryAfter = time.Hour
)

// newClient makes a client that posts to endpoints. It follows no redirect, knows no
// proxy, and speaks HTTP/1.1, where what one connection may cost is known.
func newClient(dialer *dialling.Dialer) *http.Client {
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: dialer.DialContext, TLSHandshakeTimeout: longestDial, ResponseHeaderTimeout: longestCall,
			MaxIdleConns: 512, MaxIdleConnsPerHost: mostAtOnce, MaxConnsPerHost: 128, IdleConnTimeout: 90 * time.Second,
			DisableCompression: true, MaxResponseHeaderBytes: 32 << 10,
		},
	}
}

// body is what is posted: ids and nothing else.
type body struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Data      data      `json:"data"`
}

type data struct {
	ClinicID string `json:"clinicId"`
	// ChangeID and Position are those of Query.changes, Event is a WebhookEvent's name.
	ChangeID string `json:"changeId,omitempty"`
	Position int64  `json:"position,omitempty"`
	Event    string `json:"event,omitempty"`
	EntityID string `json:"entityId,omitempty"`
}

// outcome is what came of a call.
type outcome struct {
	// status is 0 where there was no answer.
	status int
	// failure says in words what was wrong; "" where the endpoint took it.
	failure string
	// after is when the endpoint asked to be called again, or 0.
	after time.Duration
}

func (o outcome) taken() bool { return o.failure == "" }

// post calls an endpoint once.
func (w *Webhooks) post(ctx context.Context, endpoint *models.WebhookEndpoint, id string, of body) (outcome, error) {
	now := w.now()
	all, err := w.vault.signing(endpoint, now)
	if err != nil {
		return outcome{}, err
	}
	text, err := json.Marshal(of)
	if err != nil {
		return outcome{}, err
	}
	signed, err := signatures(all, id, now, text)
	if err != nil {
		return outcome{}, err
	}
	ctx, done := context.WithTimeout(ctx, longestCall)
	defer done()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint.URL, bytes.NewReader(text))
	if err != nil {
		return outcome{failure: "the URL cannot be called"}, nil
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "TaskMed-Webhooks/1 (+https://www.standardwebhooks.com)")
	request.Header["webhook-id"] = []string{id}
	request.Header["webhook-timestamp"] = []string{strconv.FormatInt(now.Unix(), 10)}
	request.Header["webhook-signature"] = []string{signed}
	// Not sent: it lets net/http try again where a kept connection had been closed.
	request.Header["Idempotency-Key"] = nil
	answer, err := w.client.Do(request)
	if err != nil {
		return outcome{failure: wordsFor(err)}, nil
	}
	_, _ = io.CopyN(io.Discard, answer.Body, longestAnswer)
	_ = answer.Body.Close()
	return judge(answer), nil
}

// judge is what an answer means.
func judge(answer *http.Response) outcome {
	o := outcome{status: answer.StatusCode}
	switch {
	case o.status >= 200 && o.status < 300:
	case o.status >= 300 && o.status < 400:
		o.failure = "it answered with a redirect, which is not followed"
	default:
		o.failure = "it answered with status " + strconv.Itoa(o.status)
	}
	if o.status == http.StatusTooManyRequests || o.status == http.StatusServiceUnavailable {
		if seconds, err := strconv.Atoi(strings.TrimSpace(answer.Header.Get("Retry-After"))); err == nil && seconds > 0 {
			o.after = min(time.Duration(min(seconds, 1<<20))*time.Second, longestRetryAfter)
		}
	}
	return o
}

// wordsFor says what was wrong without saying what the server knows of its network.
func wordsFor(err error) string {
	var refused *dialling.RefusedError
	var timeout net.Error
	var unknown *net.DNSError
	switch {
	case errors.As(err, &refused):
		return "its host is at an address that is not called"
	case errors.As(err, &unknown) && unknown.IsNotFound:
		return "its host is not found"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "it did not answer in time"
	case strings.Contains(err.Error(), "tls: ") || strings.Contains(err.Error(), "x509: "):
		return "its certificate or its TLS is not accepted"
	}
	return "it cannot be reached, or broke the connection off"
}
