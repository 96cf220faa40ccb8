package calendar

import (
	"errors"
	"strconv"
	"strings"
)

// snapshot is which transactions a reader saw, as Postgres has it (pg_snapshot): all
// below xmin, none from xmax on, and those between that are not among running.
type snapshot struct {
	xmin, xmax uint64
	text       string
}

var errSnapshot = errors.New("calendar: no snapshot")

func parseSnapshot(text string) (snapshot, error) {
	parts := strings.Split(text, ":")
	if len(parts) != 3 {
		return snapshot{}, errSnapshot
	}
	xmin, errMin := strconv.ParseUint(parts[0], 10, 64)
	xmax, errMax := strconv.ParseUint(parts[1], 10, 64)
	return snapshot{xmin, xmax, text}, errors.Join(errMin, errMax)
}

// longestSnapshot bounds a snapshot in a token.
const longestSnapshot = 500

// short is a snapshot that sees no more than this one and can stand in a token. Where
// very many transactions are running it sees those before the oldest of them alone:
// what is read against it is read again, and nothing is missed.
func (s snapshot) short() snapshot {
	if len(s.text) <= longestSnapshot {
		return s
	}
	oldest := strconv.FormatUint(s.xmin, 10)
	return snapshot{s.xmin, s.xmax, oldest + ":" + oldest + ":"}
}
