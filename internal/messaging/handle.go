package messaging

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"github.com/taskmed/taskmed/internal/database"
	"github.com/taskmed/taskmed/internal/validate"
	"github.com/taskmed/taskmed/models"
)

// MarkConversationRead marks what the contact wrote as read, up to a message. Mistakes
// come back as models.Invalid.
func (c *Correspondence) MarkConversationRead(ctx context.Context, input models.MarkConversationReadInput) (*models.Conversation, error) {
	var in validate.Input
	id := in.ID("id", models.KindConversation, input.ID)
	var upTo *uuid.UUID
	if input.UpToMessageID != nil {
		message := in.ID("upToMessageId", models.KindMessage, *input.UpToMessageID)
		upTo = &message
	}
	if err := in.Err(); err != nil {
		return nil, err
	}
	return database.InTenant(ctx, c.db, func(tx *gorm.DB) (*models.Conversation, error) {
		conversation, err := lock(tx, "id", id)
		if err != nil {
			return nil, err
		}
		last, err := place(tx, conversation, upTo)
		if err != nil || last == nil {
			return conversation, err
		}
		// Nobody writes to the thread meanwhile: the conversation is locked.
		var unread int64
		err = tx.Model(&models.Message{}).
			Where("conversation_id = ? AND direction = ? AND (created_at, id) > (?, ?)", id, models.MessageDirectionInbound, last.CreatedAt, last.ID).
			Count(&unread).Error
		if err != nil {
			return nil, err
		}
		read, until := max(conversation.ReadCount, conversation.ReceivedCount-int(unread)), later(conversation.ReadUntil, last.CreatedAt)
		if read == conversation.ReadCount && conversation.ReadUntil != nil && until.Equal(*conversation.ReadUntil) {
			return conversation, nil
		}
		return change(tx, conversation, map[string]any{"read_count": read, "read_until": until})
	})
}

// place is the message up to which a thread is read, the last one where none is named;
// nil where there is none at all.
func place(tx *gorm.DB, conversation *models.Conversation, upTo *uuid.UUID) (*models.Message, error) {
	var found []*models.Message
	those := tx.Select("id", "created_at").Where("conversation_id = ?", conversation.ID)
	if upTo != nil {
		those = those.Where("id = ?", *upTo)
	}
	if err := those.Order("created_at DESC, id DESC").Limit(1).Find(&found).Error; err != nil {
		return nil, err
	}
	switch {
	case len(found) > 0:
		return found[0], nil
	case upTo != nil:
		return nil, models.Refuse(models.UserErrorCodeNotFound, "upToMessageId", "this conversation has no such message", conversation.GetID())
	}
	return nil, nil //nolint:nilnil // a thread without messages has no last one
}

func later(before *time.Time, than time.Time) time.Time {
	if before != nil && before.After(than) {
		return *before
	}
	return than
}

// AssignConversation says which member takes care of a conversation. Mistakes come back
// as models.Invalid.
func (c *Correspondence) AssignConversation(ctx context.Context, input models.AssignConversationInput) (*models.Conversation, error) {
	var in validate.Input
	id := in.ID("id", models.KindConversation, input.ID)
	var assignee *uuid.UUID
	if input.MemberID != nil {
		member := in.ID("memberId", models.KindMember, *input.MemberID)
		assignee = &member
	}
	if err := in.Err(); err != nil {
		return nil, err
	}
	return database.InTenant(ctx, c.db, func(tx *gorm.DB) (*models.Conversation, error) {
		conversation, err := lock(tx, "id", id)
		if err != nil {
			return nil, err
		}
		if assignee != nil {
			if err := present(tx, *assignee); err != nil {
				return nil, err
			}
		}
		if equal(conversation.AssigneeID, assignee) {
			return conversation, nil
		}
		return change(tx, conversation, map[string]any{"assignee_id": assignee})
	})
}

// present looks whether a member still belongs to the clinic.
func present(tx *gorm.DB, id uuid.UUID) error {
	var member models.Member
	err := tx.Select("id", "revoked_at").Where("id = ?", id).Take(&member).Error
	switch {
	case errors.Is(err, gorm.ErrRecordNotFound):
		return models.Refuse(models.UserErrorCodeNotFound, "memberId", "this clinic has no such member")
	case err == nil && member.RevokedAt != nil:
		return models.Refuse(models.UserErrorCodeConflict, "memberId", "this member belongs to the clinic no more: choose another one", member.GetID())
	}
	return err
}

func equal(a, b *uuid.UUID) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

// CloseConversation puts a conversation away; one that is away already stays as it is.
func (c *Correspondence) CloseConversation(ctx context.Context, input models.CloseConversationInput) (*models.Conversation, error) {
	return c.turn(ctx, input.ID, models.ConversationStatusClosed)
}

// ReopenConversation makes it the clinic's turn; where it is that already, nothing changes.
func (c *Correspondence) ReopenConversation(ctx context.Context, input models.ReopenConversationInput) (*models.Conversation, error) {
	return c.turn(ctx, input.ID, models.ConversationStatusOpen)
}

func (c *Correspondence) turn(ctx context.Context, global string, status models.ConversationStatus) (*models.Conversation, error) {
	var in validate.Input
	id := in.ID("id", models.KindConversation, global)
	if err := in.Err(); err != nil {
		return nil, err
	}
	return database.InTenant(ctx, c.db, func(tx *gorm.DB) (*models.Conversation, error) {
		conversation, err := lock(tx, "id", id)
		if err != nil || conversation.Status == status {
			return conversation, err
		}
		return change(tx, conversation, map[string]any{"status": status})
	})
}
