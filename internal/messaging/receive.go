package messaging

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/internal/validate"
	"github.com/taskmed/taskmed/models"
)

// meetings bounds how often somebody new is looked for whom another message makes known
// meanwhile.
const meetings = 5

// Inbound is a message that a contact wrote, as a channel's provider tells of it.
type Inbound struct {
	Channel models.Channel
	// Account is what it was received with; nil where that is not known.
	Account *uuid.UUID
	// Reference is the provider's own name of the message, up to 255 characters: it is
	// taken once.
	Reference string
	// From are the addresses by which the provider knows who wrote, the most lasting
	// first; a phone is in E.164.
	From []string
	// Name is what they call themselves; it may be empty.
	Name string
	Body string
	// SentAt is the provider's instant.
	SentAt time.Time
}

// Receive takes a message that a contact wrote, once: whom nobody knows becomes a lead.
// It gives the message and whether it is new.
func (c *Correspondence) Receive(ctx context.Context, in Inbound) (message *models.Message, fresh bool, err error) {
	if len(in.From) == 0 || in.Reference == "" {
		return nil, false, errors.New("messaging: a message has a reference and comes from somebody")
	}
	for range meetings {
		fresh = false
		message, err = database.InTenant(ctx, c.db, func(tx *gorm.DB) (*models.Message, error) {
			contact, err := sender(tx, in)
			if err != nil {
				return nil, err
			}
			conversation, err := open(tx, contact, in.Channel)
			if err != nil {
				return nil, err
			}
			var made *models.Message
			made, fresh, err = take(ctx, tx, conversation, in)
			return made, err
		})
		if constraint, violated := database.Violation(err); !violated || constraint != "idx_contact_identities_key" {
			break
		}
	}
	return message, fresh, err
}

// take adds a message to a locked conversation unless it is there already.
func take(ctx context.Context, tx *gorm.DB, conversation *models.Conversation, in Inbound) (*models.Message, bool, error) {
	scope, err := tenant.From(ctx)
	if err != nil {
		return nil, false, err
	}
	known := &models.Message{}
	err = tx.Where("external_reference = ?", in.Reference).Limit(1).Find(known).Error
	if err != nil || known.ID != uuid.Nil {
		return known, false, err
	}
	at, err := within(tx, conversation, in.SentAt)
	if err != nil {
		return nil, false, err
	}
	message := &models.Message{
		ID: idOf(scope.ClinicID, in), ConversationID: conversation.ID, Direction: models.MessageDirectionInbound, Status: models.MessageStatusDelivered,
		Body: bodyOf(in.Body), ExternalReference: &in.Reference, SentAt: &in.SentAt, CreatedAt: at,
	}
	if err := tx.Clauses(clause.Returning{}).Create(message).Error; err != nil {
		return nil, false, err
	}
	changes := map[string]any{"received_count": gorm.Expr("received_count + 1"), "status": models.ConversationStatusOpen}
	if in.Account != nil {
		changes["account_id"] = *in.Account
	}
	_, err = change(tx, conversation, changes)
	return message, true, err
}

// within is the place of a message in its thread: by the provider's clock, but not ahead
// of ours, and behind what was read already, or nobody would look there.
func within(tx *gorm.DB, conversation *models.Conversation, sent time.Time) (at time.Time, err error) {
	err = tx.Raw("SELECT greatest(least(?::timestamptz, clock_timestamp()), ?::timestamptz + interval '1 microsecond') AS at", sent, conversation.ReadUntil).
		Row().Scan(&at)
	return at, err
}

// idOf is a UUIDv7 that follows from the message: in whatever order a provider tells of
// several, the same rows come of it, and those of one instant stand in one order.
func idOf(clinic uuid.UUID, in Inbound) (id uuid.UUID) {
	sum := sha256.Sum256(append(append(clinic[:], in.Channel...), in.Reference...))
	copy(id[:], sum[:])
	var stamp [8]byte
	binary.BigEndian.PutUint64(stamp[:], uint64(max(0, in.SentAt.UnixMilli())))
	copy(id[:6], stamp[2:])
	id[6], id[8] = id[6]&0x0f|0x70, id[8]&0x3f|0x80
	return id
}

// bodyOf is a text as it can be stored, cut where it is too long; a message that holds
// nothing that can be read says so.
func bodyOf(text string) string {
	return cut(orElse(validate.Lines(printable(text)), "(…)"), longestBody)
}
