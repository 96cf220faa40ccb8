package gqlserver

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// hitStatus is what Cache-Status says of a hit.
const hitStatus = "taskmed; hit"

// status is what Cache-Status says (RFC 9211).
func (n *note) status() string {
	switch {
	case n.Hit:
		return hitStatus
	case n.bypass:
		return "taskmed; fwd=bypass" + detail(n.Reason)
	case n.request:
		return "taskmed; fwd=request" + detail("no-cache asked for")
	case n.Data != nil:
		return "taskmed; fwd=miss; collapsed" + detail(n.why())
	default:
		return "taskmed; fwd=miss" + detail(n.why())
	}
}

// why is the reason of a miss. That the answer cannot be kept matters more than
// that it was not.
func (n *note) why() string {
	if n.unfit != "" {
		return n.unfit
	}
	return n.Reason
}

// detail is a parameter whose value is a string of RFC 8941: ASCII, with
// quotes and backslashes escaped.
func detail(words string) string {
	if words == "" {
		return ""
	}
	var text strings.Builder
	text.WriteString(`; detail="`)
	for _, r := range words {
		switch {
		case r == '"' || r == '\\':
			text.WriteByte('\\')
			text.WriteRune(r)
		case r < ' ' || r > '~':
			text.WriteByte('?')
		default:
			text.WriteRune(r)
		}
	}
	text.WriteByte('"')
	return text.String()
}

// describe puts what the cache did into the answer's headers and gives its
// ETag, "" where it has none. A client may keep an answer but must ask every
// time whether it still holds: a time during which it need not ask would make
// it miss writes, its own included.
func (q *request) describe(header http.Header, weak bool) (etag string) {
	n := q.told
	if n.Hit {
		header["Cache-Status"] = q.fixed.hit
	} else {
		header.Set("Cache-Status", n.status())
	}
	if n.unfit != "" || n.Digest == "" {
		return ""
	}
	if n.Hit {
		header.Set("Age", strconv.FormatInt(int64(n.Age/time.Second), 10))
	}
	etag = q.runner.tags.of(n.Digest, q.scope, q.media, weak)
	header["Cache-Control"] = q.fixed.revalidate
	header.Set("ETag", etag)
	return etag
}

// forDevelopers is the note as extensions.taskmed.cache has it.
func (n *note) forDevelopers() map[string]any {
	shown := map[string]any{"hit": n.Hit, "status": n.status()}
	if n.Tier != "" {
		shown["tier"] = n.Tier
	}
	if !n.Hit {
		shown["reason"] = n.why()
		shown["stored"] = n.Stored
	} else {
		shown["ageMs"] = n.Age.Milliseconds()
	}
	if n.caching.Why == "" {
		shown["maxAge"] = int64(n.caching.MaxAge / time.Second)
		shown["scope"] = n.caching.Scope.String()
	}
	return shown
}
