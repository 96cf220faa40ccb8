package resolvers

import (
	"context"

	"github.com/taskmed/taskmed/internal/messaging"
	"github.com/taskmed/taskmed/models"
)

func (r *mutationResolver) StartConversation(ctx context.Context, input models.StartConversationInput) (*models.StartConversationPayload, error) {
	started, err := r.talk.StartConversation(ctx, input)
	if started == nil {
		started = &messaging.Started{}
	}
	userErrors, err := mistakes(err)
	return &models.StartConversationPayload{Conversation: started.Conversation, Message: started.Message, UserErrors: userErrors}, err
}

func (r *mutationResolver) SendMessage(ctx context.Context, input models.SendMessageInput) (*models.SendMessagePayload, error) {
	message, err := r.talk.SendMessage(ctx, input)
	userErrors, err := mistakes(err)
	return &models.SendMessagePayload{Message: message, UserErrors: userErrors}, err
}

func (r *mutationResolver) MarkConversationRead(ctx context.Context, input models.MarkConversationReadInput) (*models.ConversationPayload, error) {
	return handled(r.talk.MarkConversationRead(ctx, input))
}

func (r *mutationResolver) CloseConversation(ctx context.Context, input models.CloseConversationInput) (*models.ConversationPayload, error) {
	return handled(r.talk.CloseConversation(ctx, input))
}

func (r *mutationResolver) ReopenConversation(ctx context.Context, input models.ReopenConversationInput) (*models.ConversationPayload, error) {
	return handled(r.talk.ReopenConversation(ctx, input))
}

func (r *mutationResolver) AssignConversation(ctx context.Context, input models.AssignConversationInput) (*models.ConversationPayload, error) {
	return handled(r.talk.AssignConversation(ctx, input))
}

// handled is the payload of a mutation that changes a conversation.
func handled(conversation *models.Conversation, err error) (*models.ConversationPayload, error) {
	userErrors, err := mistakes(err)
	return &models.ConversationPayload{Conversation: conversation, UserErrors: userErrors}, err
}
