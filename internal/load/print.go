package load

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"
)

// String names a fault.
func (f fault) String() string {
	return [...]string{
		none: "none", foreign: "another clinic's", olderThanOwn: "older than the session wrote", olderThanRead: "older than the session read",
		olderThanAcknowledged: "older than was acknowledged", olderThanShown: "older than others were shown", missing: "not there though acknowledged",
		excused: "during an outage",
	}[f]
}

var (
	detailOf  = regexp.MustCompile(`detail="([^"]*)"`)
	valuesIn  = regexp.MustCompile(`([=:])[0-9a-f][0-9a-f-]*\b`)
	writtenBy = regexp.MustCompile(`: written by (.*) \d\S*(?: s)? ago$`)
	writtenAt = regexp.MustCompile(`: written \d\S*(?: s)? ago$`)
)

// reason reads a Cache-Status: whether it was a hit, and if not why, without
// ids, days and times.
func reason(status string) (hit bool, why string) {
	if strings.HasPrefix(status, "taskmed; hit") {
		return true, ""
	}
	why = strings.TrimPrefix(status, "taskmed; ")
	if found := detailOf.FindStringSubmatch(status); found != nil {
		why = found[1]
	}
	why = writtenAt.ReplaceAllString(writtenBy.ReplaceAllString(why, " by $1"), "")
	why = valuesIn.ReplaceAllString(why, "$1…")
	if strings.Contains(status, "; collapsed") {
		why += " (waited)"
	}
	return false, why
}

// most bounds how many reasons are printed for each operation.
const most = 6

// Write prints the report for a person.
func (r *Report) Write(to io.Writer) error {
	// A buffer takes every write; what can fail is handing it on.
	var text bytes.Buffer
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', tabwriter.AlignRight)
	say := func(format string, values ...any) { _, _ = fmt.Fprintf(table, format, values...) }
	say("\trequests\terrors\taverage\tp50\tp95\tp99\tmax\t\n")
	line := func(name string, requests, errors int, l Latency) {
		say("%s\t%d\t%d\t%.2f ms\t%.2f ms\t%.2f ms\t%.2f ms\t%.2f ms\t\n",
			name, requests, errors, l.Average, l.P50, l.P95, l.P99, l.Max)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Scenarios)) {
		line(name, r.Scenarios[name].Requests, r.Scenarios[name].Errors, r.Scenarios[name].Latency)
	}
	line("all", r.Requests, r.Errors, r.Latency)
	say("\n")
	for _, name := range slices.Sorted(maps.Keys(r.Operations)) {
		o := r.Operations[name]
		say("%s\t%d reads\t%.1f %% hits\t\n", name, o.Reads, 100*float64(o.Hits)/float64(o.Reads))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	tell := func(format string, values ...any) { _, _ = fmt.Fprintf(&text, format, values...) }
	tell("\nmisses:\n")
	for _, name := range slices.Sorted(maps.Keys(r.Operations)) {
		misses := r.Operations[name].Misses
		whys := slices.SortedFunc(maps.Keys(misses), func(a, b string) int { return misses[b] - misses[a] })
		for _, why := range whys[:min(len(whys), most)] {
			tell("  %6d %s: %s\n", misses[why], name, why)
		}
	}
	tell("\n%.1f requests/s over %.1f s; %d writes (%.1f %%), %d of them refused with userErrors\n",
		r.Rate, r.Seconds, r.Writes, 100*float64(r.Writes)/float64(max(r.Requests, 1)), r.Refused)
	tell("cache: %d of %d cacheable reads hit (%.1f %%)\n", r.Hits, r.Reads, 100*r.HitRate)
	if r.CalmReads < r.Reads {
		tell("outside outages: %d of %d (%.1f %%)\n", r.CalmHits, r.CalmReads, 100*r.CalmHitRate)
	}
	tell("checked: %d entities in %d answers; %d stale, %d foreign\n", r.Checked, r.CheckedReads, r.Stale, r.Foreign)
	for _, what := range slices.Sorted(maps.Keys(r.Faults)) {
		tell("  %d %s\n", r.Faults[what], what)
	}
	for _, words := range r.Findings {
		tell("  %s\n", words)
	}
	if r.Excused+r.DuringOutages > 0 {
		tell("during outages: %d errors, %d answers that missed what others had written\n", r.Excused, r.DuringOutages)
	}
	if len(r.Failures) > 0 {
		tell("errors: %s\n", strings.Join(r.Failures, "\n        "))
	}
	_, err := text.WriteTo(to)
	return err
}
