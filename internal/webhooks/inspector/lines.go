package inspector

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// mostLines are printed of a second: a load that runs leaves the terminal readable.
const mostLines = 20

// lines are what is printed.
type lines struct {
	out io.Writer

	mu      sync.Mutex
	second  int64
	printed int
}

// tell prints a webhook that came.
func (l *lines) tell(slug string, got Received) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if second := got.At.Unix(); second != l.second {
		l.second, l.printed = second, 0
	}
	l.printed++
	switch {
	case l.printed <= mostLines:
		_, _ = fmt.Fprintf(l.out, "%s  webhook  %s\n", got.At.Local().Format(time.TimeOnly), line(slug, got))
	case l.printed == mostLines+1:
		_, _ = fmt.Fprintln(l.out, "          webhook  more come in this second than are printed; the page has them")
	}
}

// line tells of what anybody may have sent no more than why it is not believed: it could
// hold what a terminal obeys.
func line(slug string, got Received) string {
	var wrong []string
	for _, s := range got.Signatures {
		if !s.Verified {
			wrong = append(wrong, s.Version+": "+s.Problem)
		}
	}
	if len(wrong) > 0 {
		return fmt.Sprintf("%s  NOT VERIFIED (%s)", slug, strings.Join(wrong, "; "))
	}
	what := got.Said.Event
	if what == "" {
		what = got.Said.Type
	}
	parts := []string{slug, what}
	if got.Said.Position > 0 {
		parts = append(parts, fmt.Sprint("position ", got.Said.Position), got.Said.EntityID)
	}
	parts = append(parts, "verified")
	if got.Time > 1 {
		parts = append(parts, fmt.Sprintf("came %d times", got.Time))
	}
	return strings.Join(parts, "  ")
}
