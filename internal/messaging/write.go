package messaging

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/tenant"
	"github.com/taskmed/taskmed/internal/validate"
	"github.com/taskmed/taskmed/models"
)

// longestBody is how many characters a message may have.
const longestBody = 10_000

// longestIn is how many characters a channel's messages may have.
func longestIn(channel models.Channel) int {
	switch channel {
	case models.ChannelWhatsapp:
		return 4096 // Cloud API, text.body
	case models.ChannelSms:
		return 1600
	case models.ChannelEmail, models.ChannelWeb:
	}
	return longestBody
}

// Started is a conversation and the message that it was begun with, if any.
type Started struct {
	Conversation *models.Conversation
	Message      *models.Message
}

// StartConversation begins a conversation with a contact, or finds theirs. Mistakes come
// back as models.Invalid.
func (c *Correspondence) StartConversation(ctx context.Context, input models.StartConversationInput) (*Started, error) {
	var in validate.Input
	contact := in.ID("contactId", models.KindContact, input.ContactID)
	body := in.OptionalLines("body", input.Body, longestIn(input.Channel))
	var account *uuid.UUID
	if input.AccountID != nil {
		id := in.ID("accountId", models.KindChannelAccount, *input.AccountID)
		account = &id
	}
	if err := in.Err(); err != nil {
		return nil, err
	}
	defer c.db.Committed(ctx, c.wake)
	return database.InTenant(ctx, c.db, func(tx *gorm.DB) (*Started, error) {
		if account != nil {
			if err := usable(tx, *account, input.Channel); err != nil {
				return nil, err
			}
		}
		if err := reachable(tx, contact, input.Channel); err != nil {
			return nil, err
		}
		conversation, err := open(tx, contact, input.Channel)
		if err != nil {
			return nil, err
		}
		if account != nil && !equal(conversation.AccountID, account) {
			if conversation, err = change(tx, conversation, map[string]any{"account_id": *account}); err != nil {
				return nil, err
			}
		}
		if body == nil {
			if conversation.Status == models.ConversationStatusClosed {
				conversation, err = change(tx, conversation, map[string]any{"status": models.ConversationStatusOpen})
			}
			return &Started{Conversation: conversation}, err
		}
		conversation, message, err := say(ctx, tx, conversation, *body)
		return &Started{conversation, message}, err
	})
}

// SendMessage writes in a conversation. Mistakes come back as models.Invalid.
func (c *Correspondence) SendMessage(ctx context.Context, input models.SendMessageInput) (*models.Message, error) {
	var in validate.Input
	id := in.ID("conversationId", models.KindConversation, input.ConversationID)
	body := in.RequiredLines("body", input.Body, longestBody)
	if err := in.Err(); err != nil {
		return nil, err
	}
	defer c.db.Committed(ctx, c.wake)
	return database.InTenant(ctx, c.db, func(tx *gorm.DB) (*models.Message, error) {
		conversation, err := lock(tx, "conversationId", id)
		if err != nil {
			return nil, err
		}
		if most := longestIn(conversation.Channel); len([]rune(body)) > most {
			return nil, models.Refuse(models.UserErrorCodeTooLong, "body", fmt.Sprintf("in this channel a message may have %d characters at most", most))
		}
		_, message, err := say(ctx, tx, conversation, body)
		return message, err
	})
}

// say adds a message of the clinic's to a locked conversation. While something is unread
// it stays the clinic's turn: not who wrote last decides, but who has to.
func say(ctx context.Context, tx *gorm.DB, conversation *models.Conversation, body string) (*models.Conversation, *models.Message, error) {
	scope, err := tenant.From(ctx)
	if err != nil {
		return nil, nil, err
	}
	message := &models.Message{
		ID: models.NewID(), ConversationID: conversation.ID, Direction: models.MessageDirectionOutbound,
		Body: body, Status: models.MessageStatusQueued, Author: &scope.Subject,
	}
	if err := tx.Clauses(clause.Returning{}).Create(message).Error; err != nil {
		return nil, nil, err
	}
	if err := tx.Create(&outgoing{MessageID: message.ID, ConversationID: conversation.ID}).Error; err != nil {
		return nil, nil, err
	}
	status := models.ConversationStatusPending
	if conversation.UnreadCount() > 0 {
		status = models.ConversationStatusOpen
	}
	conversation, err = change(tx, conversation, map[string]any{"status": status})
	return conversation, message, err
}

// usable looks whether an account is there, of a channel, and sends.
func usable(tx *gorm.DB, id uuid.UUID, channel models.Channel) error {
	var account models.ChannelAccount
	err := tx.Select("id", "channel", "active").Where("id = ?", id).Take(&account).Error
	switch {
	case errors.Is(err, gorm.ErrRecordNotFound):
		return models.Refuse(models.UserErrorCodeNotFound, "accountId", "this clinic has no such account")
	case err == nil && account.Channel != channel:
		return models.Refuse(models.UserErrorCodeInvalid, "accountId", "this account is of another channel", account.GetID())
	case err == nil && !account.Active:
		return models.Refuse(models.UserErrorCodeConflict, "accountId", "this account is switched off", account.GetID())
	}
	return err
}

// open gives a contact's conversation in a channel, locked: there is one at most, and it
// is made where there is none.
func open(tx *gorm.DB, contact uuid.UUID, channel models.Channel) (*models.Conversation, error) {
	fresh := &models.Conversation{ID: models.NewID(), ContactID: contact, Channel: channel, Status: models.ConversationStatusOpen}
	if err := tx.Clauses(clause.OnConflict{DoNothing: true}).Create(fresh).Error; err != nil {
		return nil, err
	}
	conversation := &models.Conversation{}
	err := tx.Clauses(clause.Locking{Strength: "NO KEY UPDATE"}).Where("contact_id = ? AND channel = ?", contact, channel).Take(conversation).Error
	return conversation, err
}

// reachable looks whether a contact has an address in a channel, and takes what they
// gave the clinic for one where nothing else is known.
func reachable(tx *gorm.DB, id uuid.UUID, channel models.Channel) error {
	var contact models.Contact
	err := tx.Clauses(clause.Locking{Strength: "KEY SHARE"}).Select("id", "phone", "email").Where("id = ?", id).Take(&contact).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return models.Refuse(models.UserErrorCodeNotFound, "contactId", "this clinic has no such contact")
	}
	if err != nil {
		return err
	}
	known := &models.ContactIdentity{}
	err = tx.Where("contact_id = ? AND channel = ?", id, channel).Limit(1).Find(known).Error
	if err != nil || known.ID != uuid.Nil {
		return err
	}
	value, missing := contact.Phone, "this contact has no phone number: give them one first"
	switch channel {
	case models.ChannelWhatsapp, models.ChannelSms:
	case models.ChannelEmail:
		value, missing = contact.Email, "this contact has no e-mail address: give them one first"
	case models.ChannelWeb:
		value, missing = nil, "on the clinic's own page the contact writes first: choose another channel"
	}
	if value == nil {
		return models.Refuse(models.UserErrorCodeInvalid, "channel", missing, contact.GetID())
	}
	owner, err := claim(tx, id, channel, *value)
	if err != nil || owner == id {
		return err
	}
	return models.Refuse(models.UserErrorCodeTaken, "contactId", "in this channel this contact's address is known as another contact's: write to them, or give this one another address",
		models.KindContact.Global(owner))
}

// claim makes an address a contact's unless it is somebody's already, and says whose it is.
func claim(tx *gorm.DB, contact uuid.UUID, channel models.Channel, value string) (owner uuid.UUID, err error) {
	identity := &models.ContactIdentity{ID: models.NewID(), ContactID: contact, Channel: channel, Value: value}
	if err := tx.Clauses(clause.OnConflict{DoNothing: true}).Create(identity).Error; err != nil {
		return uuid.Nil, err
	}
	found := &models.ContactIdentity{}
	err = tx.Select("contact_id").Where("channel = ? AND key = contact_identity_key(?, ?)", channel, channel, value).Take(found).Error
	return found.ContactID, err
}
