package messaging

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/messaging/channel"
	"github.com/taskmed/taskmed/models"
)

// channelEvent is one thing that a provider has posted.
type channelEvent struct {
	ClinicID  uuid.UUID `gorm:"primaryKey;<-:create"`
	ID        uuid.UUID `gorm:"primaryKey;<-:create"`
	AccountID uuid.UUID
	Reference string
	Payload   []byte
	Attempts  int
	DueAt     *time.Time
	Failure   *string
}

// TableName is where events are kept.
func (channelEvent) TableName() string { return "channel_events" }

// errUnknownMessage is a receipt's whose message is not there, or not yet.
var errUnknownMessage = errors.New("the clinic has no such message")

const (
	// eventsAtOnce are claimed together, for as long as a lease lasts.
	eventsAtOnce = 50
	// longestGiving bounds the giving back of what was claimed, where a worker ends.
	longestGiving = 5 * time.Second
	// mostEventAttempts bounds how often an event is tried to be understood.
	mostEventAttempts = 10
)

// understandSome understands events of the context's clinic that are due, and tells how
// many it had.
func (w *Worker) understandSome(ctx context.Context) (int, error) {
	var events []*channelEvent
	err := w.talk.db.InTenant(ctx, func(tx *gorm.DB) error {
		return tx.Raw(`UPDATE channel_events e SET attempts = attempts + 1, due_at = clock_timestamp() + make_interval(secs => ?)
			FROM (SELECT id FROM channel_events WHERE clinic_id = app_clinic() AND due_at <= clock_timestamp() ORDER BY due_at, id LIMIT ? FOR UPDATE SKIP LOCKED) d
			WHERE e.clinic_id = app_clinic() AND e.id = d.id RETURNING e.*`, lease.Seconds(), eventsAtOnce).Find(&events).Error
	})
	if err != nil {
		return 0, err
	}
	faults := make([]error, len(events))
	var wg sync.WaitGroup
	for n, event := range events {
		w.places <- struct{}{}
		if ctx.Err() != nil {
			<-w.places
			faults[n] = w.giveBack(ctx, events[n:])
			break
		}
		wg.Go(func() {
			defer func() { <-w.places }()
			faults[n] = w.attempt(context.WithoutCancel(ctx), event) // the worker finishes what it is at
		})
	}
	wg.Wait()
	return len(events), cmp.Or(faults...)
}

// giveBack leaves events to others at once that were claimed and not begun.
func (w *Worker) giveBack(ctx context.Context, events []*channelEvent) error {
	ids := make([]uuid.UUID, len(events))
	for n, event := range events {
		ids[n] = event.ID
	}
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), longestGiving)
	defer done()
	return w.talk.db.InTenant(ctx, func(tx *gorm.DB) error {
		return tx.Model(&channelEvent{}).Where("id IN ? AND due_at > clock_timestamp()", ids).
			Updates(map[string]any{"due_at": gorm.Expr("clock_timestamp()"), "attempts": gorm.Expr("attempts - 1")}).Error
	})
}

// attempt understands an event that was claimed, beside others, or writes down why not.
// Servers do so beside each other anyway: whoever writes a thread has its row locked, who
// somebody is their address says, which is unique, and statuses only get further.
func (w *Worker) attempt(ctx context.Context, event *channelEvent) error {
	of, fault := w.understand(ctx, event)
	if err := w.finishEvent(ctx, event, fault); err != nil {
		return err
	}
	switch {
	case of == "": // Postgres did not say what it is
	case fault == nil:
		w.counted.Understood(of, outcomeUnderstood)
	case event.Attempts < mostEventAttempts:
		w.counted.Understood(of, outcomePutOff)
	case errors.Is(fault, errUnknownMessage):
		w.counted.Understood(of, outcomeUnknown)
	default:
		w.counted.Understood(of, outcomeGivenUp)
	}
	return nil
}

// understand does what an event tells of, and gives the channel that it came by.
func (w *Worker) understand(ctx context.Context, event *channelEvent) (models.Channel, error) {
	accounts, err := database.Rows[models.ChannelAccount](ctx, w.talk.db,
		"SELECT clinic_id, id, channel, address, settings FROM channel_accounts WHERE clinic_id = app_clinic() AND id = $1", event.AccountID)
	if err != nil {
		return "", err
	}
	if len(accounts) == 0 { // its rows refer to it: it is there
		return "", models.ErrNotFound
	}
	return accounts[0].Channel, w.follow(ctx, accounts[0], event)
}

// follow does what an event of an account's tells of.
func (w *Worker) follow(ctx context.Context, account *models.ChannelAccount, event *channelEvent) error {
	of, adapter, err := w.talk.opened(account)
	if err != nil {
		return err
	}
	in, receipt, err := adapter.Understand(of, event.Payload)
	switch {
	case err != nil:
		return err
	case in != nil:
		_, _, err := w.talk.Receive(ctx, Inbound{
			Channel: account.Channel, Account: &account.ID, Reference: reference(account.Channel, in.Reference), From: in.From, Name: in.Name, Body: in.Body, SentAt: in.SentAt,
		})
		return err
	case receipt != nil:
		return w.talk.db.InTenant(ctx, func(tx *gorm.DB) error {
			found, err := advance(tx, account.Channel, receipt)
			if err == nil && !found {
				return errUnknownMessage
			}
			return err
		})
	}
	return nil
}

// finishEvent lays an event aside that was understood, puts one off that was not, and in
// the end gives it up and tells the account's owner.
func (w *Worker) finishEvent(ctx context.Context, event *channelEvent, fault error) error {
	changes := map[string]any{"due_at": nil, "payload": nil, "failure": nil}
	switch {
	case fault == nil:
	case event.Attempts < mostEventAttempts:
		changes = map[string]any{"due_at": w.talk.clock(w.backoff(event.Attempts))}
	default:
		// A receipt of what is not ours is no fault: others may send by the same account.
		w.log.WarnContext(ctx, "what a channel's provider posted was given up", slog.String("account", models.KindChannelAccount.Global(event.AccountID)), slog.Any("error", fault))
		changes = map[string]any{"due_at": nil, "failure": cut(fault.Error(), longestFailure)}
		if errors.Is(fault, errUnknownMessage) {
			changes["payload"] = nil
		}
	}
	return w.talk.db.InTenant(ctx, func(tx *gorm.DB) error {
		if err := tx.Model(&channelEvent{}).Where("id = ?", event.ID).Updates(changes).Error; err != nil {
			return err
		}
		if changes["failure"] == nil || errors.Is(fault, errUnknownMessage) {
			return nil
		}
		return tell(tx, event.AccountID, "something that the provider posted could not be understood: "+fault.Error())
	})
}

// tell says on an account what is wrong with it; nothing where that is "".
func tell(tx *gorm.DB, account uuid.UUID, what string) error {
	var text *string
	if what != "" {
		what = cut(what, longestFailure)
		text = &what
	}
	return tx.Model(&models.ChannelAccount{}).Where("id = ? AND last_error IS DISTINCT FROM ?", account, text).Updates(map[string]any{"last_error": text}).Error
}

// rank orders what can be said of a message: it only gets further. That it was there, or
// read, is stronger than that it failed.
func rank(status models.MessageStatus) int {
	switch status {
	case models.MessageStatusQueued:
		return 0
	case models.MessageStatusSent:
		return 1
	case models.MessageStatusFailed:
		return 2
	case models.MessageStatusDelivered:
		return 3
	case models.MessageStatusRead:
		return 4
	}
	return 0
}

// advance writes down what is said of a message, in whatever order it is said; found is
// whether the clinic has the message.
func advance(tx *gorm.DB, of models.Channel, receipt *channel.Receipt) (found bool, err error) {
	message := &models.Message{}
	those := tx.Clauses(clause.Locking{Strength: "NO KEY UPDATE"}).Where("direction = ?", models.MessageDirectionOutbound)
	id, malformed := models.KindMessage.Parse(receipt.MessageID)
	if malformed == nil {
		those = those.Where("id = ?", id)
	} else {
		those = those.Where("external_reference = ?", reference(of, receipt.Reference))
	}
	if err := those.Limit(1).Find(message).Error; err != nil || message.ID == uuid.Nil {
		return false, err
	}
	changes := map[string]any{}
	if message.ExternalReference == nil && receipt.Reference != "" {
		changes["external_reference"] = reference(of, receipt.Reference)
	}
	for column, known := range map[string]struct {
		status models.MessageStatus
		at     *time.Time
	}{
		"sent_at": {models.MessageStatusSent, message.SentAt}, "delivered_at": {models.MessageStatusDelivered, message.DeliveredAt}, "read_at": {models.MessageStatusRead, message.ReadAt},
	} {
		if receipt.Status == known.status && (known.at == nil || receipt.At.Before(*known.at)) {
			changes[column] = receipt.At
		}
	}
	before, after := rank(message.Status), rank(receipt.Status)
	switch {
	case after > before:
		changes["status"], changes["failure"] = receipt.Status, nil
		if receipt.Status == models.MessageStatusFailed {
			changes["failure"] = failureOf(receipt)
		}
	case after == before && message.Failure != nil && failureOf(receipt) < *message.Failure:
		changes["failure"] = failureOf(receipt) // of two reasons always the same
	}
	if len(changes) > 0 {
		if err := tx.Model(&models.Message{}).Where("id = ?", message.ID).Updates(changes).Error; err != nil {
			return true, err
		}
	}
	// Whoever tells of it has it.
	return true, tx.Where("message_id = ?", message.ID).Delete(&outgoing{}).Error
}

func failureOf(receipt *channel.Receipt) string {
	return cut(orElse(receipt.Failure, "the provider could not deliver the message"), longestFailure)
}
