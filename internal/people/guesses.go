package people

import (
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/models"
)

const (
	// mostGuesses is how many whole CPFs somebody who sees them masked may try in an
	// hour, on each instance: enough to find the patient who stands before him, and too
	// few to find out the five digits that a mask hides.
	mostGuesses = 20
	guessWindow = time.Hour
	// mostGuessers bounds what is remembered; the oldest is then forgotten first.
	mostGuessers = 10_000
)

// guesses counts whole CPFs that were tried by those who see them masked (promise I8).
type guesses struct {
	mu   sync.Mutex
	made map[guesser]*guessed
}

type guesser struct {
	clinic  uuid.UUID
	subject string
}

type guessed struct {
	since time.Time
	count int
}

// spend counts one try; over the limit it is RATE_LIMITED.
func (g *guesses) spend(scope *tenant.Scope, now time.Time) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	who := guesser{scope.ClinicID, scope.Subject}
	made := g.made[who]
	if made == nil || now.Sub(made.since) >= guessWindow || now.Before(made.since) {
		if g.made == nil {
			g.made = map[guesser]*guessed{}
		}
		if made == nil && len(g.made) >= mostGuessers {
			g.forgetOldest()
		}
		made = &guessed{since: now}
		g.made[who] = made
	}
	if made.count == mostGuesses {
		return &models.Error{
			Code:    models.RateLimited,
			Message: "too many CPFs were looked for: look for the name, or try again in an hour",
		}
	}
	made.count++
	return nil
}

func (g *guesses) forgetOldest() {
	var oldest guesser
	var since time.Time
	for who, made := range g.made {
		if since.IsZero() || made.since.Before(since) {
			oldest, since = who, made.since
		}
	}
	delete(g.made, oldest)
}

// wholeNumber tells whether a text holds as many digits as a CPF has, however they are
// parted.
func wholeNumber(text string) bool {
	const cpf = 11
	digits := 0
	for _, r := range text {
		switch {
		case r >= '0' && r <= '9':
			if digits++; digits >= cpf {
				return true
			}
		case !strings.ContainsRune(" .-/()+", r):
			digits = 0
		}
	}
	return false
}
