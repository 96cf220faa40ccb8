package answers

import (
	"bytes"
	"context"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/coherence"
	"github.com/taskmed/taskmed/internal/touched"
	"github.com/taskmed/taskmed/internal/trust"
)

// Protections are what a test can switch off.
type Protections struct {
	Fence, Check, Barrier, Epoch, Share, Mirror, Late, Aside, Hasty, Agree bool

	Whole, Apart, Forgetful bool
}

// NewWithout is New with protections switched off and a function that is called
// at named points.
func NewWithout(config Config, without Protections, at func(point string)) (*Cache, error) {
	return newCache(config, seams{
		Seams: trust.Seams{
			Seams: coherence.Seams{
				WithoutFence: without.Fence, WithoutCheck: without.Check, WithoutBarrier: without.Barrier, WithoutMirror: without.Mirror,
				WithoutWhole: without.Whole, WithoutApart: without.Apart, Forgetful: without.Forgetful, At: at,
			},
			WithoutEpoch: without.Epoch, WithoutAside: without.Aside, Hasty: without.Hasty, WithoutAgree: without.Agree,
			Probe: &trust.Probe{},
		},
		withoutShares: without.Share, withoutLate: without.Late,
	})
}

// Notified hands the cache a notification, as its listener does.
func (c *Cache) Notified(ctx context.Context, clinic uuid.UUID, tags []touched.Tag) {
	c.seams.Probe.Hear(ctx, clinic, tags...)
}

// ValueKey is where an answer is kept in Redis.
func (c *Cache) ValueKey(clinic uuid.UUID, key Key) string {
	g := c.trust.Latest()
	return g.Shared.ValueKey(clinic, g.Epoch(), key)
}

// Forget empties the process's tier.
func (c *Cache) Forget() {
	tierOf(c.trust.Latest()).clinics.Range(func(_, part any) bool {
		part.(*clinicTier).entries.InvalidateAll()
		return true
	})
}

// ClinicBytes is what a clinic has in the process.
func (c *Cache) ClinicBytes(clinic uuid.UUID) int64 {
	part, err := tierOf(c.trust.Latest()).clinic(clinic)
	if err != nil {
		return 0
	}
	part.entries.CleanUp()
	return part.weight.Load()
}

// ProcessBytes is what all clinics have in the process.
func (c *Cache) ProcessBytes() int64 { return tierOf(c.trust.Latest()).weight.Load() }

// Listening tells whether the cache hears Postgres.
func (c *Cache) Listening() bool { return c.seams.Probe.Hears() }

// Trust is what the cache believes.
func (c *Cache) Trust() *trust.Trust { return c.trust }

// Distrusts is how often everything that is kept was given up.
func (c *Cache) Distrusts() uint64 { return c.seams.Probe.Distrusts() }

// Encode and Decode are the form of a value.
func Encode(clinic uuid.UUID, key Key, entry *Entry) []byte {
	return newSealer(nil).encode(clinic, key, entry)
}

// Seal makes a value that passes for one of ours.
func Seal(value []byte) []byte { return newSealer(nil).seal(bytes.Clone(value)) }

// Decode reads a value.
func Decode(clinic uuid.UUID, key Key, value []byte) (*Entry, error) {
	return newSealer(nil).decode(clinic, key, value)
}

// Vouches tells whether the cache has vouched for what is kept.
func (c *Cache) Vouches(ctx context.Context) bool { return c.seams.Probe.Vouches(ctx) != 0 }

// Follows tells whether the cache keeps things under the last epoch, and vouches
// for that.
func (c *Cache) Follows(ctx context.Context) bool {
	g := c.trust.Latest()
	epoch, err := g.Shared.Epoch(ctx)
	return err == nil && epoch == g.Epoch() && c.seams.Probe.Vouches(ctx) == epoch
}

// Aboard is how many wait for an answer, or compute it.
func (c *Cache) Aboard(clinic uuid.UUID, key Key) int {
	c.flights.mu.Lock()
	defer c.flights.mu.Unlock()
	seats := 0
	for one := c.flights.by[flightKey{clinic, key}]; one != nil; one = one.next {
		seats += one.seats
	}
	return seats
}

// Announces tells whether the cache asks others to stand aside.
func (c *Cache) Announces() bool { return c.seams.Probe.Announces() }

// Heard hands the cache what its listener hears at once: an announcement by
// somebody, or a write and that the announcer's writes are over.
func (c *Cache) Heard(ctx context.Context, announcer string, over bool, clinic uuid.UUID, tags ...touched.Tag) {
	c.seams.Probe.HearAside(ctx, announcer, over, clinic, tags...)
}
