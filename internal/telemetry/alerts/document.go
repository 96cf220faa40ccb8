package alerts

import (
	"fmt"
	"strings"
	"time"
)

// Markdown is the alerts' part of docs/observability.md.
func Markdown() string {
	var text strings.Builder
	text.WriteString("## Alerts\n\n" + alerting + "\n| alert | threshold | severity | what | in Prometheus after |\n|---|---|---|---|---|\n")
	for _, rule := range Rules() {
		fmt.Fprintf(&text, "| `%s` | %s | %s | %s | %s |\n", rule.Name, thresholdOf(rule), rule.Severity, rule.Summary, rule.For)
	}
	text.WriteString("\n" + objectives + "\n| burning | over | and over | severity | uses up |\n|---|---|---|---|---|\n")
	for _, b := range burns() {
		fmt.Fprintf(&text, "| %g times | %s | %s | %s | %s |\n", b.rate, b.long, b.short, b.severity, b.spent)
	}
	return text.String()
}

func thresholdOf(rule Rule) string {
	switch rule.Unit {
	case "ms":
		return fmt.Sprintf("%g ms", rule.Threshold)
	case "s":
		return spoken(time.Duration(rule.Threshold) * time.Second)
	case "times":
		if rule.Threshold == 1 {
			return "once"
		}
		return fmt.Sprintf("%g times", rule.Threshold)
	case "ratio":
		return fmt.Sprintf("%g %%", rule.Threshold*100)
	default:
		return "no answer"
	}
}

func spoken(d time.Duration) string {
	switch {
	case d%time.Hour == 0:
		return fmt.Sprintf("%d h", d/time.Hour)
	case d%time.Minute == 0:
		return fmt.Sprintf("%d min", d/time.Minute)
	}
	return fmt.Sprintf("%d s", d/time.Second)
}

const alerting = `Every instance judges these by itself every 5 s, by what it saw in the last 10 s (the cache by the last minute, what happened so often by the last quarter of an hour). An alert that begins or ends is a line ` + "`alert`" + ` in the log, shows on the dashboard, sets ` + "`taskmed_alert_active`" + `, and is posted as JSON to ` + "`TASKMED_ALERT_WEBHOOK`" + `. It ends after 30 s below its threshold. ` + "`" + `SlowOperation` + "`" + `, ` + "`" + `SlowField` + "`" + ` and ` + "`" + `SlowStatement` + "`" + ` name what they are about as their ` + "`" + `subject` + "`" + `: from five calls on, and ten at a time at most. ` + "`" + `MessagesWait` + "`" + `, ` + "`" + `PostsWait` + "`" + ` and ` + "`" + `PostsGivenUp` + "`" + ` name a channel. What waits is told by every instance that knows of it: webhooks by the one that sends, all else by each. deploy/prometheus/rules.yml has the same thresholds, as ` + "`TaskMedResponseTime`" + ` and so on, and ` + "`TaskMedDown`" + `.
`

const objectives = `Prometheus also watches the objective that 99.9 % of the requests do not fail by a fault of the server's. ` + "`TaskMedErrorBudgetBurn…`" + ` says how fast the errors that it allows are being used up:
`
