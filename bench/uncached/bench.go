package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"slices"
	"time"

	"github.com/taskmed/taskmed/models"
)

// The names of the servers.
const (
	byHand   = "by hand"
	cacheOff = "cache off"
	cacheOn  = "cache on"
)

// subject is one way of being asked.
type subject struct {
	Name string
	// server is one of the names above.
	server string
	role   models.Role
	// directive is what is asked of caches: no-store leaves the answers' cache out
	// of it, though it keeps sessions, which a server without a cache reads from
	// Postgres each time; no-cache passes over what is kept, and the answer is then
	// computed and kept as that of any miss.
	directive string
}

func subjects() []subject {
	return []subject{
		{byHand, byHand, "", ""},
		{"session kept", cacheOn, models.RoleOwner, "no-store"},
		{"cache off", cacheOff, models.RoleOwner, ""},
		missed(),
		{"cache off, masked", cacheOff, models.RolePractitioner, ""},
	}
}

// missed is a subject whose answers are computed with their tags, and kept.
func missed() subject { return subject{"a miss, kept", cacheOn, models.RoleOwner, "no-cache"} }

// writers are the subjects of the mutation.
func writers() []subject {
	return []subject{{"cache off", cacheOff, models.RoleOwner, ""}, {"cache on", cacheOn, models.RoleOwner, ""}}
}

// bench is a run.
type bench struct {
	options  options
	say      func(string, ...any)
	identity *identity
	database *database
	scenes   []*scene
}

func (b *bench) close(ctx context.Context) {
	b.identity.close()
	if b.database != nil {
		if err := b.database.close(ctx); err != nil {
			b.say("the benchmark's database is left: %v", err)
		}
	}
}

// askedOf are the subjects of a scene.
func askedOf(s *scene) []subject {
	if s.path == "" {
		return writers()
	}
	return subjects()
}

func (b *bench) run(ctx context.Context) (*report, error) {
	logs, err := os.MkdirTemp("", "uncached")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(logs) }() // of the temporary folder
	r := newReport(b.options, b.scenes)
	if err := b.count(ctx, logs, r); err != nil {
		return nil, err
	}
	servers, err := b.servers(ctx, logs, func(isByHand bool) (string, error) {
		if isByHand {
			return b.database.superuser, nil
		}
		return b.database.app, nil
	})
	if err != nil {
		return nil, err
	}
	defer stopAll(servers)
	m := newMeter(b, servers)
	if err := m.check(ctx); err != nil {
		return nil, err
	}
	if r.Background, err = m.background(ctx); err != nil {
		return nil, err
	}
	// Writes come last: what Postgres has to clear up after them is nobody else's.
	reads := slices.DeleteFunc(slices.Clone(b.scenes), func(s *scene) bool { return s.path == "" })
	writes := slices.DeleteFunc(slices.Clone(b.scenes), func(s *scene) bool { return s.path != "" })
	for _, scenes := range [][]*scene{reads, writes} {
		if err := m.rounds(ctx, scenes, r); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// rounds asks all subjects in turns, in random order, each the same questions.
func (m *meter) rounds(ctx context.Context, scenes []*scene, r *report) error {
	o := m.bench.options
	for _, s := range scenes {
		for _, who := range askedOf(s) { // Warms plans, connections and sessions.
			if _, err := m.turn(ctx, s, who, s.requests[:min(len(s.requests), 2*o.slice)]); err != nil {
				return err
			}
		}
	}
	rounds := o.requests / o.slice
	for round := range rounds {
		for _, s := range scenes {
			all := askedOf(s)
			for _, i := range rand.Perm(len(all)) { // Nobody is always first, or after the same.
				turn, err := m.turn(ctx, s, all[i], s.requests[round*o.slice:(round+1)*o.slice])
				if err != nil {
					return err
				}
				r.add(s.name, all[i].Name, turn)
			}
		}
		if (round+1)%max(rounds/4, 1) == 0 {
			m.bench.say("%d of %d rounds", round+1, rounds)
		}
	}
	return nil
}

// count runs servers of its own behind wires, asks one question after the
// other, and notes what each took in statements, round trips and allocations.
func (b *bench) count(ctx context.Context, logs string, r *report) (err error) {
	wires := map[string]*wire{}
	defer func() {
		for _, w := range wires {
			w.close()
		}
	}()
	names := []string{byHand, cacheOff, cacheOn}
	servers, err := b.servers(ctx, logs, func(isByHand bool) (string, error) {
		address := b.database.app
		if isByHand {
			address = b.database.superuser
		}
		parsed, err := url.Parse(address)
		if err != nil {
			return "", errors.New("the database's address is no URL")
		}
		w, err := newWire(ctx, parsed.Host)
		if err != nil {
			return "", err
		}
		wires[names[len(wires)]] = w
		return through(address, w.addr)
	})
	if err != nil {
		return err
	}
	defer stopAll(servers)
	m := newMeter(b, servers)
	for _, s := range b.scenes {
		for _, who := range askedOf(s) {
			if err := m.counted(ctx, s, who, wires[who.server], r); err != nil {
				return err
			}
		}
	}
	b.say("counted statements, round trips and allocations")
	return nil
}

func (m *meter) counted(ctx context.Context, s *scene, who subject, w *wire, r *report) error {
	requests := s.requests[:min(len(s.requests), m.bench.options.counted)]
	// Twice: what comes first prepares statements and signs in.
	for range 2 {
		server := m.servers[who.server]
		// Asking for the figure allocates as well, about the same each time.
		first, err := m.allocations(ctx, server)
		if err != nil {
			return err
		}
		before, err := m.allocations(ctx, server)
		if err != nil {
			return err
		}
		statements, trips := w.statements.Load(), w.roundTrips.Load()
		for i := range requests {
			if _, err := m.ask(ctx, s, who, &requests[i]); err != nil {
				return err
			}
		}
		statements, trips = w.statements.Load()-statements, w.roundTrips.Load()-trips
		after, err := m.allocations(ctx, server)
		if err != nil {
			return err
		}
		each := float64(len(requests))
		r.count(s.name, who.Name, float64(statements)/each, float64(trips)/each, (after-before-(before-first))/each)
	}
	return nil
}

// background is what the servers and Postgres use while nobody asks, of one
// processor.
func (m *meter) background(ctx context.Context) (float64, error) {
	const seconds = 3
	before, err := m.usage()
	if err != nil {
		return 0, err
	}
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-time.After(seconds * time.Second):
	}
	after, err := m.usage()
	if err != nil {
		return 0, err
	}
	total := after.postgres - before.postgres
	for name, used := range after.servers {
		total += used - before.servers[name]
	}
	return total.Seconds() / seconds, nil
}

// errDiffers is for answers that should be equal.
func errDiffers(s *scene, got, wanted []byte) error {
	const shown = 300
	return fmt.Errorf("%s: the handler written by hand and TaskMed differ:\n%.*s\n%.*s", s.name, shown, got, shown, wanted)
}
