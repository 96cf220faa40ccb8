package coherence

import (
	"context"
	"errors"
	"sync"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
)

// heads asks Redis for the sequences of clinics, for many requests at once: who
// comes while a question is on its way asks together with all others who do. So
// what a hit costs falls as more come, and each still gets a sequence that was
// read after it asked.
type heads struct {
	mu sync.Mutex
	// boarding is the question that is not on its way yet; nil if nobody waits.
	boarding *headsQuestion
	// under is the one that is on its way, or was last.
	under *headsQuestion
}

// headsQuestion is one question to Redis.
type headsQuestion struct {
	// before must be answered first; nil if nothing is on its way.
	before *headsQuestion
	// clinics are asked about, each once. They are complete once it is on its way.
	clinics []uuid.UUID

	// done is closed with the answer; what follows is valid from then on.
	done chan struct{}
	seqs []uint64
	err  error
}

// place gives where a clinic's sequence will stand in the answer.
func (q *headsQuestion) place(clinic uuid.UUID) int {
	for i, known := range q.clinics {
		if known == clinic {
			return i
		}
	}
	q.clinics = append(q.clinics, clinic)
	return len(q.clinics) - 1
}

// mostClinics bounds the clinics of one question.
const mostClinics = 64

// ask gives the sequences of two clinics, or of one, twice.
func (h *heads) ask(ctx context.Context, l *Shared, one, two uuid.UUID) (first, second uint64, err error) {
	h.mu.Lock()
	q := h.boarding
	leads := q == nil || len(q.clinics)+2 > mostClinics
	if leads {
		q = &headsQuestion{done: make(chan struct{}), clinics: make([]uuid.UUID, 0, 4)}
		// After the one that has most recently begun to wait, so that they are
		// asked one after the other.
		if q.before = h.boarding; q.before == nil {
			q.before = h.under
		}
		h.boarding = q
	}
	i, j := q.place(one), q.place(two)
	h.mu.Unlock()
	if leads {
		if q.before != nil {
			<-q.before.done
			q.before = nil
		}
		h.lead(ctx, l, q)
	} else {
		// Redis' time-outs bound it, and waiting for the request's end as well would
		// take a timer for each.
		<-q.done
	}
	if q.err != nil {
		return 0, 0, q.err
	}
	return q.seqs[i], q.seqs[j], nil
}

// lead asks a question, for all who wait for it.
func (h *heads) lead(ctx context.Context, l *Shared, q *headsQuestion) {
	// Also after a panic: the others must not wait for ever.
	q.err = errUnreached
	defer close(q.done)
	h.mu.Lock()
	if h.boarding == q {
		h.boarding = nil
	}
	h.under = q
	h.mu.Unlock()
	// This request's end must not be the others'. Redis' time-outs bound it.
	q.seqs, q.err = l.askHeads(context.WithoutCancel(ctx), q.clinics)
}

// askHeads reads sequences; 0 for a clinic that is not known.
func (l *Shared) askHeads(ctx context.Context, clinics []uuid.UUID) ([]uint64, error) {
	seqs := make([]uint64, len(clinics))
	if len(clinics) == 1 {
		err := l.link.Do(ctx, func(ctx context.Context) (err error) {
			seqs[0], err = l.link.client.HGet(ctx, l.stateKey(clinics[0]), "seq").Uint64()
			return err
		})
		if errors.Is(err, redis.Nil) {
			err = nil
		}
		return seqs, err
	}
	asked := make([]*redis.StringCmd, len(clinics))
	err := l.link.Do(ctx, func(ctx context.Context) error {
		_, err := l.link.client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			for i, clinic := range clinics {
				asked[i] = pipe.HGet(ctx, l.stateKey(clinic), "seq")
			}
			return nil
		})
		return err
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, err
	}
	for i, answer := range asked {
		if seqs[i], err = answer.Uint64(); err != nil && !errors.Is(err, redis.Nil) {
			return nil, err
		}
	}
	return seqs, nil
}
