package messaging_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/app"
	"github.com/taskmed/taskmed/internal/config"
	"github.com/taskmed/taskmed/internal/messaging"
	"github.com/taskmed/taskmed/internal/messaging/channel"
	"github.com/taskmed/taskmed/internal/messaging/mail"
	"github.com/taskmed/taskmed/internal/messaging/web"
	"github.com/taskmed/taskmed/internal/messaging/whatsapp"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/models"
)

// desk is a clinic with a receptionist, and the way by which its contacts' messages come.
type desk struct {
	*testkit.Database

	clinic *testkit.Clinic
	server *api.Server
	client *api.Client
	talk   *messaging.Correspondence
	graph  *graphAPI
}

func newDesk(t testing.TB, options ...api.Option) *desk {
	t.Helper()
	d := testkit.NewDatabase(t)
	clinic := d.NewClinic(t, "aurora")
	d.Exec(t, "UPDATE contacts SET phone = '+5511987654321', email = 'Ana@example.com' WHERE id = $1", clinic.Contacts[0])
	graph := newGraphAPI(t)
	server := api.NewServer(t, d, append(options, api.WithoutCache(), func(settings *config.Config, _ *app.Options) {
		settings.WhatsAppURL, settings.PrivateMail = graph.URL, true
	})...)
	secret, err := hex.DecodeString(api.Secret)
	require.NoError(t, err)
	talk, err := messaging.New(d.DB, secret, map[models.Channel]channel.Adapter{
		models.ChannelWhatsapp: whatsapp.New(graph.URL), models.ChannelEmail: mail.New(true), models.ChannelWeb: web.Page{},
	}, time.Now)
	require.NoError(t, err)
	return &desk{Database: d, clinic: clinic, server: server, client: server.As(t, clinic, models.RoleReceptionist), talk: talk, graph: graph}
}

type mistake struct {
	Code      string
	Field     []string
	EntityIDs []string
}

func (m mistake) String() string { return fmt.Sprintf("%s%v%d", m.Code, m.Field, len(m.EntityIDs)) }

type message struct {
	ID, Body, Status, Direction, CreatedAt string
	Author, SentAt, DeliveredAt, Failure   *string
}

type conversation struct {
	ID, Channel, Status, UpdatedAt string
	UnreadCount                    int
	Contact                        struct{ ID, Name string }
	Assignee                       *struct{ ID string }
	LastMessage                    *message
	Messages                       struct{ Nodes []message }
}

const fields = `id channel status unreadCount updatedAt contact { id name } assignee { id } lastMessage { id body direction status }
	messages(last: 100) { nodes { id body status direction createdAt author sentAt deliveredAt failure } }`

// write runs a mutation that gives a conversation, or refuses.
func (d *desk) write(t testing.TB, mutation, inputType string, input map[string]any) (*conversation, []mistake) {
	t.Helper()
	var got struct {
		Got struct {
			Conversation *conversation
			Message      *struct{ Conversation conversation }
			UserErrors   []mistake
		}
	}
	selection := "conversation { " + fields + " }"
	if mutation == "sendMessage" {
		selection = "message { conversation { " + fields + " } }"
	}
	d.client.Must(t, fmt.Sprintf("mutation ($input: %s!) { got: %s(input: $input) { %s userErrors { code field entityIds } } }", inputType, mutation, selection),
		map[string]any{"input": input}, &got)
	if got.Got.Message != nil {
		return &got.Got.Message.Conversation, got.Got.UserErrors
	}
	return got.Got.Conversation, got.Got.UserErrors
}

func (d *desk) start(t testing.TB, contact int, channel, body string) (*conversation, []mistake) {
	t.Helper()
	input := map[string]any{"contactId": models.KindContact.Global(d.clinic.Contacts[contact]), "channel": channel}
	if body != "" {
		input["body"] = body
	}
	return d.write(t, "startConversation", "StartConversationInput", input)
}

func (d *desk) send(t testing.TB, id, body string) (*conversation, []mistake) {
	t.Helper()
	return d.write(t, "sendMessage", "SendMessageInput", map[string]any{"conversationId": id, "body": body})
}

func (d *desk) mark(t testing.TB, id, upTo string) (*conversation, []mistake) {
	t.Helper()
	input := map[string]any{"id": id}
	if upTo != "" {
		input["upToMessageId"] = upTo
	}
	return d.write(t, "markConversationRead", "MarkConversationReadInput", input)
}

// receive takes a message as a channel's adapter would.
func (d *desk) receive(t testing.TB, in messaging.Inbound) *models.Message {
	t.Helper()
	if in.SentAt.IsZero() {
		in.SentAt = time.Now()
	}
	if in.Reference == "" {
		in.Reference = models.NewID().String()
	}
	made, _, err := d.talk.Receive(d.clinic.As(t.Context(), models.RolePartner), in)
	require.NoError(t, err)
	return made
}

func texted(body string, from ...string) messaging.Inbound {
	return messaging.Inbound{Channel: models.ChannelWhatsapp, From: from, Name: "Ana", Body: body}
}

func (d *desk) read(t testing.TB, id string) *conversation {
	t.Helper()
	var got struct{ Conversation *conversation }
	d.client.Must(t, "query ($id: ID!) { conversation(id: $id) { "+fields+" } }", map[string]any{"id": id}, &got)
	return got.Conversation
}

// said is the message of a conversation that says something.
func (d *desk) said(t testing.TB, id, body string) message {
	t.Helper()
	for _, m := range d.read(t, id).Messages.Nodes {
		if m.Body == body {
			return m
		}
	}
	require.Fail(t, "nobody has written "+body)
	return message{}
}

// list gives the ids of the clinic's conversations, narrowed by arguments.
func (d *desk) list(t testing.TB, args string) []string {
	t.Helper()
	var got struct {
		Conversations struct{ Nodes []struct{ ID string } }
	}
	if args != "" {
		args = "(" + args + ")"
	}
	d.client.Must(t, "{ conversations"+args+" { nodes { id } } }", nil, &got)
	ids := []string{}
	for _, node := range got.Conversations.Nodes {
		ids = append(ids, node.ID)
	}
	return ids
}

func (d *desk) member(t testing.TB, role models.Role) string {
	t.Helper()
	var got struct {
		Clinic struct {
			Members struct {
				Nodes []struct {
					ID   string
					Role models.Role
				}
			}
		}
	}
	d.server.As(t, d.clinic, models.RoleOwner).Must(t, "{ clinic { members { nodes { id role } } } }", nil, &got)
	for _, member := range got.Clinic.Members.Nodes {
		if member.Role == role {
			return member.ID
		}
	}
	require.Fail(t, "no member is "+string(role))
	return ""
}

func one(t testing.TB, mistakes []mistake) string {
	t.Helper()
	text, err := json.Marshal(mistakes)
	require.NoError(t, err)
	require.Len(t, mistakes, 1, "%s", text)
	return mistakes[0].String()
}
