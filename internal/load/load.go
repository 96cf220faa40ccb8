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
	// ID is the global id, Token a bearer token of one of its owners.
	ID, Token string
}

// Options say what load to make.
type Options struct {
	// URLs are the servers' addresses without a path; requests go to them in turn.
	URLs    []string
	Clinics []Clinic
	// Clients is how many sessions there are; each does one thing at a time.
	Clients int
	// Rate is how many requests are due in a second.
	Rate     float64
	Duration time.Duration
	// Seed makes the sequence of what is asked repeatable.
	Seed uint64
	// Timeout bounds one request; 0 is 10 seconds.
	Timeout time.Duration
	// Progress, if set, is told about once a second.
	Progress func(done, due int, left time.Duration)
}

func (o Options) validate() error {
	switch {
	case len(o.URLs) == 0:
		return errors.New("load: no server")
	case len(o.Clinics) == 0:
		return errors.New("load: no clinic")
	case o.Clients < 1 || o.Clients > 100_000:
		return errors.New("load: between 1 and 100,000 clients")
	case o.Rate <= 0 || o.Rate > 1e6:
		return errors.New("load: a rate between 0 and 1,000,000 a second")
	case o.Duration <= 0:
		return errors.New("load: a duration")
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
	transport := &http.Transport{MaxIdleConns: options.Clients, MaxIdleConnsPerHost: options.Clients}
	defer transport.CloseIdleConnections()
	w := &world{
		options: options, client: &http.Client{Transport: transport, Timeout: options.Timeout},
		oracle: newOracle(), report: newReport(),
	}
	for i, clinic := range options.Clinics {
		s, err := w.open(ctx, clinic, i)
		if err != nil {
			return nil, fmt.Errorf("load: look around clinic %s: %w", clinic.ID, err)
		}
		w.clinics = append(w.clinics, s)
	}
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
	oracle  *oracle
	report  *Report
}

// due is a request that was due at a moment.
type due struct {
	at   time.Time
	dice *rand.Rand
}

// play hands out what is due to the clients. The queue is bounded by what is
// due in all, which is known beforehand.
func (w *world) play(ctx context.Context, start time.Time) {
	total := int(w.options.Rate * w.options.Duration.Seconds())
	queue := make(chan due, total)
	var clients sync.WaitGroup
	for range w.options.Clients {
		clients.Go(func() {
			for next := range queue {
				if ctx.Err() != nil {
					return
				}
				w.step(ctx, next)
			}
		})
	}
	w.arrive(ctx, start, total, queue)
	close(queue)
	clients.Wait()
}

func (w *world) arrive(ctx context.Context, start time.Time, total int, queue chan<- due) {
	seeds := rand.New(rand.NewPCG(w.options.Seed, 0))
	timer := time.NewTimer(0)
	defer timer.Stop()
	told := start
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
		queue <- due{at: at, dice: rand.New(rand.NewPCG(seeds.Uint64(), uint64(n)))}
		if w.options.Progress != nil && time.Since(told) >= time.Second {
			told = time.Now()
			w.options.Progress(n, total, time.Until(start.Add(w.options.Duration)))
		}
	}
}

// step makes one request of the mix for one of the clinics.
func (w *world) step(ctx context.Context, next due) {
	site := w.clinics[next.dice.IntN(len(w.clinics))]
	choice := next.dice.IntN(mixTotal())
	for _, scenario := range mix() {
		if choice -= scenario.weight; choice < 0 {
			scenario.play(ctx, &turn{world: w, site: site, dice: next.dice, at: next.at, scenario: scenario.name})
			return
		}
	}
}
