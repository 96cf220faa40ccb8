package doctor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/answers"
	"github.com/taskmed/taskmed/internal/trust"
)

// Answer is a kept answer as it would be computed now.
type Answer struct {
	// Body is the answer's data as JSON, and Digest what it would be kept with.
	Body   []byte
	Digest string
	// Unfit says why there is none: the operation has errors.
	Unfit string
	// Name is the operation's, Text its document, and Role whom it is for.
	Name, Text, Role string
}

// ErrUnexamined is what Again's error wraps where an answer cannot be examined,
// through no fault of the answer.
var ErrUnexamined = errors.New("the answer cannot be examined")

// CacheOptions say which answers Cache examines, and how.
type CacheOptions struct {
	// Redis is where they are kept.
	Redis *answers.Inspector
	// Again computes one anew, from Postgres alone.
	Again func(ctx context.Context, kept *answers.Kept) (*Answer, error)
	// Database is whom servers hear that serve what is kept (trust.Identify).
	Database string
	// Sample bounds how many are examined (500), each found with the same chance.
	Sample int
	// Clinic is the only one whose answers are looked at; uuid.Nil for all.
	Clinic uuid.UUID
}

// Stale is an answer that servers give though it is not what Postgres says. It
// holds nothing of what either says.
type Stale struct {
	Operation string    `json:"operation"`
	Clinic    uuid.UUID `json:"clinic"`
	Role      string    `json:"role"`
	// Key is where it stands in Redis.
	Key string `json:"key"`
	// Tags are what it is said to depend on.
	Tags []string `json:"tags"`
	// AgeSeconds is how long ago it was kept.
	AgeSeconds float64 `json:"ageSeconds"`
	// Paths are places in the data that differ, at most ten; "digest" where it is
	// only the ETag's.
	Paths []string `json:"paths"`
}

// suspect is an answer that differed when it was computed anew.
type suspect struct {
	kept  *answers.Kept
	again *Answer
}

// counts are what became of the answers that were looked at.
type counts struct {
	kept, sampled, same, gone, bad, unexamined, failed, renewed int
}

// Cache computes a sample of the answers in Redis anew and compares. Servers may
// go on writing and storing meanwhile: an answer that differs is stale only if,
// after all that was written by then has become known, servers would still serve
// it, and both are so a second time.
func Cache(ctx context.Context, o CacheOptions) (Report, error) {
	if o.Sample <= 0 {
		o.Sample = 500
	}
	report := Report{Check: "cache"}
	places, of, err := o.Redis.Sample(ctx, o.Sample, o.Clinic)
	if err != nil {
		return report, err
	}
	n := counts{kept: of, sampled: len(places)}
	if err := o.Redis.Settle(ctx, o.Database); errors.Is(err, trust.ErrNobodyServes) {
		report.Examined = fmt.Sprintf("0 of %d answers", of)
		report.Findings = append(report.Findings, Finding{
			Level: Note, Rule: "a server serves what is kept", Subject: "Redis",
			Detail: "no server vouches for what Redis keeps, so none of it is served: none runs with its cache on over this Redis and this database, or it does not trust what it keeps (taskmed_respcache_trusted)",
		})
		return report.finish(), nil
	} else if err != nil {
		return report, err
	}
	suspects, err := o.first(ctx, places, &n)
	if err != nil {
		return report, err
	}
	stale, err := o.confirm(ctx, suspects, &n)
	if err != nil {
		return report, err
	}
	for _, s := range stale {
		report.Findings = append(report.Findings, s.finding())
	}
	report.Stale = stale
	report.Findings = append(report.Findings, n.notes()...)
	report.Examined = fmt.Sprintf("%d of %d answers: %d are what Postgres says, %d went or were renewed meanwhile", n.sampled, n.kept, n.same, n.gone+n.renewed)
	return report.finish(), nil
}

// first looks at every place once, and gives what differs.
func (o CacheOptions) first(ctx context.Context, places []answers.Place, n *counts) ([]suspect, error) {
	var suspects []suspect
	for _, place := range places {
		kept, err := o.Redis.Read(ctx, place)
		switch {
		case errors.Is(err, answers.ErrBadValue):
			n.bad++
			continue
		case err != nil:
			return nil, err
		case kept == nil:
			n.gone++
			continue
		}
		if stands, _, err := o.Redis.Stands(ctx, kept); err != nil {
			return nil, err
		} else if !stands {
			n.gone++
			continue
		}
		again, err := o.Again(ctx, kept)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.Is(err, ErrUnexamined):
			n.unexamined++
		case err != nil || again.Unfit != "":
			n.failed++
		case again.is(kept):
			n.same++
		default:
			suspects = append(suspects, suspect{kept: kept, again: again})
		}
	}
	return suspects, nil
}

// confirm gives those of the suspects that servers would serve now, after
// everything that was committed before they were computed anew has become known,
// and that differ then, too.
func (o CacheOptions) confirm(ctx context.Context, suspects []suspect, n *counts) ([]Stale, error) {
	for round := range 2 {
		if len(suspects) == 0 {
			return nil, nil
		}
		err := o.Redis.Settle(ctx, o.Database)
		if errors.Is(err, trust.ErrNobodyServes) {
			n.gone += len(suspects) // nobody serves any of them any more
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		standing := suspects[:0]
		for _, s := range suspects {
			stands, err := o.still(ctx, s.kept)
			switch {
			case err != nil:
				return nil, err
			case !stands:
				n.renewed++
				continue
			}
			if round == 0 {
				again, err := o.Again(ctx, s.kept)
				switch {
				case ctx.Err() != nil:
					return nil, ctx.Err()
				case err != nil || again.Unfit != "":
					n.failed++
					continue
				case again.is(s.kept):
					n.same++
					continue
				}
				s.again = again
			}
			standing = append(standing, s)
		}
		suspects = standing
	}
	stale := make([]Stale, 0, len(suspects))
	for _, s := range suspects {
		stale = append(stale, s.stale())
	}
	return stale, nil
}

// still tells whether the very same answer is kept and would be served now.
func (o CacheOptions) still(ctx context.Context, kept *answers.Kept) (bool, error) {
	now, err := o.Redis.Read(ctx, kept.Place)
	switch {
	case errors.Is(err, answers.ErrBadValue):
		return false, nil
	case err != nil:
		return false, err
	case now == nil || !now.Same(kept):
		return false, nil
	}
	stands, _, err := o.Redis.Stands(ctx, kept)
	return stands, err
}

// is tells whether a kept answer is what it would be now.
func (a *Answer) is(kept *answers.Kept) bool {
	return string(a.Body) == string(kept.Body) && a.Digest == kept.ETag
}

func (s suspect) stale() Stale {
	found := Stale{
		Operation: s.again.Name, Clinic: s.kept.Clinic, Role: s.again.Role, Key: string(s.kept.Place),
		AgeSeconds: time.Since(s.kept.StoredAt).Round(time.Millisecond).Seconds(),
		Paths:      differing(s.kept.Body, s.again.Body, responseKeys(s.again.Text)),
	}
	if len(found.Paths) == 0 {
		found.Paths = []string{"digest"}
	}
	for _, tag := range s.kept.Tags {
		found.Tags = append(found.Tags, string(tag))
	}
	return found
}
