package coherence

import (
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// Database names the one whose values are kept.
func (l *Shared) Database() string { return l.database }

// Named is a key together with the database, so that a value that is found at
// another database's place is known for what it is. Named again it is the key.
func (l *Shared) Named(key Key) Key {
	for i, b := range l.mask {
		key[i] ^= b
	}
	return key
}

func (l *Shared) key(clinic uuid.UUID, name string) string {
	return l.prefix + "{" + clinic.String() + "}:" + name
}

func (l *Shared) stateKey(clinic uuid.UUID) string { return l.key(clinic, "state") }

// ValueKey is where a value is kept in Redis.
func (l *Shared) ValueKey(clinic uuid.UUID, epoch uint64, key Key) string {
	return l.key(clinic, "value:"+strconv.FormatUint(epoch, 10)+":"+l.Named(key).String())
}

// ValueKeys is a pattern that matches where values of an epoch are kept: a clinic's,
// or everybody's if that is uuid.Nil.
func (l *Shared) ValueKeys(clinic uuid.UUID, epoch uint64) string {
	where := "{*}"
	if clinic != uuid.Nil {
		where = "{" + clinic.String() + "}"
	}
	return l.prefix + where + ":value:" + strconv.FormatUint(epoch, 10) + ":*"
}

// ParseValueKey takes apart what ValueKey made of a key, and gives the key as it
// is named there; false for any other text.
func (l *Shared) ParseValueKey(text string) (clinic uuid.UUID, named Key, ok bool) {
	rest, ours := strings.CutPrefix(text, l.prefix+"{")
	name, rest, closed := strings.Cut(rest, "}:value:")
	_, last, found := strings.Cut(rest, ":")
	clinic, err := uuid.Parse(name)
	key, fault := base64.RawURLEncoding.DecodeString(last)
	if !ours || !closed || !found || err != nil || fault != nil || len(key) != len(Key{}) {
		return uuid.Nil, Key{}, false
	}
	return clinic, Key(key), true
}

func (l *Shared) keys(clinic uuid.UUID) []string {
	return []string{l.stateKey(clinic), l.key(clinic, "steps"), l.key(clinic, "last"), l.key(clinic, "fences")}
}

// RunKey is a key for what is no clinic's, and goes with the server's run.
func (l *Shared) RunKey(name string) string { return l.prefix + name }
