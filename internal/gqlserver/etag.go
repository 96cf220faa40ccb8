package gqlserver

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/taskmed/taskmed/internal/keyed"
	"github.com/taskmed/taskmed/internal/tenant"
)

// etags makes the names of answers (RFC 9110, section 8.8.3). They are keyed,
// so that nobody can tell from one what an answer holds by trying, and differ
// between scopes, so that they do not tell whether two have the same.
type etags struct{ *keyed.Hash }

func newETags(secret []byte) etags {
	if len(secret) == 0 {
		secret = make([]byte, sha256.Size)
		_, _ = rand.Read(secret) // never fails
	}
	return etags{keyed.New(secret, "taskmed etag 1")}
}

const etagBytes = 16

// digest names an answer's data.
func (e etags) digest(data []byte) string {
	sum := e.Sum(data)
	return base64.RawURLEncoding.EncodeToString(sum[:etagBytes])
}

// of is the ETag of the answer with this digest for a scope, in a media type.
// Where the answer carries diagnostics beside its data it is a weak one.
func (e etags) of(digest string, scope *tenant.Scope, media mediaType, weak bool) string {
	sum := e.SumOf(func(said []byte) []byte {
		for _, part := range [...]string{digest, scope.ClinicID.String(), string(scope.Role), scope.Subject, string(media)} {
			said = append(append(said, part...), 0)
		}
		for _, permission := range scope.Permissions {
			said = append(append(said, permission...), 0)
		}
		return said
	})
	tag := make([]byte, 0, 64)
	if weak {
		tag = append(tag, "W/"...)
	}
	return string(append(base64.RawURLEncoding.AppendEncode(append(tag, '"'), sum[:etagBytes]), '"'))
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
