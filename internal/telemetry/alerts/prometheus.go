package alerts

import (
	"fmt"
	"strings"
)

// burn is an alert on how fast the errors that the objective allows are used
// up: the share of them that is gone after the long window, looked at over a
// long window and a short one, so that it ends soon after its cause
// (https://sre.google/workbook/alerting-on-slos/, section 6).
type burn struct {
	rate        float64
	long, short string
	severity    string
	spent       string
}

func burns() []burn {
	return []burn{
		{14.4, "1h", "5m", "critical", "2 % of a month's errors within an hour"},
		{6, "6h", "30m", "critical", "5 % of a month's errors within six hours"},
		{3, "1d", "2h", "warning", "a tenth of a month's errors within a day"},
		{1, "3d", "6h", "warning", "a month's errors within a month"},
	}
}

// PrometheusRules is deploy/prometheus/rules.yml: the thresholds that an
// instance watches by itself, and the objective, which only Prometheus
// remembers for long enough.
func PrometheusRules() []byte {
	var text strings.Builder
	text.WriteString("# Written by `make generate` from internal/telemetry: change it there.\ngroups:\n  - name: taskmed-thresholds\n    rules:\n")
	for _, rule := range Rules() {
		writeRule(&text, "TaskMed"+rule.Name, rule.Query, rule.For, rule.Severity, rule.Summary)
	}
	writeRule(&text, "TaskMedDown", `up{job="taskmed"} == 0`, "30s", "critical", "An instance cannot be scraped")
	text.WriteString("  - name: taskmed-errors\n    rules:\n")
	for _, window := range []string{"5m", "30m", "1h", "2h", "6h", "1d", "3d"} {
		fmt.Fprintf(&text, "      - record: taskmed:request_failures:ratio_rate%s\n        expr: |-\n          sum(rate(taskmed_requests_total{outcome=\"failed\"}[%s]))\n            / sum(rate(taskmed_requests_total{outcome!=\"canceled\"}[%s]))\n", window, window, window)
	}
	text.WriteString("  - name: taskmed-objective\n    rules:\n")
	for _, b := range burns() {
		over := func(window string) string {
			return fmt.Sprintf("taskmed:request_failures:ratio_rate%s > %.4f", window, b.rate*(1-objective))
		}
		writeRule(&text, "TaskMedErrorBudgetBurn"+strings.ToUpper(b.long), over(b.long)+" and "+over(b.short), "1m", b.severity,
			fmt.Sprintf("The objective of %.1f %% is being missed: %s", objective*100, b.spent))
	}
	return []byte(text.String())
}

func writeRule(text *strings.Builder, name, expr, wait, severity, summary string) {
	fmt.Fprintf(text, "      - alert: %s\n        expr: |-\n          %s\n        for: %s\n        labels:\n          severity: %s\n        annotations:\n          summary: %q\n",
		name, expr, wait, severity, summary)
}
