package alerts

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// For how long something may wait before somebody is told. Each is far above what a
// server's end or a busy hour makes of it.
const (
	eventsWait   = 30 * time.Second
	webhooksWait = 5 * time.Minute
	messagesWait = 5 * time.Minute
	postsWait    = time.Minute
	// objects of uploads that were cut off wait for an hour by themselves.
	objectsWait = 3 * time.Hour
)

// The metrics of other parts that rules read. They are registered where these parts are.
const (
	outboxOldest     = "taskmed_outbox_oldest_waiting_seconds"
	webhooksOverdue  = "taskmed_webhook_oldest_overdue_seconds"
	webhooksWaiting  = "taskmed_webhook_deliveries_waiting"
	webhookAttempts  = "taskmed_webhook_attempts_total"
	webhookPauses    = "taskmed_webhook_pauses_total"
	messagesOldest   = "taskmed_messages_oldest_waiting_seconds"
	postsOverdue     = "taskmed_channel_posts_overdue_seconds"
	posts            = "taskmed_channel_posts_total"
	attachmentsStore = "taskmed_attachments_store_up"
	removalsOldest   = "taskmed_attachment_removals_oldest_waiting_seconds"
	maintenanceRuns  = "taskmed_maintenance_runs_total"
)

// queues are the rules about what waits until an instance comes to it, and what it is to do
// by itself.
func queues() []Rule {
	return []Rule{
		waits(Rule{Name: "EventsWait", Severity: "critical", Summary: "Events that are committed get no positions: webhooks, changes and subscriptions stand still"},
			outboxOldest, nil, eventsWait, ""),
		waits(Rule{Name: "WebhooksWait", Severity: "warning", Summary: "Webhooks that are due are not sent: the sender does not come to them, or an endpoint takes less than there is"},
			webhooksOverdue, nil, webhooksWait, ""),
		webhooksInVain(),
		happens(Rule{Name: "WebhookPaused", Severity: "warning", Summary: "A webhook endpoint was paused, because it took nothing for three days or is gone"},
			webhookPauses, nil, ""),
		waits(Rule{Name: "MessagesWait", Severity: "warning", Summary: "Messages to contacts are not sent: the channel's provider does not take them, or no worker does"},
			messagesOldest, map[string]string{"direction": "out"}, messagesWait, "channel"),
		waits(Rule{Name: "PostsWait", Severity: "critical", Summary: "What contacts wrote is there and not in their conversations: no worker comes to it"},
			postsOverdue, nil, postsWait, "channel"),
		happens(Rule{Name: "PostsGivenUp", Severity: "warning", Summary: "What a channel's provider posted could not be understood and is in no conversation: the account's lastError says why"},
			posts, map[string]string{"outcome": "given_up"}, "channel"),
		{
			Name: "AttachmentsStore", Severity: "critical", Summary: "The store of attachments cannot be reached: files are neither taken nor served",
			Threshold: 1, Unit: "up", For: "1m", Query: attachmentsStore + " == 0",
			each: func(now Judged) (found []Crossing) {
				for of, up := range now.figures.least(attachmentsStore, nil) {
					if up == 0 {
						found = append(found, Crossing{of, up})
					}
				}
				return found
			},
		},
		waits(Rule{Name: "AttachmentsStay", Severity: "warning", Summary: "Files that were to be removed from the store of attachments are still there"},
			removalsOldest, nil, objectsWait, ""),
		happens(Rule{Name: "MaintenanceFailed", Severity: "warning", Summary: "The daily maintenance failed, and the log says why: taskmed maintain does it by hand"},
			maintenanceRuns, map[string]string{"outcome": "failed"}, ""),
	}
}

// waits makes a rule about a gauge that tells for how long something has waited. by is the
// label that tells its subjects apart, or "".
func waits(rule Rule, metric string, labels map[string]string, limit time.Duration, by string) Rule {
	rule.Threshold, rule.Unit, rule.For = limit.Seconds(), "s", "1m"
	rule.Query = fmt.Sprintf("max%s (%s%s) > %g", grouped(by), metric, selector(labels), limit.Seconds())
	rule.each = func(now Judged) (found []Crossing) {
		for of, value := range now.figures.least(metric, labels) {
			if value > limit.Seconds() {
				found = append(found, Crossing{of, value})
			}
		}
		return found
	}
	return rule
}

// happens makes a rule about a counter of what is not to happen.
func happens(rule Rule, metric string, labels map[string]string, by string) Rule {
	rule.Threshold, rule.Unit, rule.For = 1, "times", "0s"
	rule.Query = fmt.Sprintf("sum%s (increase(%s%s[%s])) > 0", grouped(by), metric, selector(labels), lately)
	rule.each = func(now Judged) (found []Crossing) {
		for of, value := range now.figures.rise(metric, labels) {
			if value > 0 {
				found = append(found, Crossing{of, value})
			}
		}
		return found
	}
	return rule
}

// webhooksInVain tells of attempts of which none is taken: with one partner that is the
// partner's, with many it is more likely ours.
func webhooksInVain() Rule {
	failed, delivered := map[string]string{"outcome": "failed"}, map[string]string{"outcome": "delivered"}
	const enough = 10
	return Rule{
		Name: "WebhooksInVain", Severity: "warning", Summary: "Webhooks are sent, and within a quarter of an hour no endpoint took one",
		Threshold: enough, Unit: "times", For: "1m",
		Query: fmt.Sprintf("max(%[1]s) > 0 and sum(increase(%[2]s%[3]s[%[5]s])) >= %[6]d and sum(increase(%[2]s%[4]s[%[5]s])) == 0",
			webhooksWaiting, webhookAttempts, selector(failed), selector(delivered), lately, enough),
		each: func(now Judged) (found []Crossing) {
			vain, taken := now.figures.rise(webhookAttempts, failed), now.figures.rise(webhookAttempts, delivered)
			if now.figures.least(webhooksWaiting, nil)[""] > 0 && vain[""] >= enough && taken[""] == 0 {
				found = append(found, Crossing{Value: vain[""]})
			}
			return found
		},
	}
}

func grouped(by string) string {
	if by == "" {
		return ""
	}
	return " by (" + by + ")"
}

// selector is PromQL for series with labels.
func selector(labels map[string]string) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		parts = append(parts, fmt.Sprintf("%s=%q", name, labels[name]))
	}
	if len(parts) == 0 {
		return ""
	}
	return "{" + strings.Join(parts, ",") + "}"
}
