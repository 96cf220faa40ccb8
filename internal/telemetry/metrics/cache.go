package metrics

import (
	"maps"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/taskmed/taskmed/internal/telemetry/dashboard"
)

// CacheStatus is the header in which the cache says what it did (RFC 9211).
const CacheStatus = "Cache-Status"

// cacheHit is what it says of an answer that was kept.
const cacheHit = "taskmed; hit"

// CacheReasons are the reasons that are told apart, by how the detail begins.
func CacheReasons() []string {
	return []string{
		"first seen", "expired", "invalidated", "redis", "the kept answer cannot be read", "the cache is", "has errors", "has no data",
		"ran out of time", "comes in parts", "its variables cannot be compared", "Postgres is not heard", "another database is heard", "every clinic was written to", "mutation", "subscription", "not cacheable", "no-cache", "no-store", "off",
	}
}

// Cache counts what the cache did, and what of it in the current interval.
type Cache struct {
	description *prometheus.Desc
	// hits are most, so they have a place of their own.
	hits atomic.Int64
	mu   sync.Mutex
	// others are the misses and bypasses by their reasons, a closed set.
	others map[[2]string]int64

	// What follows is the sampler's alone.
	seenHits int64
	seen     map[[2]string]int64
}

// NewCache registers what is counted of answers by what the cache did.
func NewCache(c *Catalog) *Cache {
	counts := &Cache{
		description: prometheus.NewDesc("taskmed_cache_answers_total",
			"Answers by what the response cache did, and why, as Cache-Status tells it.", []string{"outcome", "reason"}, nil),
		others: map[[2]string]int64{}, seen: map[[2]string]int64{},
	}
	c.MustRegister(counts)
	return counts
}

// Describe implements prometheus.Collector.
func (c *Cache) Describe(descriptions chan<- *prometheus.Desc) { descriptions <- c.description }

// Collect implements prometheus.Collector.
func (c *Cache) Collect(shown chan<- prometheus.Metric) {
	shown <- prometheus.MustNewConstMetric(c.description, prometheus.CounterValue, float64(c.hits.Load()), "hit", "hit")
	c.mu.Lock()
	others := maps.Clone(c.others)
	c.mu.Unlock()
	for why, n := range others {
		shown <- prometheus.MustNewConstMetric(c.description, prometheus.CounterValue, float64(n), why[0], why[1])
	}
}

// Count counts an answer by its headers.
func (c *Cache) Count(header http.Header) {
	said := header[CacheStatus]
	if len(said) == 0 {
		return
	}
	status := said[0]
	if status == cacheHit {
		c.hits.Add(1)
		return
	}
	did, reason := ReadCacheStatus(status)
	if did == "hit" {
		c.hits.Add(1)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.others[[2]string{did, reason}]++
}

// ReadCacheStatus gives the outcome ("hit", "miss", "bypass", or "" if there is
// none) and one of the known reasons.
func ReadCacheStatus(status string) (did, reason string) {
	if status == "" {
		return "", ""
	}
	did, reason = "bypass", Other
	for parameter := range strings.SplitSeq(status, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(parameter), "=")
		switch name {
		case "hit":
			did, reason = "hit", "hit"
		case "fwd":
			if did = "miss"; value == "bypass" || value == "method" || value == "request" {
				did = "bypass"
			}
		case "detail":
			if known := KnownReason(strings.Trim(value, `"`)); known != Other {
				reason = known
			}
		}
	}
	return did, reason
}

// KnownReason is the known one that a reason begins with. The rest of its words
// names entities.
func KnownReason(reason string) string {
	for _, known := range CacheReasons() {
		if len(reason) >= len(known) && strings.EqualFold(reason[:len(known)], known) {
			return known
		}
	}
	return Other
}

// Roll ends an interval and gives what it counted.
func (c *Cache) Roll() dashboard.Cache {
	hits := c.hits.Load()
	c.mu.Lock()
	others := maps.Clone(c.others)
	c.mu.Unlock()
	counted := dashboard.Cache{Hits: hits - c.seenHits, MissesBy: []dashboard.Count{}}
	by := map[string]int64{}
	for why, n := range others {
		n -= c.seen[why]
		switch {
		case n == 0:
			continue
		case why[0] == "miss":
			counted.Misses += n
		default:
			counted.Bypassed += n
		}
		by[why[1]] += n
	}
	c.seenHits, c.seen = hits, others
	for reason, n := range by {
		counted.MissesBy = append(counted.MissesBy, dashboard.Count{Name: reason, Count: n})
	}
	mostFirst(counted.MissesBy)
	if reads := counted.Hits + counted.Misses; reads > 0 {
		rate := float64(counted.Hits) / float64(reads)
		counted.HitRate = &rate
	}
	return counted
}
