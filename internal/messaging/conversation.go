package messaging

import (
	"fmt"

	"github.com/taskmed/taskmed/internal/entity"
	"github.com/taskmed/taskmed/internal/touched"
	"github.com/taskmed/taskmed/models"
)

// Conversation is what a contact and the clinic write to each other, as it is read.
func Conversation() entity.Declaration {
	return entity.Noun[models.Conversation]{
		Kind:    models.KindConversation,
		Columns: map[string][]string{"unreadCount": {"received_count", "read_count"}},
		One: map[string]entity.One{
			"contact":  {Kind: models.KindContact, Column: "contact_id"},
			"assignee": {Kind: models.KindMember, Column: "assignee_id"},
			"account":  {Kind: models.KindChannelAccount, Column: "account_id"},
		},
		Lists: []entity.List{
			{Field: "Query.conversations", Order: "updated_at", Desc: true, Filter: conversationFilter, Depends: dependsOnConversations},
			{Field: "Contact.conversations", Parent: "contact_id", Order: "updated_at", Desc: true},
		},
	}
}

// Message is one message of a conversation, as it is read.
func Message() entity.Declaration {
	return entity.Noun[models.Message]{
		Kind:  models.KindMessage,
		One:   map[string]entity.One{"conversation": {Kind: models.KindConversation, Column: "conversation_id"}},
		Lists: []entity.List{{Field: "Conversation.messages", Parent: "conversation_id", Order: "created_at"}},
		First: []entity.First{{Field: "Conversation.lastMessage", Parent: "conversation_id", Order: "created_at", Desc: true}},
	}
}

// ContactIdentity is an address by which a contact is known, as it is read.
func ContactIdentity() entity.Declaration {
	return entity.Noun[models.ContactIdentity]{
		All: []entity.All{{Field: "Contact.identities", Parent: "contact_id", Order: "created_at"}},
	}
}

func conversationFilter(q *entity.Query, args entity.Args) error {
	if err := q.PointsAt("assignee_id", "assigneeId", models.KindMember, entity.Arg[*string](args, "assigneeId")); err != nil {
		return err
	}
	if err := entity.In(q, "status", entity.Arg[[]models.ConversationStatus](args, "status")); err != nil {
		return err
	}
	if err := entity.In(q, "channel", entity.Arg[[]models.Channel](args, "channel")); err != nil {
		return err
	}
	if unread := entity.Arg[*bool](args, "unread"); unread != nil {
		if *unread {
			q.Where("read_count < received_count")
		} else {
			q.Where("read_count = received_count")
		}
	}
	return nil
}

// dependsOnConversations declares what decides which conversations are in a list: of its
// filters one, for what leaves or enters the list has each of them before or after.
func dependsOnConversations(r *entity.Reading, ask *entity.Ask) error {
	if global := entity.Arg[*string](ask.Args, "assigneeId"); global != nil {
		assignee, err := models.KindMember.Parse(*global)
		if err == nil {
			r.Depends(touched.OnID("conversation", "assignee", assignee))
		}
		return err
	}
	column, words, err := "status", []string(nil), error(nil)
	if statuses := entity.Arg[[]models.ConversationStatus](ask.Args, "status"); len(statuses) > 0 {
		words, err = models.StoredWords(statuses)
	} else if channels := entity.Arg[[]models.Channel](ask.Args, "channel"); len(channels) > 0 {
		column = "channel"
		words, err = models.StoredWords(channels)
	}
	if err != nil {
		return fmt.Errorf("what conversations depend on: %w", err)
	}
	for _, word := range words {
		r.Depends(touched.On("conversation", column, word))
	}
	if len(words) == 0 {
		r.Depends(touched.Of("conversation/list"))
	}
	return nil
}
