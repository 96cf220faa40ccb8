package answers

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/taskmed/taskmed/internal/coherence"
)

const (
	// keptPopular bounds the questions whose runs are counted, here and in Redis.
	keptPopular = 1000
	// countEvery is how often an instance adds its counts to the shared ones.
	countEvery = 10 * time.Second
	// longestQuestion bounds what a question is kept as, in bytes.
	longestQuestion = 4096
	// fading is what is left of a count after each addition: what ran last month
	// gives way.
	fading = 0.99
	// popularLives is how long the counts outlive the last instance.
	popularLives = 7 * 24 * time.Hour
)

// Popular counts which questions are asked most, for those who warm up.
type Popular struct {
	// shares tells that there is a Redis, and ledger is that which is reached, if any.
	shares bool
	ledger func() *coherence.Shared
	warms  *prometheus.CounterVec
	log    *slog.Logger

	// fresh is told when there is an empty process to be filled.
	fresh chan struct{}

	mu   sync.Mutex
	runs map[Key]*ran
}

// ran is how often a question was asked.
type ran struct {
	question []byte
	// unsaid are the runs that Redis was not told of, total those that were, faded.
	unsaid, total float64
}

func newPopular(shares bool, ledger func() *coherence.Shared, warms *prometheus.CounterVec, log *slog.Logger) *Popular {
	return &Popular{shares: shares, ledger: ledger, warms: warms, log: log, fresh: make(chan struct{}, 1), runs: map[Key]*ran{}}
}

// run shares what ran here, every now and then and once more when the context ends.
func (p *Popular) run(ctx context.Context) {
	tick := time.NewTicker(countEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-tick.C:
			p.share(ctx)
		}
	}
	bounded, done := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer done()
	p.share(bounded)
}

func (p *Popular) share(ctx context.Context) {
	if err := p.addCounts(ctx); err != nil {
		p.log.DebugContext(ctx, "count which questions are asked most", slog.Any("error", err))
	}
}

// Ran counts that a question was asked. How it is asked again is the caller's to
// write, and read; nil is not counted. It is kept where answers are.
func (p *Popular) Ran(key Key, question func() []byte) {
	if !p.shares {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	known, ok := p.runs[key]
	if !ok {
		if len(p.runs) >= keptPopular {
			return
		}
		written := question()
		if len(written) == 0 || len(written) > longestQuestion {
			return
		}
		known = &ran{question: written}
		p.runs[key] = known
	}
	known.unsaid++
}

// Fresh tells when the process has nothing kept and answers may be served: at the
// start, and after everything was given up.
func (p *Popular) Fresh() <-chan struct{} { return p.fresh }

// Warmed counts what came of a popular question.
func (p *Popular) Warmed(outcome string) { p.warms.WithLabelValues(outcome).Inc() }

func (p *Popular) begun() {
	select {
	case p.fresh <- struct{}{}:
	default:
	}
}

// Most gives the questions that were asked most, at most n, the most frequent
// first: those of all instances, and if Redis lost them this one's own.
func (p *Popular) Most(ctx context.Context, n int) ([][]byte, error) {
	ledger := p.ledger()
	if ledger == nil || n <= 0 {
		return nil, nil
	}
	var found []any
	err := ledger.Do(ctx, func(ctx context.Context, client *redis.Client) error {
		// By its name: the library marks it as old, and Redis 6.0 has no other.
		ids, err := client.Do(ctx, "ZREVRANGE", popularKey(ledger, "counts"), 0, n-1).StringSlice()
		if err != nil || len(ids) == 0 {
			return err
		}
		found, err = client.HMGet(ctx, popularKey(ledger, "questions"), ids...).Result()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("ask which questions are asked most: %w", err)
	}
	var questions [][]byte
	for _, one := range found {
		if text, ok := one.(string); ok && len(text) <= longestQuestion {
			questions = append(questions, []byte(text))
		}
	}
	if len(questions) == 0 {
		questions = p.own(n)
	}
	return questions, nil
}

func (p *Popular) own(n int) [][]byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]*ran, 0, len(p.runs))
	for _, one := range p.runs {
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b *ran) int { return cmp.Compare(b.total+b.unsaid, a.total+a.unsaid) })
	questions := make([][]byte, 0, min(n, len(all)))
	for _, one := range all[:min(n, len(all))] {
		questions = append(questions, one.question)
	}
	return questions
}

func popularKey(l *coherence.Shared, name string) string { return l.LastingKey("popular", name) }

// addCounts adds what ran here to the shared counts, all of which fade a little.
func (p *Popular) addCounts(ctx context.Context) error {
	ledger := p.ledger()
	if ledger == nil {
		return nil
	}
	said := p.say()
	if len(said) == 0 {
		return nil
	}
	counts, questions := popularKey(ledger, "counts"), popularKey(ledger, "questions")
	return ledger.Do(ctx, func(ctx context.Context, client *redis.Client) error {
		var surplus *redis.StringSliceCmd
		_, err := client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			pipe.ZUnionStore(ctx, counts, &redis.ZStore{Keys: []string{counts}, Weights: []float64{fading}})
			for key, one := range said {
				pipe.ZIncrBy(ctx, counts, one.unsaid, key.String())
				pipe.HSet(ctx, questions, key.String(), one.question)
			}
			surplus = pipe.ZRange(ctx, counts, 0, -keptPopular-1)
			pipe.Expire(ctx, counts, popularLives)
			pipe.Expire(ctx, questions, popularLives)
			return nil
		})
		if err != nil || len(surplus.Val()) == 0 {
			return err
		}
		_, err = client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			for _, id := range surplus.Val() {
				pipe.ZRem(ctx, counts, id)
				pipe.HDel(ctx, questions, id)
			}
			return nil
		})
		return err
	})
}

// say gives the runs that Redis was not told of, and lets the known ones fade.
func (p *Popular) say() map[Key]ran {
	p.mu.Lock()
	defer p.mu.Unlock()
	said := map[Key]ran{}
	for key, one := range p.runs {
		if one.unsaid > 0 {
			said[key] = *one
		}
		one.total, one.unsaid = one.total*fading*fading+one.unsaid, 0
		if len(p.runs) > keptPopular/2 && one.total < 2 {
			delete(p.runs, key)
		}
	}
	return said
}
