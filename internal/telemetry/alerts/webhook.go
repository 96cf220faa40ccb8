package alerts

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/taskmed/taskmed/internal/telemetry/dashboard"
)

const (
	// waiting is how many alerts may wait to be sent; more are dropped.
	waiting = 32
	// tries and patience bound the sending of one.
	tries    = 3
	patience = 5 * time.Second
)

var errRefused = errors.New("alerts: the webhook did not take the alert")

// webhook sends alerts to an address of the operator's choice.
type webhook struct {
	url    string
	log    *slog.Logger
	client *http.Client
	queue  chan dashboard.Alert
	stop   context.CancelFunc
	done   sync.WaitGroup
}

func newWebhook(ctx context.Context, url string, log *slog.Logger) *webhook {
	ctx, stop := context.WithCancel(ctx)
	w := &webhook{url: url, log: log, client: &http.Client{Timeout: patience}, queue: make(chan dashboard.Alert, waiting), stop: stop}
	w.done.Go(func() { w.run(ctx) })
	return w
}

// send never waits.
func (w *webhook) send(alert dashboard.Alert) {
	select {
	case w.queue <- alert:
	default:
		w.log.Warn("alert not sent: too many wait", slog.String("alert", alert.Name))
	}
}

func (w *webhook) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case alert := <-w.queue:
			w.deliver(ctx, alert)
		}
	}
}

// deliver posts an alert as JSON, in the shape that Snapshot has it.
func (w *webhook) deliver(ctx context.Context, alert dashboard.Alert) {
	body, err := json.Marshal(alert)
	for try := 1; err == nil && try <= tries; try++ {
		if err = w.post(ctx, body); err == nil {
			return
		}
		pause := time.NewTimer(time.Duration(try) * time.Second)
		select {
		case <-ctx.Done():
			pause.Stop()
			return
		case <-pause.C:
		}
	}
	// The error's words would hold the address, which may hold a secret.
	w.log.WarnContext(ctx, "alert not sent: the webhook does not take it", slog.String("alert", alert.Name))
}

func (w *webhook) post(ctx context.Context, body []byte) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := w.client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }() // nothing was read
	if answer.StatusCode >= http.StatusMultipleChoices {
		return errRefused
	}
	return nil
}

func (w *webhook) close() {
	w.stop()
	w.done.Wait()
}
