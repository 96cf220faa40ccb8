package messaging

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/taskmed/taskmed/internal/messaging/channel"
	"github.com/taskmed/taskmed/models"
)

// outgoing is a message that is to be sent.
type outgoing struct {
	ClinicID       uuid.UUID `gorm:"primaryKey;<-:create"`
	MessageID      uuid.UUID `gorm:"primaryKey;<-:create"`
	ConversationID uuid.UUID
	Attempts       int        `gorm:"<-:update"`
	DueAt          *time.Time `gorm:"<-:update"`
	TakenAt        *time.Time `gorm:"<-:update"`
}

// TableName is where they wait.
func (outgoing) TableName() string { return "outgoing_messages" }

const (
	// mostAttempts bounds how often a message is tried to be sent that the provider does
	// not take now: over some two hours.
	mostAttempts = 12
	// longestSend bounds one call of a provider. It is less than a lease.
	longestSend = 45 * time.Second

	longestFailure = 500

	unknownOutcome = "outcome unknown: it was being sent when the connection or the server broke off, and is not sent again"
	noAccount      = "the clinic has no active account for this channel: make one with createChannelAccount, and send the message again"
)

// delivery is a message that was taken to be sent.
type delivery struct {
	message *outgoing
	account *models.ChannelAccount
	out     channel.Outbound
}

// deliverSome sends messages of the context's clinic that are due, and tells how many it
// took.
func (w *Worker) deliverSome(ctx context.Context) (int, error) {
	taken := 0
	for ; taken < w.mostAtOnce; taken++ {
		d, more, err := w.take(ctx)
		if err != nil || !more {
			return taken, err
		}
		if d != nil {
			if err := w.deliver(ctx, d); err != nil {
				return taken + 1, err
			}
		}
	}
	return taken, nil
}

// due is the first message that is due of a conversation of which nothing waits before it.
const due = `SELECT o.* FROM outgoing_messages o
	WHERE o.clinic_id = app_clinic() AND o.due_at <= clock_timestamp()
	  AND NOT EXISTS (SELECT FROM outgoing_messages b WHERE b.clinic_id = app_clinic() AND b.conversation_id = o.conversation_id
	    AND (b.created_at, b.message_id) < (o.created_at, o.message_id))
	ORDER BY o.due_at, o.message_id LIMIT 1 FOR UPDATE OF o SKIP LOCKED`

// take takes a message to be sent, and says so before anybody is asked to send it. more
// is false where nothing is due; without a delivery there was something else to say of
// the message.
func (w *Worker) take(ctx context.Context) (d *delivery, more bool, err error) {
	var of models.Channel
	var ended string
	err = w.talk.db.InTenant(ctx, func(tx *gorm.DB) error {
		d, more, ended = nil, false, ""
		message := &outgoing{}
		if err := tx.Raw(due).Limit(1).Find(message).Error; err != nil || message.MessageID == uuid.Nil {
			return err
		}
		more = true
		account, out, by, err := prepare(tx, message)
		if err != nil {
			return err
		}
		of = by
		if message.TakenAt != nil { // somebody took it and never came back
			ended = outcomeUnknown
			return fail(tx, message, unknownOutcome)
		}
		if account == nil {
			ended = outcomeFailed
			return fail(tx, message, noAccount)
		}
		at, free, err := pace(tx, account)
		if err != nil {
			return err
		}
		if !free {
			more = false
			return tx.Model(&outgoing{}).Where("message_id = ?", message.MessageID).Updates(map[string]any{"due_at": at}).Error
		}
		message.Attempts++
		d = &delivery{message, account, out}
		return tx.Model(&outgoing{}).Where("message_id = ?", message.MessageID).Updates(map[string]any{
			"attempts": message.Attempts, "taken_at": gorm.Expr("clock_timestamp()"), "due_at": gorm.Expr("clock_timestamp() + make_interval(secs => ?)", lease.Seconds()),
		}).Error
	})
	if err == nil && ended != "" {
		w.counted.Sent(of, ended)
	}
	return d, more, err
}

// prepare reads what a message is sent with, and in which channel: no account where the
// clinic has none for it.
func prepare(tx *gorm.DB, of *outgoing) (*models.ChannelAccount, channel.Outbound, models.Channel, error) {
	var row struct {
		Body, Clinic string
		Channel      models.Channel
		ContactID    uuid.UUID
		AccountID    *uuid.UUID
	}
	err := tx.Raw(`SELECT m.body, c.channel, c.contact_id, c.account_id, k.name AS clinic FROM messages m
		JOIN conversations c ON c.clinic_id = app_clinic() AND c.id = m.conversation_id JOIN clinics k ON k.id = app_clinic()
		WHERE m.clinic_id = app_clinic() AND m.id = ?`, of.MessageID).Take(&row).Error
	if err != nil {
		return nil, channel.Outbound{}, "", err
	}
	out := channel.Outbound{ID: models.KindMessage.Global(of.MessageID), Body: row.Body, Clinic: row.Clinic}
	err = tx.Model(&models.ContactIdentity{}).Where("contact_id = ? AND channel = ?", row.ContactID, row.Channel).
		Order("verified_at DESC NULLS LAST, created_at DESC, id").Pluck("value", &out.To).Error
	if err != nil {
		return nil, out, "", err
	}
	// The conversation's, or else the only one.
	var accounts []*models.ChannelAccount
	those := tx.Where("channel = ? AND active", row.Channel)
	if row.AccountID != nil {
		those = those.Where("id = ?", *row.AccountID)
	}
	if err := those.Order("created_at, id").Limit(1).Find(&accounts).Error; err != nil || len(accounts) == 0 {
		return nil, out, row.Channel, err
	}
	return accounts[0], out, row.Channel, nil
}

// every is how far apart a channel's messages of one account are.
func every(of models.Channel) time.Duration {
	switch of {
	case models.ChannelWhatsapp:
		return time.Second / 80 // Cloud API's limit for a number
	case models.ChannelEmail, models.ChannelSms:
		return time.Second / 10
	case models.ChannelWeb:
	}
	return time.Millisecond
}

// pace takes the account's next turn, or says when that is.
func pace(tx *gorm.DB, account *models.ChannelAccount) (at time.Time, free bool, err error) {
	var next []time.Time
	err = tx.Raw(`UPDATE channel_accounts SET next_send_at = clock_timestamp() + make_interval(secs => ?)
		WHERE clinic_id = app_clinic() AND id = ? AND next_send_at <= clock_timestamp() RETURNING next_send_at`, every(account.Channel).Seconds(), account.ID).
		Pluck("next_send_at", &next).Error
	if err != nil || len(next) > 0 {
		return time.Time{}, len(next) > 0, err
	}
	err = tx.Raw("SELECT next_send_at FROM channel_accounts WHERE clinic_id = app_clinic() AND id = ?", account.ID).Row().Scan(&at)
	return at, false, err
}

// fail says that a message was not sent, and is not going to be.
func fail(tx *gorm.DB, of *outgoing, reason string) error {
	gone := tx.Where("message_id = ?", of.MessageID).Delete(&outgoing{})
	if gone.Error != nil || gone.RowsAffected == 0 { // the provider has told of it meanwhile
		return gone.Error
	}
	_, err := advance(tx, "", &channel.Receipt{MessageID: models.KindMessage.Global(of.MessageID), Status: models.MessageStatusFailed, Failure: reason})
	return err
}

// deliver sends a message that was taken, and says what came of it.
func (w *Worker) deliver(ctx context.Context, d *delivery) error {
	sent, err := w.send(ctx, d)
	ended := w.talk.now()
	// Whatever happens now, the provider has been asked: it is written down although the
	// worker is to stop.
	ctx = context.WithoutCancel(ctx)
	for attempt := 1; ; attempt++ {
		lost := w.talk.db.InTenant(ctx, func(tx *gorm.DB) error { return w.record(tx, d, sent, ended, err) })
		if lost == nil {
			w.counted.Sent(d.account.Channel, became(d, err))
		}
		if lost == nil || attempt == mostRecordings {
			return lost
		}
		<-time.After(w.backoff(attempt))
	}
}

// mostRecordings bounds how often it is tried to write down what came of a message.
const mostRecordings = 5

func (w *Worker) send(ctx context.Context, d *delivery) (channel.Sent, error) {
	account, adapter, err := w.talk.opened(d.account)
	if err != nil {
		return channel.Sent{}, &channel.Refused{Reason: "the account's settings cannot be read: give them anew"}
	}
	w.seams.at("sending")
	ctx, done := context.WithTimeout(ctx, longestSend)
	defer done()
	sent, err := adapter.Send(ctx, account, d.out)
	w.seams.at("sent")
	return sent, err
}

// became is what came of an attempt to send a message.
func became(d *delivery, err error) string {
	_, refused := errors.AsType[*channel.Refused](err)
	_, later := errors.AsType[*channel.Later](err)
	switch {
	case err == nil:
		return outcomeSent
	case later && d.message.Attempts < mostAttempts:
		return outcomePutOff
	case later:
		return outcomeGivenUp
	case refused:
		return outcomeFailed
	}
	return outcomeUnknown
}

// record writes down what came of a message.
func (w *Worker) record(tx *gorm.DB, d *delivery, sent channel.Sent, at time.Time, err error) error {
	refused, _ := errors.AsType[*channel.Refused](err)
	later, _ := errors.AsType[*channel.Later](err)
	switch became(d, err) {
	case outcomeSent:
		_, lost := advance(tx, d.account.Channel, &channel.Receipt{MessageID: d.out.ID, Reference: sent.Reference, Status: models.MessageStatusSent, At: at})
		return errors.Join(lost, tell(tx, d.account.ID, ""))
	case outcomePutOff:
		after := max(later.After, w.backoff(d.message.Attempts))
		return errors.Join(tell(tx, d.account.ID, later.Reason), tx.Model(&outgoing{}).Where("message_id = ?", d.message.MessageID).Updates(map[string]any{
			"taken_at": nil, "due_at": gorm.Expr("clock_timestamp() + make_interval(secs => ?)", after.Seconds()),
		}).Error)
	case outcomeGivenUp:
		return errors.Join(fail(tx, d.message, later.Reason), tell(tx, d.account.ID, later.Reason))
	case outcomeFailed:
		return errors.Join(fail(tx, d.message, refused.Reason), tell(tx, d.account.ID, refused.Reason))
	}
	w.log.Warn("nobody knows whether a message was sent", slog.String("message", d.out.ID), slog.Any("error", err))
	return fail(tx, d.message, unknownOutcome)
}
