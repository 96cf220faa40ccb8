package webhooks

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/dialling"
	"github.com/taskmed/taskmed/internal/sealing"
	"github.com/taskmed/taskmed/internal/validate"
	"github.com/taskmed/taskmed/models"
)

// Config is what Webhooks are made of.
type Config struct {
	DB *database.DB
	// Secret is the one that all instances share; it seals what signs.
	Secret []byte
	// Loopback lets endpoints be at this machine, and without TLS. For development alone.
	Loopback bool
	// Offline has no name looked up when an endpoint is made: for rehearsals, which call
	// nobody.
	Offline bool
	// Now is the clock of signatures.
	Now func() time.Time

	Seams
}

// Webhooks are the endpoints of the context's clinic.
type Webhooks struct {
	db       *database.DB
	vault    vault
	dialer   *dialling.Dialer
	client   *http.Client
	loopback bool
	offline  bool
	now      func() time.Time
	// testing are the test calls under way.
	testing chan struct{}
}

// New makes Webhooks.
func New(config Config) (*Webhooks, error) {
	box, err := sealing.New(config.Secret, "taskmed webhook keys")
	if err != nil {
		return nil, err
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	dialer := dialling.New(dialling.Config{Loopback: config.Loopback, Timeout: longestDial, Seams: config.Dialling})
	return &Webhooks{
		db: config.DB, vault: vault{box}, dialer: dialer, client: newClient(dialer), loopback: config.Loopback, offline: config.Offline, now: config.Now,
		testing: make(chan struct{}, mostTests),
	}, nil
}

const (
	longestURL = 2000
	// longestLookup bounds the look-up of a name while somebody waits for it.
	longestLookup = 2 * time.Second
)

// address reads where an endpoint is. What is wrong with it is added to the input's
// mistakes.
func (w *Webhooks) address(ctx context.Context, in *validate.Input, text string) string {
	refuse := func(message string) string {
		in.Add(models.UserErrorCodeInvalid, "url", message)
		return ""
	}
	if len(text) > longestURL {
		in.Add(models.UserErrorCodeTooLong, "url", "an endpoint's URL has up to 2,000 bytes")
		return ""
	}
	parsed, err := url.Parse(text)
	if err != nil || parsed.Opaque != "" || parsed.Hostname() == "" || strings.ContainsFunc(text, func(r rune) bool { return r > unicode.MaxASCII || r <= ' ' }) {
		return refuse("an endpoint is a URL such as https://example.com/taskmed")
	}
	switch {
	case parsed.Scheme != "https" && (parsed.Scheme != "http" || !w.loopback):
		return refuse("an endpoint's URL begins with https://")
	case parsed.User != nil:
		return refuse("an endpoint's URL has no user's name: deliveries are known by their signatures")
	case parsed.Fragment != "" || strings.Contains(text, "#"):
		return refuse("an endpoint's URL has no fragment")
	case !fitPort(parsed.Port()):
		return refuse("an endpoint's port is 443 or from 1024 to 65535")
	}
	if w.offline {
		return parsed.String()
	}
	looking, done := context.WithTimeout(ctx, longestLookup)
	defer done()
	var refused *dialling.RefusedError
	if _, err := w.dialer.Addresses(looking, parsed.Hostname()); errors.As(err, &refused) {
		return refuse("an endpoint is at a host that is reached over the Internet")
	} else if err != nil {
		return refuse("the endpoint's host is not found: look at its spelling, or try again")
	}
	return parsed.String()
}

// fitPort is whether a port may be an endpoint's: that of https, or one that no service
// of the machine's own is at.
func fitPort(port string) bool {
	if port == "" || port == "443" {
		return true
	}
	n := 0
	for _, digit := range port {
		if digit < '0' || digit > '9' {
			return false
		}
		n = min(n*10+int(digit-'0'), 1<<20)
	}
	return n >= 1024 && n <= 65535
}
