package alerts

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/taskmed/taskmed/internal/telemetry/dashboard"
	"github.com/taskmed/taskmed/internal/telemetry/metrics"
)

// lately is for how long what counts up is remembered, as Prometheus has it and in
// intervals.
const (
	lately    = "15m"
	mostLooks = int(15*time.Minute/dashboard.Interval) + 1
)

// figures are the catalog's that rules judge, as they were at the end of each of the last
// intervals.
type figures struct {
	catalog *metrics.Catalog
	names   []string
	looks   []map[string][]metrics.Series
}

var metricName = regexp.MustCompile(`taskmed_[a-z_]+`)

// newFigures remembers what the rules about queues ask Prometheus for.
func newFigures(catalog *metrics.Catalog) *figures {
	f := &figures{catalog: catalog}
	for _, rule := range queues() {
		f.names = append(f.names, metricName.FindAllString(rule.Query, -1)...)
	}
	slices.Sort(f.names)
	f.names = slices.Compact(f.names)
	return f
}

// read looks at what rules judge, and forgets what is too old.
func (f *figures) read() {
	look := map[string][]metrics.Series{}
	for _, name := range f.names {
		look[name] = f.catalog.Series(name)
	}
	if f.looks = append(f.looks, look); len(f.looks) > mostLooks {
		f.looks = slices.Delete(f.looks, 0, 1)
	}
}

// wanted tells whether a series has labels.
func wanted(one metrics.Series, labels map[string]string) bool {
	for name, value := range labels {
		if one.Labels[name] != value {
			return false
		}
	}
	return true
}

// subject names a series among a rule's: by its labels apart from those that the rule names.
func subject(one metrics.Series, labels map[string]string) string {
	var values []string
	for _, name := range slices.Sorted(maps.Keys(one.Labels)) {
		if _, named := labels[name]; !named {
			values = append(values, one.Labels[name])
		}
	}
	return strings.Join(values, " ")
}

// sums are a metric's series at a look, by subject.
func sums(look map[string][]metrics.Series, name string, labels map[string]string) map[string]float64 {
	all := map[string]float64{}
	for _, one := range look[name] {
		if wanted(one, labels) {
			all[subject(one, labels)] += one.Value
		}
	}
	return all
}

// least are the least values that gauges had within the window; none before it has passed.
func (f *figures) least(name string, labels map[string]string) map[string]float64 {
	if len(f.looks) < Window {
		return nil
	}
	low := sums(f.looks[len(f.looks)-1], name, labels)
	for _, look := range f.looks[len(f.looks)-Window:] {
		for of, value := range sums(look, name, labels) {
			low[of] = min(low[of], value)
		}
	}
	return low
}

// rise is by how much counters have risen lately, or since the start.
func (f *figures) rise(name string, labels map[string]string) map[string]float64 {
	first, last := sums(f.looks[0], name, labels), sums(f.looks[len(f.looks)-1], name, labels)
	for of := range last {
		last[of] -= first[of]
	}
	return last
}
