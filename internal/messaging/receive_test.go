package messaging_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/messaging"
	"github.com/taskmed/taskmed/models"
)

// Whoever writes is known by what the channel's provider calls them.
func TestReceive_KnowsWhoWrites(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	contact := func(in messaging.Inbound) string {
		return d.read(t, models.KindConversation.Global(d.receive(t, in).ConversationID)).Contact.ID
	}
	ana := models.KindContact.Global(d.clinic.Contacts[0])
	require.Equal(t, ana, contact(texted("a", "+5511987654321")), "the only one who gave the clinic this number")
	require.Equal(t, ana, contact(texted("b", "+551187654321")), "without the ninth digit")
	require.Equal(t, ana, contact(messaging.Inbound{Channel: models.ChannelEmail, From: []string{"aNA@Example.com"}, Body: "c"}))
	require.Equal(t, ana, contact(texted("d", "BR.77aa", "+5511987654321")))
	require.Equal(t, ana, contact(texted("e", "BR.77aa")), "known by the provider's name for her, without a phone")
	require.Equal(t, ana, contact(messaging.Inbound{Channel: models.ChannelSms, From: []string{"+5511987654321"}, Body: "f"}))

	landline := contact(texted("a", "+551133334444"))
	require.NotEqual(t, landline, contact(texted("b", "+5511933334444")), "a landline has no ninth digit")

	// Two contacts share a number: it tells nobody's name.
	d.Exec(t, "UPDATE contacts SET phone = '+5511955554444' WHERE id = ANY ($1)", d.clinic.Contacts[1:])
	stranger := contact(texted("a", "+5511955554444"))
	require.NotContains(t, []string{models.KindContact.Global(d.clinic.Contacts[1]), models.KindContact.Global(d.clinic.Contacts[2])}, stranger)
	require.Equal(t, stranger, contact(texted("b", "+5511955554444")))

	// Nobody knows them, and there is no phone.
	nobody := contact(messaging.Inbound{Channel: models.ChannelWhatsapp, From: []string{"BR.0001"}, Name: "Zé \u0000\u200b Pequeno", Body: "\u0000"})
	var got struct {
		Contact struct {
			Name, Status, Source string
			Phone                *string
			Conversations        struct {
				Nodes []struct{ LastMessage struct{ Body string } }
			}
		}
	}
	d.client.Must(t, "query ($id: ID!) { contact(id: $id) { name status source phone conversations { nodes { lastMessage { body } } } } }", map[string]any{"id": nobody}, &got)
	require.Equal(t, "Zé Pequeno", got.Contact.Name)
	require.Equal(t, "LEAD", got.Contact.Status)
	require.Equal(t, "whatsapp", got.Contact.Source)
	require.Nil(t, got.Contact.Phone)
	require.Equal(t, "(…)", got.Contact.Conversations.Nodes[0].LastMessage.Body)

	// Who is put away is not who writes.
	d.Exec(t, "UPDATE contacts SET status = 'arquivado', phone = '+5511900001111' WHERE id = $1", d.clinic.Contacts[2])
	require.NotEqual(t, models.KindContact.Global(d.clinic.Contacts[2]), contact(texted("x", "+5511900001111")))
}

// Messages of somebody new that come at once, by two providers, make one contact, and a
// conversation per channel.
func TestReceive_MakesOneContactOfMessagesThatComeAtOnce(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	before := d.Count(t, "SELECT count(*) FROM contacts")
	const people, each = 6, 8
	var wg sync.WaitGroup
	for person := range people {
		for n := range each {
			wg.Go(func() {
				phone := fmt.Sprintf("+55119%08d", 80000000+person)
				in := texted("oi", phone, fmt.Sprint("BR.", person))
				switch n % 4 {
				case 1:
					in.From = []string{phone[:5] + phone[6:]}
				case 2:
					in.Channel = models.ChannelSms
					in.From = in.From[:1]
				case 3:
					in.From = []string{fmt.Sprint("BR.", person), phone}
				}
				in.Reference, in.SentAt = fmt.Sprint(person, "/", n/2), time.Now() // each message twice, in other words
				if n%4 == 2 {
					in.Reference += " by sms"
				}
				_, _, err := d.talk.Receive(d.clinic.As(t.Context(), models.RolePartner), in)
				if err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	require.Equal(t, before+people, d.Count(t, "SELECT count(*) FROM contacts"))
	require.Equal(t, 2*people, d.Count(t, "SELECT count(*) FROM conversations"))
	require.Equal(t, d.Count(t, "SELECT count(*) FROM messages"), d.Count(t, "SELECT sum(received_count)::integer FROM conversations"))
}

// Whatever comes in whatever order, and however often, ends in the same rows.
func TestReceive_EndsInTheSameRowsInAnyOrder(t *testing.T) {
	t.Parallel()
	began := time.Now().Add(-time.Hour).Truncate(time.Second)
	var set []messaging.Inbound
	for n := range 6 {
		in := texted(fmt.Sprint("message ", n), "+5521988887777", "BR.42")
		if n%3 == 1 {
			in.From = in.From[1:]
		}
		in.Reference, in.SentAt = fmt.Sprint("wamid.", n), began.Add(time.Duration(n/2)*time.Second) // pairs of one instant
		set = append(set, in)
	}
	dice := rand.New(rand.NewPCG(11, 12))
	var first string
	for round := range 6 {
		d := newDesk(t)
		d.Exec(t, "UPDATE clinics SET name = 'x'")
		order := append(dice.Perm(len(set)), dice.Perm(len(set))...)
		for _, n := range order {
			_, _, err := d.talk.Receive(d.clinic.As(t.Context(), models.RolePartner), set[n])
			require.NoError(t, err)
		}
		var rows string
		require.NoError(t, d.Connect(t, d.SuperuserURL).QueryRow(t.Context(), `
			SELECT jsonb_build_object(
			  'messages', (SELECT jsonb_agg(jsonb_build_array(m.external_reference, m.body, m.status, m.sent_at, m.created_at) ORDER BY m.created_at, m.external_reference) FROM messages m),
			  'conversations', (SELECT jsonb_agg(jsonb_build_array(c.channel, c.status, c.received_count, c.read_count)) FROM conversations c),
			  'identities', (SELECT jsonb_agg(jsonb_build_array(i.channel, i.key, i.verified_at) ORDER BY i.channel, i.key) FROM contact_identities i),
			  'leads', (SELECT count(*) FROM contacts WHERE status = 'lead'))::text`).Scan(&rows))
		if round == 0 {
			first = rows
			require.Contains(t, rows, `"wamid.5"`)
		}
		require.Equal(t, first, rows, "%v", order)
	}
}

// What comes late stands behind what was read: nobody would look before it.
func TestReceive_PutsWhatIsLateBehindWhatWasRead(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	now := time.Now().Truncate(time.Second)
	at := func(body string, ago time.Duration) *models.Message {
		in := texted(body, "+5511987654321")
		in.SentAt = now.Add(-ago)
		return d.receive(t, in)
	}
	id := models.KindConversation.Global(at("second", 20*time.Minute).ConversationID)
	at("first", 30*time.Minute)
	bodies := func() (all []string) {
		for _, m := range d.read(t, id).Messages.Nodes {
			all = append(all, m.Body)
		}
		return all
	}
	require.Equal(t, []string{"first", "second"}, bodies(), "by the provider's clock")
	marked, _ := d.mark(t, id, d.read(t, id).Messages.Nodes[0].ID)
	require.Equal(t, 1, marked.UnreadCount)
	marked, _ = d.mark(t, id, "")
	require.Zero(t, marked.UnreadCount)
	at("late", 25*time.Minute)
	at("from the future", -time.Hour)
	require.Equal(t, []string{"first", "second", "late", "from the future"}, bodies())
	require.Equal(t, 2, d.read(t, id).UnreadCount)
	late := d.read(t, id).Messages.Nodes[2]
	marked, _ = d.mark(t, id, late.ID)
	require.Equal(t, 1, marked.UnreadCount)
	require.WithinDuration(t, now.Add(-25*time.Minute), parse(t, *late.SentAt), time.Second)
	future := d.read(t, id).Messages.Nodes[3]
	require.Less(t, parse(t, future.CreatedAt), time.Now().Add(time.Minute), "not ahead of our clock")
}

func parse(t *testing.T, text string) (at time.Time) {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, text)
	require.NoError(t, err)
	return at
}

// Counts are exact whoever writes, reads and sends at once.
func TestUnreadCount_IsExactUnderManyClients(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	chat, wrong := d.start(t, 0, "WHATSAPP", "")
	require.Empty(t, wrong)
	const writers, each = 6, 12
	var wg sync.WaitGroup
	for n := range writers {
		wg.Go(func() {
			for i := range each {
				in := texted("x", "+5511987654321")
				in.Reference, in.SentAt = fmt.Sprint(n/2, "/", i), time.Now() // each by two writers
				if _, _, err := d.talk.Receive(d.clinic.As(t.Context(), models.RolePartner), in); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			for range each {
				now := d.read(t, chat.ID)
				if len(now.Messages.Nodes) > 0 {
					d.mark(t, chat.ID, now.Messages.Nodes[len(now.Messages.Nodes)/2].ID)
				}
				d.send(t, chat.ID, "y")
			}
		})
	}
	wg.Wait()
	require.Equal(t, writers/2*each, d.Count(t, "SELECT received_count FROM conversations"))
	require.Equal(t, writers/2*each, d.Count(t, "SELECT count(*) FROM messages WHERE direction = 'inbound'"))
	require.Equal(t, writers*each, d.Count(t, "SELECT count(*) FROM messages WHERE direction = 'outbound'"))
	now := d.read(t, chat.ID)
	require.Equal(t, d.Count(t, "SELECT count(*) FROM messages m, conversations c WHERE direction = 'inbound' AND (c.read_until IS NULL OR m.created_at > c.read_until)"), now.UnreadCount)
	var behind struct {
		Conversation struct {
			Messages struct {
				Nodes []struct{ ID, Direction string }
			}
		}
	}
	d.client.Must(t, "query ($id: ID!) { conversation(id: $id) { messages(last: 100) { nodes { id direction } } } }", map[string]any{"id": chat.ID}, &behind)
	nodes := behind.Conversation.Messages.Nodes
	left := now.UnreadCount
	for i := len(nodes) - 1; i >= 0 && left > 0; i -= 7 {
		inbound := 0
		for _, node := range nodes[i+1:] {
			if node.Direction == "INBOUND" {
				inbound++
			}
		}
		marked, _ := d.mark(t, chat.ID, nodes[i].ID)
		left = min(left, inbound)
		require.Equal(t, left, marked.UnreadCount)
	}
}
