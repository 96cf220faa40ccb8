package inspector

import (
	"cmp"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// tolerance is how far off a timestamp may be (Standard Webhooks, "Verifying webhook
// authenticity").
const tolerance = 5 * time.Minute

// Signature is what came of looking at one version's signatures.
type Signature struct {
	// Version is v1 or v1a.
	Version  string `json:"version"`
	Verified bool   `json:"verified"`
	// Problem says what is wrong, "" where nothing is.
	Problem string `json:"problem"`
}

func signature(version string, failure error) Signature {
	if failure != nil {
		return Signature{Version: version, Problem: failure.Error()}
	}
	return Signature{Version: version, Verified: true}
}

// keys are what a receiver was shown of an endpoint.
type keys struct {
	hook   *standardwebhooks.Webhook
	public ed25519.PublicKey
}

// keysOf reads the secret (whsec_ and base64) and the public key (whpk_ and base64).
func keysOf(secret, public string) (keys, error) {
	hook, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		return keys{}, err
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(public, "whpk_"))
	if err != nil {
		return keys{}, fmt.Errorf("the public key: %w", err)
	}
	if len(key) != ed25519.PublicKeySize {
		return keys{}, errors.New("the public key has another length")
	}
	return keys{hook, key}, nil
}

// verify looks at both versions: the library's for v1, ed25519 for v1a.
func (k keys) verify(body []byte, headers http.Header) []Signature {
	symmetric := k.hook.Verify(body, headers)
	if inner := errors.Unwrap(symmetric); inner != nil {
		symmetric = inner // without the library's "unable to verify payload, err:"
	}
	return []Signature{signature("v1", symmetric), signature("v1a", k.verifyPublic(body, headers))}
}

func (k keys) verifyPublic(body []byte, headers http.Header) error {
	id, stamp := headers.Get("webhook-id"), headers.Get("webhook-timestamp")
	if id == "" || stamp == "" {
		return errors.New("missing required headers")
	}
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return errors.New("the timestamp is no number of seconds")
	}
	if off := time.Since(time.Unix(seconds, 0)); off > tolerance || off < -tolerance {
		return errors.New("the timestamp is more than five minutes off")
	}
	signed := fmt.Appendf(nil, "%s.%d.%s", id, seconds, body)
	for text := range strings.SplitSeq(headers.Get("webhook-signature"), " ") {
		encoded, found := strings.CutPrefix(text, "v1a,")
		if !found {
			continue
		}
		if made, err := base64.StdEncoding.DecodeString(encoded); err == nil && ed25519.Verify(k.public, signed, made) {
			return nil
		}
	}
	return errors.New("no matching signature found")
}

// said is what the page lists of a body.
type said struct {
	Type     string `json:"type"`
	Event    string `json:"event"`
	Position int64  `json:"position"`
	EntityID string `json:"entityId"`
}

func sayingOf(body []byte) said {
	var read struct {
		Type string
		Data struct {
			Event    string
			Position int64
			EntityID string
		}
	}
	if json.Unmarshal(body, &read) != nil {
		return said{}
	}
	return said{read.Type, read.Data.Event, read.Data.Position, read.Data.EntityID}
}

// headersOf are a request's headers by name, as the page shows them.
func headersOf(r *http.Request) []header {
	all := []header{}
	for name, values := range r.Header {
		for _, value := range values {
			all = append(all, header{strings.ToLower(name), value})
		}
	}
	slices.SortFunc(all, func(a, b header) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Value, b.Value))
	})
	return all
}
