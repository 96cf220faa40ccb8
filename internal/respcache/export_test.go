package respcache

import (
	"bytes"
	"context"

	"github.com/google/uuid"

	"github.com/taskmed/taskmed/internal/coherence"
	"github.com/taskmed/taskmed/internal/touched"
)

// Protections are what a test can switch off.
type Protections struct {
	Fence, Check, Barrier, Epoch, Share, Mirror, Late, Aside, Hasty, Agree bool

	Whole, Apart, Forgetful bool
}

// NewWithout is New with protections switched off and a function that is called
// at named points.
func NewWithout(config Config, without Protections, at func(point string)) (*Cache, error) {
	return newCache(config, protections{
		Seams: coherence.Seams{
			WithoutFence: without.Fence, WithoutCheck: without.Check, WithoutBarrier: without.Barrier, WithoutMirror: without.Mirror,
			WithoutWhole: without.Whole, WithoutApart: without.Apart, Forgetful: without.Forgetful, At: at,
		},
		epoch: without.Epoch, share: without.Share, late: without.Late, aside: without.Aside, hasty: without.Hasty, agree: without.Agree,
	})
}

// Notified hands the cache a notification, as its listener does.
func (c *Cache) Notified(ctx context.Context, clinic uuid.UUID, tags []touched.Tag) {
	c.notified(ctx, []notice{{Clinic: &clinic, Tags: tags}})
}

// ValueKey is where an answer is kept in Redis.
func (c *Cache) ValueKey(clinic uuid.UUID, key Key) string {
	g := c.trust.Load()
	return g.shared.ValueKey(clinic, g.epoch.Load(), key)
}

// PopularKey is where it is kept what is asked most.
func (c *Cache) PopularKey(name string) string { return popularKey(c.writes.Load(), name) }

// Forget empties the process's tier.
func (c *Cache) Forget() {
	g := c.trust.Load()
	g.tier.clinics.Range(func(_, part any) bool {
		part.(*clinicTier).entries.InvalidateAll()
		return true
	})
}

// ClinicBytes is what a clinic has in the process.
func (c *Cache) ClinicBytes(clinic uuid.UUID) int64 {
	g := c.trust.Load()
	part, err := g.tier.clinic(clinic, g.ledger)
	if err != nil {
		return 0
	}
	part.entries.CleanUp()
	return part.weight.Load()
}

// ProcessBytes is what all clinics have in the process.
func (c *Cache) ProcessBytes() int64 { return c.trust.Load().tier.weight.Load() }

// Listening tells whether the cache hears Postgres.
func (c *Cache) Listening() bool { return c.listener != nil && c.listener.whole() }

// Distrusts is how often everything that is kept was given up.
func (c *Cache) Distrusts() uint64 {
	c.trustMu.Lock()
	defer c.trustMu.Unlock()
	return c.distrusts
}

// AddCounts shares what ran.
func (c *Cache) AddCounts(ctx context.Context) error { return c.addCounts(ctx) }

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
func (c *Cache) Vouches(ctx context.Context) bool {
	g := c.trust.Load()
	if g == nil {
		return false
	}
	found, err := vouchers(ctx, g.shared, "")
	_, mine := found[c.instance]
	return err == nil && mine
}

// Follows tells whether the cache keeps things under the last epoch, and vouches
// for that.
func (c *Cache) Follows(ctx context.Context) bool {
	g := c.trust.Load()
	epoch, err := g.shared.Epoch(ctx)
	found, failed := vouchers(ctx, g.shared, "")
	return err == nil && failed == nil && epoch == g.epoch.Load() && found[c.instance].epoch == epoch
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
func (c *Cache) Announces() bool { return c.aside.announces() }

// Heard hands the cache what its listener hears at once: an announcement by
// somebody, or a write and that the announcer's writes are over.
func (c *Cache) Heard(ctx context.Context, announcer string, over bool, clinic uuid.UUID, tags ...touched.Tag) {
	var notices []notice
	if len(tags) > 0 {
		notices = append(notices, notice{Clinic: &clinic, Tags: tags})
	}
	c.notified(ctx, append(notices, notice{Aside: true, Announcer: announcer, Over: over}))
}
