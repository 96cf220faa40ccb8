package load

import (
	"context"
	"fmt"
)

const (
	inbox = `query Inbox { conversations(status: [OPEN, PENDING], channel: [WEB], first: 30) {
		nodes { id version status unreadCount contact { id version name } lastMessage { id body createdAt } } pageInfo { hasNextPage } } }`
	thread = `query Thread($id: ID!) { conversation(id: $id) { id version status contact { id version name }
		messages(last: 20) { nodes { id direction body status createdAt } } } }`
	talkTo   = `mutation Talk($input: StartConversationInput!) { startConversation(input: $input) { conversation { id version } userErrors { code message } } }`
	answerIt = `mutation Answer($input: SendMessageInput!) { sendMessage(input: $input) { message { conversation { id version } } userErrors { code message } } }`
	markRead = `mutation Read($input: MarkConversationReadInput!) { markConversationRead(input: $input) { conversation { id version } userErrors { code message } } }`
)

const (
	// talking is how much of registration's work is done in conversations, in percent.
	talking = 25
	// lookingAtInbox are the looks at all conversations, of 100 requests; the rest are
	// threads.
	lookingAtInbox = 50
	// newTalks are the writes that begin a conversation, and readTalks those that mark one
	// as read; the rest answer.
	newTalks, readTalks = 20, 40
)

// talks is the front desk's inbox. It is of the clinic's own page, from where nothing
// leaves the server.
func talks(ctx context.Context, t *turn) {
	switch drawn := t.dice.Float64() * 100; {
	case drawn < t.world.options.Writes:
		t.talk(ctx)
	case drawn < t.world.options.Writes+lookingAtInbox:
		t.inbox(ctx)
	default:
		t.thread(ctx)
	}
}

// talk writes to somebody, or answers, or marks as read.
func (t *turn) talk(ctx context.Context) {
	open := t.site().talking
	switch drawn := t.dice.Float64() * 100; {
	case drawn < newTalks || len(open) == 0:
		t.write(ctx, talkTo, map[string]any{"contactId": t.caller().ID, "channel": "WEB", "body": fmt.Sprint("load ", t.dice.IntN(1e6))}, "startConversation", "conversation")
	case drawn < newTalks+readTalks:
		t.write(ctx, markRead, map[string]any{"id": pick(t.dice, open)}, "markConversationRead", "conversation")
	default:
		t.write(ctx, answerIt, map[string]any{"conversationId": pick(t.dice, open), "body": fmt.Sprint("load ", t.dice.IntN(1e6))}, "sendMessage", "message.conversation")
	}
}

func (t *turn) inbox(ctx context.Context) {
	var shown struct {
		Conversations struct {
			Nodes []struct {
				entity
				Contact entity
			}
		}
	}
	t.read(ctx, inbox, nil, &shown, func(c *check) {
		for _, node := range shown.Conversations.Nodes {
			c.entities(node.entity, node.Contact)
		}
	})
}

func (t *turn) thread(ctx context.Context) {
	open := t.site().talking
	if len(open) == 0 {
		t.inbox(ctx)
		return
	}
	var shown struct {
		Conversation struct {
			entity
			Contact entity
		}
	}
	t.read(ctx, thread, map[string]any{"id": pick(t.dice, open)}, &shown, func(c *check) {
		c.entities(shown.Conversation.entity, shown.Conversation.Contact)
	})
}
