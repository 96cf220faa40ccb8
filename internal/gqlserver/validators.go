package gqlserver

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"net/http"
	"strings"
	"sync"

	"github.com/taskmed/taskmed/internal/tenant"
)

// etags makes the names of answers (RFC 9110, section 8.8.3). They are keyed,
// so that nobody can tell from one what an answer holds by trying, and differ
// between scopes, so that they do not tell whether two have the same.
type etags struct {
	key []byte
	// macs are *keyed: the key is dear to put in place.
	macs sync.Pool
}

// keyed is a hash with the key, and room for what it takes and gives.
type keyed struct {
	mac       hash.Hash
	said, sum []byte
}

func (e *etags) keyed() *keyed {
	k, ok := e.macs.Get().(*keyed)
	if !ok {
		return &keyed{mac: hmac.New(sha256.New, e.key)}
	}
	k.mac.Reset()
	k.said, k.sum = k.said[:0], k.sum[:0]
	return k
}

// text appends the hash of data as text.
func (k *keyed) text(out, data []byte) []byte {
	k.mac.Write(data)
	k.sum = k.mac.Sum(k.sum)
	return base64.RawURLEncoding.AppendEncode(out, k.sum[:etagBytes])
}

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

// digest names an answer's data.
func (e *etags) digest(data []byte) string {
	k := e.keyed()
	defer e.macs.Put(k)
	return string(k.text(nil, data))
}

// of is the ETag of the answer with this digest for a scope, in a media type.
// Where the answer carries diagnostics beside its data it is a weak one.
func (e *etags) of(digest string, scope *tenant.Scope, media mediaType, weak bool) string {
	k := e.keyed()
	defer e.macs.Put(k)
	for _, part := range [...]string{digest, scope.ClinicID.String(), string(scope.Role), scope.Subject, string(media)} {
		k.said = append(append(k.said, part...), 0)
	}
	for _, permission := range scope.Permissions {
		k.said = append(append(k.said, permission...), 0)
	}
	tag := make([]byte, 0, 64)
	if weak {
		tag = append(tag, "W/"...)
	}
	return string(append(k.text(append(tag, '"'), k.said), '"'))
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
