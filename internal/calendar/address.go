package calendar

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"strings"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/entity"
	"github.com/taskmed/taskmed/internal/keyed"
	"github.com/taskmed/taskmed/models"
)

// Path is where feeds are served, and suffix what their addresses end in.
const (
	Path   = "/calendar/"
	suffix = ".ics"
)

// A feed's name in its address is the clinic's UUID (26 characters) and 160 bits (32)
// that only who has the server's secret can tell, each in Crockford's base32. The
// clinic is in it so that the feed can be looked up under that clinic's row-level
// security. Postgres keeps the SHA-256 of the name: who reads the table alone can
// read no feed.
const (
	clinicChars = 26
	secretBytes = 20
	nameChars   = clinicChars + 32
)

const crockford = "0123456789abcdefghjkmnpqrstvwxyz"

// nameOf is a feed's name. It follows from the server's secret, so that it can be
// shown again though nobody keeps it.
func nameOf(server entity.Server, clinic, feed uuid.UUID) string {
	sum := keyed.New(server.Secret, "taskmed calendar feed").Sum(append(clinic[:], feed[:]...))
	encoding := base32.NewEncoding(crockford).WithPadding(base32.NoPadding)
	return clinicText(clinic) + encoding.EncodeToString(sum[:secretBytes])
}

func hashOf(name string) []byte {
	sum := sha256.Sum256([]byte(name))
	return sum[:]
}

func clinicText(clinic uuid.UUID) string {
	return strings.TrimPrefix(models.KindClinic.Global(clinic), string(models.KindClinic)+"_")
}

// clinicOf is the clinic that a feed's name begins with; false for what cannot be one.
func clinicOf(name string) (uuid.UUID, bool) {
	if len(name) != nameChars {
		return uuid.Nil, false
	}
	clinic, err := models.KindClinic.Parse(string(models.KindClinic) + "_" + name[:clinicChars])
	return clinic, err == nil && clinic != uuid.Nil
}

// derive fills in a feed's address. One that was made under another secret of the
// server's still works, and what cannot be told of it is left out.
func derive(server entity.Server, _ entity.Reader, feed *models.CalendarFeed) {
	name := nameOf(server, feed.ClinicID, feed.ID)
	if subtle.ConstantTimeCompare(hashOf(name), feed.SecretHash) != 1 {
		name = ""
	}
	feed.URL = server.URL + Path + name + suffix
}
