package metrics

import (
	"fmt"
	"slices"
	"strings"
)

// Markdown is the metrics' part of docs/observability.md.
func (c *Catalog) Markdown() string {
	var text strings.Builder
	text.WriteString("## Metrics\n\n| name | kind | labels | what |\n|---|---|---|---|\n")
	sorted := c.Metrics()
	slices.SortFunc(sorted, func(a, b Metric) int { return strings.Compare(a.Name, b.Name) })
	for _, m := range sorted {
		labels := ""
		if len(m.Labels) > 0 {
			labels = list(m.Labels)
		}
		fmt.Fprintf(&text, "| `%s` | %s | %s | %s |\n", m.Name, m.Kind, labels, m.Help)
	}
	fmt.Fprintf(&text, bounds, MaxOperations, MaxFamilies, MaxClinics)
	text.WriteString("`kind` is one of " + list(Kinds()) + " or `other`; `reason` one of " + list(append([]string{"hit"}, CacheReasons()...)) + " or `other`.\n")
	return text.String()
}

func list(names []string) string { return "`" + strings.Join(names, "`, `") + "`" }

const bounds = `
Histograms have classic buckets and native ones; one of the classic bounds is the alerts' 0.1 s to the nanosecond, while what an instance judges by itself is within a tenth. Where a request is traced, the observations of it, its operation and its statements carry the trace's id as an exemplar. Clients cannot add series: ` + "`field`" + ` is a field of the schema that has a resolver, ` + "`operation`" + ` a registered operation or one of the playground's examples (%d at most), ` + "`family`" + ` a verb and the tables of one of the code's own statements (%d at most), ` + "`clinic`" + ` one of the first %d clinics that were seen; all else is ` + "`other`" + `.
`
