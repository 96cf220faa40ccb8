// Package sessions keeps who has which rights, in the response cache, and forgets what
// changes the moment it does.
package sessions

import (
	"context"
	"crypto/sha256"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/answers"
	"github.com/taskmed/taskmed/internal/auth"
	"github.com/taskmed/taskmed/internal/touched"
	"github.com/taskmed/taskmed/models"
)

// life is how long memberships and keys are kept that nobody changes.
const life = 4 * time.Hour

// Kept is a store of memberships and keys of which the answers are kept. What there is
// not, it does not keep: whoever invents subjects or keys fills nothing.
type Kept struct {
	cache *answers.Cache
	store *auth.Store
}

// In keeps what the store says in a cache.
func In(cache *answers.Cache, store *auth.Store) Kept { return Kept{cache: cache, store: store} }

var (
	_ auth.Memberships = Kept{}
	_ auth.Keys        = Kept{}
)

// Of implements auth.Memberships.
func (k Kept) Of(ctx context.Context, subject string) ([]auth.Membership, error) {
	kept, err := k.cache.Sessions.Get(ctx, answers.SessionRequest{
		Key: keyOf("memberships", []byte(subject)),
		Load: func(ctx context.Context) (*answers.Session, error) {
			all, err := k.store.Of(ctx, subject)
			if err != nil || len(all) == 0 {
				return nil, err
			}
			return keptMemberships(subject, all), nil
		},
		Clinic: func(value any) uuid.UUID { return clinicOf(ctx, value) },
	})
	all, _ := kept.([]auth.Membership)
	return all, err
}

func keptMemberships(subject string, all []auth.Membership) *answers.Session {
	session := &answers.Session{Value: all, ExpiresAt: time.Now().Add(life), Bytes: 100 + len(subject)}
	session.Tags = append(session.Tags, touched.On("membership", "subject", subject))
	for i, one := range all {
		// Many share it from now on: nobody's append may write into it.
		all[i].Permissions = slices.Clip(one.Permissions)
		session.Tags = append(session.Tags, touched.Entity(models.KindClinic, one.ClinicID))
		session.Bytes += 150 + len(one.Slug) + len(one.ClinicName) + len(one.SubjectName)
		for _, permission := range one.Permissions {
			session.Bytes += 16 + len(permission)
		}
	}
	return session
}

// Find implements auth.Keys. A key's end is checked by who uses it.
func (k Kept) Find(ctx context.Context, clinic uuid.UUID, hash [32]byte) (*models.APIKey, error) {
	kept, err := k.cache.Sessions.Get(ctx, answers.SessionRequest{
		Key: keyOf("key", clinic[:], hash[:]),
		Load: func(ctx context.Context) (*answers.Session, error) {
			key, err := k.store.Find(ctx, clinic, hash)
			if err != nil {
				return nil, err
			}
			return &answers.Session{
				Value: key, Tags: []touched.Tag{touched.Entity(models.KindAPIKey, key.ID)},
				ExpiresAt: time.Now().Add(life), Bytes: 300 + len(key.Name),
			}, nil
		},
		Clinic: func(any) uuid.UUID { return clinic },
	})
	if err != nil {
		return nil, err
	}
	key, found := kept.(*models.APIKey)
	if !found {
		return nil, models.ErrNotFound
	}
	return key, nil
}

// Used implements auth.Keys.
func (k Kept) Used(ctx context.Context, key *models.APIKey) error {
	return k.store.Used(ctx, key)
}

func keyOf(kind string, parts ...[]byte) answers.Key {
	buffer := append(make([]byte, 0, 128), kind...)
	for _, part := range parts {
		buffer = append(append(buffer, 0), part...)
	}
	return sha256.Sum256(buffer)
}

type wantedClinicKey struct{}

// Expect lets a request's parts share their questions to Redis: once it is
// known who asks, it is known for which clinic.
func Expect(ctx context.Context, r *http.Request) context.Context {
	ctx = answers.WithGlimpse(ctx)
	if wanted := r.Header.Get("X-Clinic-Id"); wanted != "" {
		ctx = context.WithValue(ctx, wantedClinicKey{}, wanted)
	}
	return ctx
}

// clinicOf is the clinic that a request is for, if its subject belongs to it. It
// decides nothing: a clinic that is asked about in vain costs a question.
func clinicOf(ctx context.Context, value any) uuid.UUID {
	all, _ := value.([]auth.Membership)
	wanted, _ := ctx.Value(wantedClinicKey{}).(string)
	if wanted == "" {
		if len(all) == 0 {
			return uuid.Nil
		}
		return all[0].ClinicID
	}
	clinic, err := models.KindClinic.Parse(wanted)
	if err != nil {
		return uuid.Nil
	}
	for _, one := range all {
		if one.ClinicID == clinic {
			return clinic
		}
	}
	return uuid.Nil
}
