package messaging

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/taskmed/taskmed/models"
)

// Waiting is what waits in a channel, over all clinics.
type Waiting struct {
	// Channel is as it is stored, Direction "out" or "in".
	Channel, Direction string
	Waiting            int64
	// Oldest is for how many seconds the oldest has waited.
	Oldest float64
	// Overdue is for how many seconds one has been due that waits for nothing but a worker;
	// of what comes in alone.
	Overdue float64
}

// Counted is told what is sent and understood.
type Counted interface {
	// Sent is told what came of an attempt to send a message.
	Sent(of models.Channel, outcome string)
	// Understood is told what came of an attempt to understand what a provider posted.
	Understood(of models.Channel, outcome string)
	// Waits is told all that waits.
	Waits(all []*Waiting)
}

type uncounted struct{}

func (uncounted) Sent(models.Channel, string)       {}
func (uncounted) Understood(models.Channel, string) {}
func (uncounted) Waits([]*Waiting)                  {}

// What comes of an attempt.
const (
	outcomeSent       = "sent"
	outcomeUnderstood = "understood"
	outcomePutOff     = "put_off"
	outcomeFailed     = "failed"
	outcomeUnknown    = "unknown"
	outcomeGivenUp    = "given_up"
)

type metrics struct {
	sent, understood *prometheus.CounterVec
	waiting, oldest  *prometheus.GaugeVec
	overdue          *prometheus.GaugeVec
}

// NewMetrics registers what is sent and understood.
func NewMetrics(registerer prometheus.Registerer) Counted {
	m := metrics{
		sent: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "taskmed_messages_sent_total",
			Help: "Attempts to send messages by channel and outcome: sent, put_off (tried again later), failed (the provider refuses it), given_up (it was put off too often), unknown (nobody knows whether it was sent: it is not sent again).",
		}, []string{"channel", "outcome"}),
		understood: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "taskmed_channel_posts_total",
			Help: "Attempts to understand what channels' providers posted, by channel and outcome: understood, put_off (tried again later), unknown (a receipt of a message that the clinic has not: others may send by the same account), given_up.",
		}, []string{"channel", "outcome"}),
		waiting: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "taskmed_messages_waiting",
			Help: "What waits over all clinics, by channel and direction: out are messages to be sent, in are posts of providers to be understood. The same on each instance.",
		}, []string{"channel", "direction"}),
		oldest: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "taskmed_messages_oldest_waiting_seconds",
			Help: "For how long the oldest of what waits has, by channel and direction; 0 where nothing waits. The same on each instance.",
		}, []string{"channel", "direction"}),
		overdue: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "taskmed_channel_posts_overdue_seconds",
			Help: "For how long a provider's post has been due and nobody has come to it, at most, by channel; 0 where none is. The same on each instance.",
		}, []string{"channel"}),
	}
	for _, of := range models.AllChannel {
		for _, outcome := range []string{outcomeSent, outcomePutOff, outcomeFailed, outcomeUnknown, outcomeGivenUp} {
			m.sent.WithLabelValues(label(of), outcome)
		}
		for _, outcome := range []string{outcomeUnderstood, outcomePutOff, outcomeUnknown, outcomeGivenUp} {
			m.understood.WithLabelValues(label(of), outcome)
		}
	}
	registerer.MustRegister(m.sent, m.understood, m.waiting, m.oldest, m.overdue)
	return m
}

func label(of models.Channel) string { return strings.ToLower(of.String()) }

func (m metrics) Sent(of models.Channel, outcome string) {
	m.sent.WithLabelValues(label(of), outcome).Inc()
}

func (m metrics) Understood(of models.Channel, outcome string) {
	m.understood.WithLabelValues(label(of), outcome).Inc()
}

func (m metrics) Waits(all []*Waiting) {
	for _, of := range models.AllChannel {
		for _, direction := range []string{"out", "in"} {
			var now Waiting // nothing, where nothing is told
			for _, one := range all {
				if one.Channel == label(of) && one.Direction == direction {
					now = *one
				}
			}
			m.waiting.WithLabelValues(label(of), direction).Set(float64(now.Waiting))
			m.oldest.WithLabelValues(label(of), direction).Set(now.Oldest)
			if direction == "in" {
				m.overdue.WithLabelValues(label(of)).Set(now.Overdue)
			}
		}
	}
}
