// Package paging reads lists by keyset, forwards and backwards, as the Relay
// Cursor Connections specification has it.
package paging

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/sealing"
)

// ErrCursor is returned for a text that is no cursor of this list and clinic.
var ErrCursor = errors.New("paging: no cursor of this list")

// longestCursor bounds the text of a cursor: a name of 200 characters of up to
// four bytes each, an id and the seal fit well within.
const longestCursor = 2048

// Cursors seals the place of a row in its list. A cursor holds the row's sort
// key, which may be a patient's name, so it is encrypted; it is bound to its
// clinic and list, so that no other cursor, forged or foreign, is accepted. The
// same place gives the same text, which keeps answers comparable.
type Cursors struct{ box *sealing.Box }

// NewCursors derives the keys from a secret that all instances share; it must
// be at least 32 bytes.
func NewCursors(secret []byte) (*Cursors, error) {
	if len(secret) < sha256.Size {
		return nil, fmt.Errorf("the cursors' secret has %d bytes and needs at least %d", len(secret), sha256.Size)
	}
	box, err := sealing.NewRepeatable(secret, "taskmed cursor")
	if err != nil {
		return nil, err
	}
	return &Cursors{box}, nil
}

// Encode seals a sort key. list names the list and its order.
func (c *Cursors) Encode(clinic uuid.UUID, list string, key []string) string {
	var plain []byte
	for _, part := range key {
		plain = binary.AppendUvarint(plain, uint64(len(part)))
		plain = append(plain, part...)
	}
	return base64.RawURLEncoding.EncodeToString(c.box.Seal(plain, binding(clinic, list)))
}

// Decode opens a cursor and gives its sort key of so many parts, or ErrCursor.
func (c *Cursors) Decode(clinic uuid.UUID, list, cursor string, parts int) ([]string, error) {
	// The base64 decoder passes over line breaks, and one place has one cursor.
	if len(cursor) > longestCursor || strings.ContainsAny(cursor, "\r\n") {
		return nil, ErrCursor
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil {
		return nil, ErrCursor
	}
	plain, err := c.box.Open(sealed, binding(clinic, list))
	if err != nil {
		return nil, ErrCursor
	}
	key := make([]string, 0, parts)
	for len(plain) > 0 {
		size, width := binary.Uvarint(plain)
		if width <= 0 || size > uint64(len(plain)-width) {
			return nil, ErrCursor
		}
		plain = plain[width:]
		key = append(key, string(plain[:size]))
		plain = plain[size:]
	}
	if len(key) != parts {
		return nil, ErrCursor
	}
	return key, nil
}

func binding(clinic uuid.UUID, list string) []byte {
	return append(clinic[:], list...)
}
