package telemetry

import (
	"net/http"
	"strings"
	"sync/atomic"
)

// cacheStatus is the header in which the cache says what it did (RFC 9211).
const cacheStatus = "Cache-Status"

// cacheReasons are the reasons that are told apart, by how the detail begins.
func cacheReasons() []string {
	return []string{
		"first seen", "expired", "invalidated", "redis", "the kept answer cannot be read", "the cache is", "has errors", "has no data",
		"ran out of time", "mutation", "subscription", "not cacheable", "no-cache", "no-store", "off",
	}
}

// cacheCounts counts what the cache did in the current interval.
type cacheCounts struct {
	metrics                *metrics
	hits, misses, bypassed atomic.Int64
	reasons                tallies
}

func (c *cacheCounts) count(header http.Header) {
	did, reason := readCacheStatus(header.Get(cacheStatus))
	switch did {
	case "":
		return
	case "hit":
		c.hits.Add(1)
	case "miss":
		c.misses.Add(1)
		c.reasons.count(reason)
	default:
		c.bypassed.Add(1)
		c.reasons.count(reason)
	}
	c.metrics.cache.WithLabelValues(did, reason).Inc()
}

// readCacheStatus gives the outcome ("hit", "miss", "bypass", or "" if there is
// none) and one of the known reasons.
func readCacheStatus(status string) (did, reason string) {
	if status == "" {
		return "", ""
	}
	did, reason = "bypass", other
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
			value = strings.ToLower(strings.Trim(value, `"`))
			for _, known := range cacheReasons() {
				if strings.HasPrefix(value, known) {
					reason = known
					break
				}
			}
		}
	}
	return did, reason
}

func (c *cacheCounts) roll() Cache {
	hits, misses := c.hits.Swap(0), c.misses.Swap(0)
	counted := Cache{Hits: hits, Misses: misses, Bypassed: c.bypassed.Swap(0), MissesBy: c.reasons.roll()}
	if hits+misses > 0 {
		rate := float64(hits) / float64(hits+misses)
		counted.HitRate = &rate
	}
	return counted
}
