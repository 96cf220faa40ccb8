// Package load plays a clinic's day against a running server and checks what it
// answers: `taskmed load`. Arrivals do not wait for answers (an open loop), and
// latency counts from the moment a request was due, so that a server which
// stalls cannot hide it.
package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// Clinic is one that requests are made for.
type Clinic struct {
	// ID is the global id; Reception and Practitioner are bearer tokens of a
	// member of each role.
	ID, Reception, Practitioner string
}

// Options say what load to make.
type Options struct {
	// URLs are the servers' addresses without a path; each request goes to any.
	URLs    []string
	Clinics []Clinic
	// Clients is how many sessions there are; each belongs to one clinic and does
	// one thing at a time.
	Clients int
	// Rate is how many requests are due in a second.
	Rate     float64
	Duration time.Duration
	// Writes is how many of 100 requests of a front desk write; 0 is UsualWrites.
	Writes float64
	// Seed makes the sequence of what is asked repeatable.
	Seed uint64
	// Timeout bounds one request; 0 is 10 seconds.
	Timeout time.Duration
	// Oracle, if set, is told by others of what they write and of what they break.
	Oracle *Oracle
	// Begun, if set, is called once the clinics have been looked at and requests begin:
	// who makes trouble waits for it.
	Begun func()
	// Progress, if set, is told about once a second.
	Progress func(done, due int, left time.Duration)
}

func (o Options) validate() error {
	switch {
	case len(o.URLs) == 0:
		return errors.New("load: no server")
	case len(o.Clinics) == 0:
		return errors.New("load: no clinic")
	case o.Clients < 2*len(o.Clinics) || o.Clients > 100_000:
		return errors.New("load: two clients for each clinic at least, and 100,000 at most")
	case o.Rate <= 0 || o.Rate > 1e6:
		return errors.New("load: a rate between 0 and 1,000,000 a second")
	case o.Duration <= 0:
		return errors.New("load: a duration")
	case o.Writes < 0 || o.Writes > 50:
		return errors.New("load: between 0 and 50 writes in 100 requests")
	}
	return nil
}

// Run makes the load and reports. It ends when all that was due is answered, or
// with the context.
func Run(ctx context.Context, options Options) (*Report, error) {
	if err := options.validate(); err != nil {
		return nil, err
	}
	if options.Timeout == 0 {
		options.Timeout = 10 * time.Second
	}
	if options.Writes == 0 {
		options.Writes = UsualWrites
	}
	if options.Oracle == nil {
		options.Oracle = NewOracle()
	}
	transport := &http.Transport{MaxIdleConns: options.Clients, MaxIdleConnsPerHost: options.Clients}
	defer transport.CloseIdleConnections()
	w := &world{
		options: options, client: &http.Client{Transport: transport, Timeout: options.Timeout},
		oracle: options.Oracle, report: newReport(), bookings: bookings{all: map[string][]booking{}},
	}
	for i, clinic := range options.Clinics {
		s, err := w.open(ctx, clinic, i)
		if err != nil {
			return nil, fmt.Errorf("load: look around clinic %s: %w", clinic.ID, err)
		}
		w.clinics = append(w.clinics, s)
	}
	if options.Begun != nil {
		options.Begun()
	}
	defer w.unsubscribe(ctx)
	start := time.Now()
	w.play(ctx, start)
	w.report.finish(time.Since(start))
	return w.report, ctx.Err()
}

// world is a load under way.
type world struct {
	options Options
	client  *http.Client
	clinics []*site
	oracle  *Oracle
	report  *Report
	// bookings are what the sessions of a clinic may move and call off.
	bookings bookings
}

// due is a request that was due at a moment.
type due struct {
	at       time.Time
	dice     *rand.Rand
	scenario *scenario
}

// play hands out what is due to the sessions of the desk whose work it is. The
// queues are bounded by what is due in all, which is known beforehand.
func (w *world) play(ctx context.Context, start time.Time) {
	total := int(w.options.Rate * w.options.Duration.Seconds())
	queues := map[desk]chan due{}
	var clients sync.WaitGroup
	for _, kind := range []desk{reception, practice} {
		queue := make(chan due, total)
		queues[kind] = queue
		for n := range w.sessions(kind) {
			s := newSession(w.clinics[n%len(w.clinics)], kind, n/len(w.clinics))
			clients.Go(func() {
				for next := range queue {
					if ctx.Err() != nil {
						return
					}
					next.scenario.play(ctx, &turn{world: w, session: s, due: next})
				}
			})
		}
	}
	w.arrive(ctx, start, total, queues)
	for _, queue := range queues {
		close(queue)
	}
	clients.Wait()
}

// sessions is how many there are of a kind: as many as its share of the work.
func (w *world) sessions(kind desk) int {
	share := 0
	for _, s := range mix() {
		if s.desk == kind {
			share += s.weight
		}
	}
	return max(w.options.Clients*share/mixTotal(), len(w.clinics))
}

func (w *world) arrive(ctx context.Context, start time.Time, total int, queues map[desk]chan due) {
	seeds := rand.New(rand.NewPCG(w.options.Seed, 0))
	timer := time.NewTimer(0)
	defer timer.Stop()
	told, all, weight := start, mix(), mixTotal()
	for n := range total {
		at := start.Add(time.Duration(float64(n) / w.options.Rate * float64(time.Second)))
		if wait := time.Until(at); wait > 0 {
			timer.Reset(wait)
			select {
			case <-ctx.Done():
				return
			case <-timer.C:
			}
		}
		dice := rand.New(rand.NewPCG(seeds.Uint64(), uint64(n)))
		choice := dice.IntN(weight)
		for i := range all {
			if choice -= all[i].weight; choice < 0 {
				queues[all[i].desk] <- due{at: at, dice: dice, scenario: &all[i]}
				break
			}
		}
		if w.options.Progress != nil && time.Since(told) >= time.Second {
			told = time.Now()
			w.options.Progress(n, total, time.Until(start.Add(w.options.Duration)))
		}
	}
}
