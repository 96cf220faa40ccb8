package messaging_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/models"
)

// A clinic's talk with a contact from its beginning.
func TestConversation_GoesItsCourse(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	begun, wrong := d.start(t, 0, "WHATSAPP", "Bom dia, Ana!\r\nAmanhã às 9?")
	require.Empty(t, wrong)
	require.Equal(t, "PENDING", begun.Status, "it is the contact's turn")
	require.Zero(t, begun.UnreadCount)
	require.Len(t, begun.Messages.Nodes, 1)
	first := begun.Messages.Nodes[0]
	require.Equal(t, "QUEUED", first.Status)
	require.Equal(t, "Bom dia, Ana!\nAmanhã às 9?", first.Body)
	require.Equal(t, "RECEPTIONIST@aurora.test", *first.Author)

	d.receive(t, texted("Pode ser às 10?", "+551187654321"))
	d.receive(t, texted("Ou às 11", "+5511987654321"))
	now := d.read(t, begun.ID)
	require.Equal(t, "OPEN", now.Status, "it is the clinic's turn")
	require.Equal(t, 2, now.UnreadCount)
	require.Equal(t, "Ou às 11", now.LastMessage.Body)
	require.Equal(t, "Ana Souza", now.Contact.Name)
	require.Len(t, now.Messages.Nodes, 3)
	require.Nil(t, now.Messages.Nodes[1].Author)

	marked, wrong := d.mark(t, begun.ID, now.Messages.Nodes[1].ID)
	require.Empty(t, wrong)
	require.Equal(t, 1, marked.UnreadCount)
	require.Equal(t, now.UpdatedAt, marked.UpdatedAt, "reading moves it to no other place in the list")
	sent, wrong := d.send(t, begun.ID, "Às 10, combinado.")
	require.Empty(t, wrong)
	require.Equal(t, "OPEN", sent.Status, "something is still unread")
	require.Equal(t, 1, sent.UnreadCount, "who writes has not read")
	marked, _ = d.mark(t, begun.ID, now.Messages.Nodes[0].ID)
	require.Equal(t, 1, marked.UnreadCount, "what was read stays so")
	marked, _ = d.mark(t, begun.ID, "")
	require.Zero(t, marked.UnreadCount)
	sent, _ = d.send(t, begun.ID, "Até lá!")
	require.Equal(t, "PENDING", sent.Status)

	closed, wrong := d.write(t, "closeConversation", "CloseConversationInput", map[string]any{"id": begun.ID})
	require.Empty(t, wrong)
	require.Equal(t, "CLOSED", closed.Status)
	d.receive(t, texted("Obrigada", "+5511987654321"))
	require.Equal(t, "OPEN", d.read(t, begun.ID).Status, "an inbound message opens it again")
	_, wrong = d.write(t, "closeConversation", "CloseConversationInput", map[string]any{"id": begun.ID})
	require.Empty(t, wrong)
	again, wrong := d.write(t, "reopenConversation", "ReopenConversationInput", map[string]any{"id": begun.ID})
	require.Empty(t, wrong)
	require.Equal(t, "OPEN", again.Status)
	found, wrong := d.start(t, 0, "WHATSAPP", "")
	require.Empty(t, wrong)
	require.Equal(t, begun.ID, found.ID, "a contact has one conversation per channel")
	require.Equal(t, 1, d.Count(t, "SELECT count(*) FROM conversations"))
}

func TestConversations_AreNarrowedAndInOrder(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	mail, wrong := d.start(t, 0, "EMAIL", "Olá")
	require.Empty(t, wrong)
	chat, wrong := d.start(t, 0, "WHATSAPP", "")
	require.Empty(t, wrong)
	lead := d.receive(t, texted("Quanto custa?", "+5521999990000"))
	stranger := models.KindConversation.Global(lead.ConversationID)
	require.Equal(t, []string{stranger, chat.ID, mail.ID}, d.list(t, ""), "the latest active first")
	member := d.member(t, models.RolePractitioner)
	assigned, wrong := d.write(t, "assignConversation", "AssignConversationInput", map[string]any{"id": mail.ID, "memberId": member})
	require.Empty(t, wrong)
	require.Equal(t, member, assigned.Assignee.ID)
	for args, want := range map[string][]string{
		"":                                   {mail.ID, stranger, chat.ID},
		"status: [PENDING]":                  {mail.ID},
		"status: [OPEN, PENDING]":            {mail.ID, stranger, chat.ID},
		"status: []":                         {},
		`assigneeId: "` + member + `"`:       {mail.ID},
		"unread: true":                       {stranger},
		"unread: false":                      {mail.ID, chat.ID},
		"channel: [EMAIL]":                   {mail.ID},
		"channel: [WHATSAPP], unread: false": {chat.ID},
		"channel: [EMAIL, WHATSAPP], status: [OPEN, CLOSED]":             {stranger, chat.ID},
		`assigneeId: "` + d.member(t, models.RoleOwner) + `"`:            {},
		`assigneeId: "` + models.KindMember.Global(models.NewID()) + `"`: {},
	} {
		require.Equal(t, want, d.list(t, args), args)
	}
	assigned, wrong = d.write(t, "assignConversation", "AssignConversationInput", map[string]any{"id": mail.ID})
	require.Empty(t, wrong)
	require.Nil(t, assigned.Assignee)
	var got struct {
		Contact struct {
			Conversations struct{ Nodes []struct{ Channel string } }
			Identities    []struct {
				Channel, Value string
				VerifiedAt     *string
			}
		}
	}
	d.client.Must(t, "query ($id: ID!) { contact(id: $id) { conversations { nodes { channel } } identities { channel value verifiedAt } } }",
		map[string]any{"id": models.KindContact.Global(d.clinic.Contacts[0])}, &got)
	require.Len(t, got.Contact.Conversations.Nodes, 2)
	require.Len(t, got.Contact.Identities, 2)
	require.Equal(t, "Ana@example.com", got.Contact.Identities[0].Value)
	require.Nil(t, got.Contact.Identities[0].VerifiedAt, "nobody has written from it")
}

func TestConversation_RefusesWithWords(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	mail, wrong := d.start(t, 0, "EMAIL", "")
	require.Empty(t, wrong)
	chat, wrong := d.start(t, 0, "SMS", "")
	require.Empty(t, wrong)
	_, wrong = d.start(t, 1, "WHATSAPP", "")
	require.Equal(t, "INVALID[channel]1", one(t, wrong), "no phone")
	_, wrong = d.start(t, 1, "EMAIL", "")
	require.Equal(t, "INVALID[channel]1", one(t, wrong))
	_, wrong = d.start(t, 0, "WEB", "")
	require.Equal(t, "INVALID[channel]1", one(t, wrong), "there the contact writes first")
	d.Exec(t, "UPDATE contacts SET email = 'ANA@EXAMPLE.COM' WHERE id = $1", d.clinic.Contacts[1])
	_, wrong = d.start(t, 1, "EMAIL", "")
	require.Equal(t, "TAKEN[contactId]1", one(t, wrong), "the address is Ana's already")
	require.Equal(t, models.KindContact.Global(d.clinic.Contacts[0]), wrong[0].EntityIDs[0])
	_, wrong = d.start(t, 0, "SMS", strings.Repeat("x", 1601))
	require.Equal(t, "TOO_LONG[body]0", one(t, wrong))
	_, wrong = d.send(t, chat.ID, strings.Repeat("x", 1601))
	require.Equal(t, "TOO_LONG[body]0", one(t, wrong))
	_, wrong = d.send(t, mail.ID, strings.Repeat("x", 1601))
	require.Empty(t, wrong)
	_, wrong = d.send(t, mail.ID, " \u200b")
	require.Equal(t, "REQUIRED[body]0", one(t, wrong))
	_, wrong = d.send(t, models.KindConversation.Global(models.NewID()), "x")
	require.Equal(t, "NOT_FOUND[conversationId]0", one(t, wrong))
	_, wrong = d.mark(t, chat.ID, d.read(t, mail.ID).LastMessage.ID)
	require.Equal(t, "NOT_FOUND[upToMessageId]1", one(t, wrong), "it is another conversation's")
	unknown := map[string]any{"id": chat.ID, "memberId": models.KindMember.Global(models.NewID())}
	_, wrong = d.write(t, "assignConversation", "AssignConversationInput", unknown)
	require.Equal(t, "NOT_FOUND[memberId]0", one(t, wrong))
	gone := d.member(t, models.RoleAdmin)
	d.Exec(t, "UPDATE memberships SET revoked_at = now() WHERE role = 'admin'")
	_, wrong = d.write(t, "assignConversation", "AssignConversationInput", map[string]any{"id": chat.ID, "memberId": gone})
	require.Equal(t, "CONFLICT[memberId]1", one(t, wrong))
	answer := d.server.As(t, d.clinic, models.RoleFinance).Do(t, "{ conversations { nodes { id } } }", nil)
	require.Equal(t, "FORBIDDEN", answer.Errors[0].Extensions.Code)
}

// A dry run answers as if it had written, and writes nothing.
func TestConversation_DryRunWritesNothing(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	var got struct {
		StartConversation struct {
			Conversation struct{ Status string }
			Message      struct{ Body string }
		}
	}
	d.client.Must(t, `mutation ($id: ID!) { startConversation(input: {contactId: $id, channel: WHATSAPP, body: "Olá"}) @dryRun { conversation { status } message { body } userErrors { code } } }`,
		map[string]any{"id": models.KindContact.Global(d.clinic.Contacts[0])}, &got)
	require.Equal(t, "PENDING", got.StartConversation.Conversation.Status)
	require.Equal(t, "Olá", got.StartConversation.Message.Body)
	require.Zero(t, d.Count(t, "SELECT (SELECT count(*) FROM conversations) + (SELECT count(*) FROM messages) + (SELECT count(*) FROM contact_identities)"))
}

// Answers that are kept change with what is written.
func TestConversations_AreNeverStale(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	cached := api.NewServer(t, d.Database)
	d.client = cached.As(t, d.clinic, models.RoleReceptionist)
	chat, wrong := d.start(t, 0, "WHATSAPP", "Olá")
	require.Empty(t, wrong)
	for range 2 { // what is kept, too
		require.Empty(t, d.list(t, "unread: true"))
		require.Empty(t, d.list(t, "status: [OPEN]"))
		require.Equal(t, []string{chat.ID}, d.list(t, "channel: [WHATSAPP]"))
		require.Len(t, d.read(t, chat.ID).Messages.Nodes, 1)
	}
	d.receive(t, texted("Oi", "+5511987654321"))
	require.Eventually(t, func() bool {
		return len(d.list(t, "unread: true")) == 1 && len(d.list(t, "status: [OPEN]")) == 1 && d.read(t, chat.ID).UnreadCount == 1 && len(d.read(t, chat.ID).Messages.Nodes) == 2
	}, time.Minute, 10*time.Millisecond)
	_, wrong = d.mark(t, chat.ID, "")
	require.Empty(t, wrong)
	require.Empty(t, d.list(t, "unread: true"), "a session reads what it wrote")
}

// A worker is told of a message once it is there to be seen: with a key that is when its
// Unit is committed, and never where it is taken back.
func TestSend_WakesAWorkerOnceItIsCommitted(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	chat, wrong := d.start(t, 0, "WHATSAPP", "")
	require.Empty(t, wrong)
	ctx := d.clinic.As(t.Context(), models.RoleReceptionist)
	writes := map[string]func(ctx context.Context) error{
		"sendMessage": func(ctx context.Context) error {
			_, err := d.talk.SendMessage(ctx, models.SendMessageInput{ConversationID: chat.ID, Body: "Olá"})
			return err
		},
		"startConversation": func(ctx context.Context) error {
			body := "Olá"
			_, err := d.talk.StartConversation(ctx, models.StartConversationInput{ContactID: models.KindContact.Global(d.clinic.Contacts[0]), Channel: models.ChannelWhatsapp, Body: &body})
			return err
		},
	}
	for name, write := range writes {
		require.NoError(t, write(ctx))
		require.True(t, d.talk.Woken(), name)
		for _, committed := range []bool{true, false} {
			within, unit := d.DB.WithUnit(ctx)
			require.NoError(t, unit.Begin(within))
			require.NoError(t, write(within))
			require.False(t, d.talk.Woken(), "%s: there is nothing to be seen yet", name)
			if committed {
				require.NoError(t, unit.Commit(within))
			}
			unit.Rollback(within)
			require.Equal(t, committed, d.talk.Woken(), name)
		}
	}
}
