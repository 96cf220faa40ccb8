package attachmentserver

import (
	"fmt"
	"io"
	"os"
	"time"
)

// pace is how slow a client may be: so many bytes in each window of the time that it is
// waited for. A total would have to be as long as the largest file takes on the slowest
// line, and whoever trickles could take all of it.
type pace struct {
	window time.Duration
	least  int
}

// slowest is 16 KB a second: a line of 128 kbit/s.
func slowest() pace { return pace{window: spare, least: int(spare/time.Second) * (16 << 10)} }

// paced reads a body whose client keeps pace, and ends with os.ErrDeadlineExceeded once it
// does not. What the store takes its time for is not the client's.
type paced struct {
	pace

	body io.Reader
	// deadline sets until when a read may wait.
	deadline func(time.Time) error
	now      func() time.Time

	// waited for so long, and came meanwhile, in this window.
	waited time.Duration
	came   int
}

// Read implements io.Reader.
func (p *paced) Read(into []byte) (int, error) {
	if p.waited >= p.window {
		if p.came < p.least {
			return 0, fmt.Errorf("%d bytes came in %s: %w", p.came, p.waited, os.ErrDeadlineExceeded)
		}
		p.waited, p.came = 0, 0
	}
	began := p.now()
	// Another window long: what came before a pause counts when the next byte does. What is
	// no connection of net/http's has no deadlines: tests.
	_ = p.deadline(began.Add(2*p.window - p.waited))
	n, err := p.body.Read(into)
	// Not while the store takes its time: net/http would take a silent connection's end for
	// the client's leaving.
	_ = p.deadline(time.Time{})
	p.waited += p.now().Sub(began)
	p.came += n
	return n, err
}
