package gqlserver

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"net/http"
	"strings"

	"github.com/taskmed/taskmed/internal/tenant"
)

// etags makes the names of answers (RFC 9110, section 8.8.3). They are keyed,
// so that nobody can tell from one what an answer holds by trying, and differ
// between scopes, so that they do not tell whether two have the same.
type etags struct{ key []byte }

func newETags(secret []byte) *etags {
	if len(secret) == 0 {
		secret = make([]byte, sha256.Size)
		_, _ = rand.Read(secret) // never fails
	}
	// A key of its own, whatever else the secret is for.
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("taskmed etag 1"))
	return &etags{key: mac.Sum(nil)}
}

const etagBytes = 16

func encodeMAC(mac hash.Hash) string {
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:etagBytes])
}

// digest names an answer's data.
func (e *etags) digest(data []byte) string {
	mac := hmac.New(sha256.New, e.key)
	mac.Write(data)
	return encodeMAC(mac)
}

// of is the ETag of the answer with this digest for a scope, in a media type.
// Where the answer carries diagnostics beside its data it is a weak one.
func (e *etags) of(digest string, scope *tenant.Scope, media mediaType, weak bool) string {
	mac := hmac.New(sha256.New, e.key)
	for _, part := range []string{digest, scope.ClinicID.String(), string(scope.Role), scope.Subject, string(media)} {
		mac.Write([]byte(part))
		mac.Write([]byte{0})
	}
	for _, permission := range scope.Permissions {
		mac.Write([]byte(permission))
		mac.Write([]byte{0})
	}
	tag := `"` + encodeMAC(mac) + `"`
	if weak {
		return "W/" + tag
	}
	return tag
}

// noneMatch tells whether If-None-Match names the ETag, by weak comparison
// (RFC 9110, section 13.1.2).
func noneMatch(header http.Header, etag string) bool {
	wanted := strings.TrimPrefix(etag, "W/")
	for _, value := range header.Values("If-None-Match") {
		for part := range strings.SplitSeq(value, ",") {
			part = strings.TrimSpace(part)
			if part == "*" || strings.TrimPrefix(part, "W/") == wanted {
				return true
			}
		}
	}
	return false
}

// cacheDirectives are what a request asks of caches (RFC 9111, section 5.2.1).
type cacheDirectives struct{ noCache, noStore bool }

func requested(header http.Header) cacheDirectives {
	var d cacheDirectives
	values := header.Values("Cache-Control")
	if len(values) == 0 {
		d.noCache = strings.EqualFold(strings.TrimSpace(header.Get("Pragma")), "no-cache")
		return d
	}
	for _, value := range values {
		for part := range strings.SplitSeq(value, ",") {
			switch strings.ToLower(strings.TrimSpace(part)) {
			case "no-cache":
				d.noCache = true
			case "no-store":
				d.noStore = true
			}
		}
	}
	return d
}
