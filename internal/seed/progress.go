package seed

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
)

// Progress hears how far a run is. It is called from one goroutine at a time.
type Progress interface {
	// Total is how many rows there will be; it may be said again when known better.
	Total(rows int)
	// Done is how many rows were sent since it was last called.
	Done(rows int)
	// Stage names what is worked at: a table, "indexes", "analyze". "" is the end.
	Stage(name string)
}

type silent struct{}

func (silent) Total(int)    {}
func (silent) Done(int)     {}
func (silent) Stage(string) {}

// NewProgress is a bar with rate and time left where out is a terminal, and a
// plain line every other second where it is not.
func NewProgress(out io.Writer, terminal bool) Progress {
	if terminal {
		return &bar{bar: progressbar.NewOptions(-1,
			progressbar.OptionSetWriter(out),
			progressbar.OptionSetWidth(24),
			progressbar.OptionShowCount(),
			progressbar.OptionShowIts(),
			progressbar.OptionSetItsString("rows"),
			progressbar.OptionSetPredictTime(true),
			progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionSetDescription(fmt.Sprintf("%-22s", "seed")),
		), out: out}
	}
	return &lines{out: out, now: time.Now, every: 2 * time.Second}
}

type bar struct {
	bar *progressbar.ProgressBar
	out io.Writer
}

func (b *bar) Total(rows int) { b.bar.ChangeMax(rows) }
func (b *bar) Done(rows int)  { _ = b.bar.Add(rows) }
func (b *bar) Stage(name string) {
	if name == "" {
		_, _ = fmt.Fprintln(b.out)
		return
	}
	b.bar.Describe(fmt.Sprintf("%-22s", name))
}

// lines is progress for a file or a pipe.
type lines struct {
	out         io.Writer
	now         func() time.Time
	every       time.Duration
	mu          sync.Mutex
	begun, last time.Time
	total, done int
	stage       string
}

func (l *lines) Total(rows int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total = rows
	if l.begun.IsZero() {
		l.begun = l.now()
		l.last = l.begun
	}
}

func (l *lines) Done(rows int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done += rows
	l.say(false)
}

func (l *lines) Stage(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stage = name
	l.say(name == "")
}

// say writes a line if it is time for one.
func (l *lines) say(always bool) {
	now := l.now()
	if l.begun.IsZero() || !always && now.Sub(l.last) < l.every {
		return
	}
	l.last = now
	rate := float64(l.done) / max(now.Sub(l.begun).Seconds(), 0.001)
	line := fmt.Sprintf("seed: %d of %d rows, %.0f rows/s", l.done, l.total, rate)
	if l.stage != "" {
		if left := float64(l.total-l.done) / max(rate, 1); l.done < l.total {
			line += fmt.Sprintf(", %.0f s left", left)
		}
		line += ", " + l.stage
	}
	_, _ = fmt.Fprintln(l.out, line)
}
