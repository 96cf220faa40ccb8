// Package guesses bounds how many whole CPFs somebody who sees them masked may try
// (promise I8), over all instances where they share a Redis.
package guesses

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/models"
)

const (
	// Most is how many whole CPFs one subject may try in a clinic in a Window: enough to
	// find the patient who stands before them, and too few to find out the five digits
	// that a mask hides.
	Most = 20
	// Window begins with the first try.
	Window = time.Hour
	// mostGuessers bounds what is remembered; the oldest is then forgotten first.
	mostGuessers = 10_000
)

// Guesser is who tries CPFs.
type Guesser struct {
	Clinic  uuid.UUID
	Subject string
}

// Shared counts what all instances let a guesser try.
type Shared interface {
	// Spend counts one try more, unless all are spent. An error says that nobody knows
	// what was counted.
	Spend(ctx context.Context, who Guesser, try Try) (Spent, error)
}

// Try is one try, as the instance at which it is made knows of the others.
type Try struct {
	At time.Time
	// Since is when the instance's own window began, and Owed how many tries of it
	// nobody else was told of.
	Since time.Time
	Owed  int
}

// Spent is what a guesser has tried at all instances.
type Spent struct {
	// May tells whether this try may be made; Made counts it if so.
	May   bool
	Made  int
	Since time.Time
}

// Alone is where no other instance counts.
type Alone struct{}

// Spend implements Shared.
func (Alone) Spend(_ context.Context, _ Guesser, try Try) (Spent, error) {
	return Spent{May: true, Since: try.Since}, nil
}

// Limit counts each try in this process, whatever else, and where others are there with
// them: so a Redis that is away, hangs or was emptied gives nobody back what they have
// spent here.
type Limit struct {
	shared Shared

	mu   sync.Mutex
	made map[Guesser]*guessed
}

// guessed is what somebody has tried, as far as this instance knows.
type guessed struct {
	since       time.Time
	count, owed int
}

// New makes a Limit.
func New(shared Shared) *Limit { return &Limit{shared: shared, made: map[Guesser]*guessed{}} }

// Spend counts one try; over the limit it is RATE_LIMITED.
func (l *Limit) Spend(ctx context.Context, who Guesser, now time.Time) error {
	made, try, may := l.here(who, now)
	if !may {
		return errTooMany()
	}
	spent, err := l.shared.Spend(ctx, who, try)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		// What is counted here decides, and is told later.
		made.owed += try.Owed + 1
		return nil
	}
	made.since, made.count = spent.Since, max(made.count, spent.Made)
	if !spent.May {
		return errTooMany()
	}
	return nil
}

// here counts a try in this process; false if all are spent.
func (l *Limit) here(who Guesser, now time.Time) (*guessed, Try, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	made := l.made[who]
	// The beginning may be by another instance's clock, and a little ahead.
	if made == nil || now.Sub(made.since).Abs() >= Window {
		if made == nil && len(l.made) >= mostGuessers {
			l.forgetOldest()
		}
		made = &guessed{since: now}
		l.made[who] = made
	}
	if made.count >= Most {
		return made, Try{}, false
	}
	try := Try{At: now, Since: made.since, Owed: made.owed}
	made.count++
	made.owed = 0
	return made, try, true
}

func (l *Limit) forgetOldest() {
	var oldest Guesser
	var since time.Time
	for who, made := range l.made {
		if since.IsZero() || made.since.Before(since) {
			oldest, since = who, made.since
		}
	}
	delete(l.made, oldest)
}

func errTooMany() error {
	return &models.Error{
		Code:    models.RateLimited,
		Message: "too many CPFs were looked for: look for the name, or try again in an hour",
	}
}
