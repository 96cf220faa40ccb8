package auth

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/models"
)

// useEvery is how exact a key's last use is known.
const useEvery = time.Minute

// Keys are the partners' keys.
type Keys interface {
	// Find gives the key of a clinic that has a hash, one that expired or was
	// revoked included, or models.ErrNotFound.
	Find(ctx context.Context, clinic uuid.UUID, hash [32]byte) (*models.APIKey, error)
	// Used notes that a key was used now.
	Used(ctx context.Context, key *models.APIKey) error
}

// checkKey has one answer for every key that is worth nothing, and one
// statement to find it, whichever clinic it names.
func (a *Authenticator) checkKey(ctx context.Context, text, wantedClinic string) (*Grant, error) {
	clinic, hash, err := parseKeyText(text)
	if err != nil {
		return nil, unauthenticated(sayInvalidKey, err)
	}
	key, err := a.keys.Find(ctx, clinic, hash)
	switch {
	case errors.Is(err, models.ErrNotFound):
		return nil, unauthenticated(sayInvalidKey, err)
	case err != nil:
		return nil, unavailable(err)
	}
	grant := &Grant{Scope: &tenant.Scope{Subject: key.Actor(), Name: key.Name, ClinicID: clinic, Role: key.Role}}
	now := a.now()
	if key.RevokedAt != nil {
		return nil, unauthenticated(sayInvalidKey, errKeyRevoked)
	}
	if key.ExpiresAt != nil {
		if grant.ExpiresAt = *key.ExpiresAt; !now.Before(grant.ExpiresAt) {
			return nil, unauthenticated(sayInvalidKey, errKeyExpired)
		}
	}
	if wantedClinic != "" {
		wanted, err := parseClinic(wantedClinic)
		if err != nil {
			return nil, err
		}
		if wanted != clinic {
			return nil, forbidden(sayNotThisClinic, errForeignClinic)
		}
	}
	if key.LastUsedAt == nil || now.Sub(*key.LastUsedAt) >= useEvery {
		a.used.note(key, now)
	}
	return grant, nil
}

// usage writes down that keys were used, behind the requests' backs: a request
// neither waits for it nor fails with it.
type usage struct {
	keys    Keys
	log     *slog.Logger
	queue   chan use
	waiting sync.Map // ids in the queue

	// noted is when keys were last noted: a key that is kept by a cache does not
	// know of its last use.
	mu    sync.Mutex
	noted map[uuid.UUID]time.Time
}

type use struct {
	key *models.APIKey
	at  time.Time
}

const (
	// usageQueue bounds what waits to be written; beyond it, uses go unnoted.
	usageQueue = 256
	// usageNoted bounds the keys whose last use is remembered.
	usageNoted = 10_000
)

func newUsage(keys Keys, log *slog.Logger) *usage {
	return &usage{keys: keys, log: log, queue: make(chan use, usageQueue), noted: map[uuid.UUID]time.Time{}}
}

func (u *usage) note(key *models.APIKey, now time.Time) {
	if u.isNoted(key.ID, now) {
		return
	}
	if _, waits := u.waiting.LoadOrStore(key.ID, struct{}{}); waits {
		return
	}
	select {
	case u.queue <- use{key, now}:
	default:
		u.waiting.Delete(key.ID)
	}
}

func (u *usage) isNoted(key uuid.UUID, now time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	at, noted := u.noted[key]
	return noted && now.Sub(at) < useEvery
}

func (u *usage) wrote(used use) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.noted) >= usageNoted {
		clear(u.noted) // Postgres knows, and looks before it writes.
	}
	u.noted[used.key.ID] = used.at
}

func (u *usage) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case used := <-u.queue:
			writing, done := context.WithTimeout(ctx, 5*time.Second)
			err := u.keys.Used(writing, used.key)
			done()
			if err == nil {
				u.wrote(used)
			}
			u.waiting.Delete(used.key.ID)
			if err != nil && ctx.Err() == nil {
				u.log.WarnContext(ctx, "a key's last use could not be written down", slog.Any("key", used.key.Actor()), slog.Any("error", err))
			}
		}
	}
}
