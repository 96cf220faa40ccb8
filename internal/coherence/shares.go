package coherence

import (
	"strings"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/touched"
)

// What is known of who asks, memberships and keys, is kept like answers are. A
// subject's memberships are of many clinics, so what changes them stands in the
// journal under a clinic that there is not, uuid.Nil: of every write those tags that
// matter to a session are raised there, too.

// Share is what a write changes in one of the journal's clinics.
type Share struct {
	Clinic uuid.UUID
	Tags   []touched.Tag
}

// Shares are what a write to a clinic changes: the clinic's answers, and the
// sessions if it may have changed one.
func Shares(clinic uuid.UUID, tags []touched.Tag, seams Seams) []Share {
	both := []Share{{clinic, tags}}
	if seams.WithoutMirror {
		return both
	}
	if mattering := sessionTags(tags); len(mattering) > 0 {
		both = append(both, Share{uuid.Nil, mattering})
	}
	return both
}

// sessionTags are those of a write's tags that a session may have. A write that
// does not say what it changed in a clinic may have changed anybody's session.
func sessionTags(tags []touched.Tag) []touched.Tag {
	var mattering []touched.Tag
	for _, tag := range tags {
		switch {
		case tag == touched.Everything:
			return []touched.Tag{touched.Everything}
		case strings.HasPrefix(string(tag), "membership/subject="), strings.HasPrefix(string(tag), "api_key:"),
			strings.HasPrefix(string(tag), "clinic:"):
			mattering = append(mattering, tag)
		}
	}
	return mattering
}
