package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/messaging/channel"
	"github.com/taskmed/taskmed/internal/seed"
	"github.com/taskmed/taskmed/models"
)

const (
	visitors   = 6
	pageSecret = "a secret of the clinic's page, which signs what it posts"
)

// desk is what clients of one clinic's conversations share.
type desk struct {
	*fleet

	clinic, token string
	account       string
	path          string // where the clinic's page posts to

	mu                   sync.Mutex
	posted, sent, gaveUp int
}

// unreadIsExact has clients write to a clinic, read and answer at two servers, of which one
// is killed in the middle; one request in five is given up by its client, at any moment,
// and asked for again. TASKMED_TALK=60s makes it so long, with 50 clients.
func (p *world) unreadIsExact(t *testing.T) {
	clients, lasting := 10, 5*time.Second
	if long, err := time.ParseDuration(os.Getenv("TASKMED_TALK")); err == nil {
		clients, lasting = 50, long
	}
	f := p.newFleet(t, 1)
	conn := p.connected(t)
	clinic, err := models.KindClinic.Parse(p.clinics[0].ID)
	require.NoError(t, err)
	var slug string
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT slug FROM clinics WHERE id = $1", clinic).Scan(&slug))
	x := &desk{fleet: f, clinic: p.clinics[0].ID, token: p.provider.token(t, seed.Subject(slug, "owner"))}
	var made struct {
		CreateChannelAccount struct {
			ChannelAccount *struct{ ID, InboundURL string }
		}
	}
	require.NoError(t, call(t.Context(), f.instances[1].url(), x.clinic, x.token,
		`mutation ($i: CreateChannelAccountInput!) { createChannelAccount(input: $i) { channelAccount { id inboundUrl } userErrors { code } } }`,
		map[string]any{"i": map[string]any{"channel": "WEB", "name": "Página", "address": "https://talk.example", "settings": map[string]string{"signingSecret": pageSecret}}}, &made))
	require.NotNil(t, made.CreateChannelAccount.ChannelAccount)
	at, err := url.Parse(made.CreateChannelAccount.ChannelAccount.InboundURL)
	require.NoError(t, err)
	x.path, x.account = at.Path, made.CreateChannelAccount.ChannelAccount.ID
	account, err := models.KindChannelAccount.Parse(x.account)
	require.NoError(t, err)

	f.throughAKill(t, clients, lasting, "talk", x.act)
	// What the killed server had claimed is left to it for two minutes: those are over.
	// What the others are at is understood twice by that, and must be no more for it.
	_, err = conn.Exec(t.Context(), "UPDATE channel_events SET due_at = now() WHERE account_id = $1 AND due_at IS NOT NULL", account)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		return count(t, conn, "SELECT count(*) FROM channel_events WHERE account_id = $1 AND due_at IS NOT NULL", account) == 0
	}, 2*time.Minute+5*lasting, 20*time.Millisecond)

	const ours = "SELECT count(*) FROM conversations c WHERE c.clinic_id = $1 AND c.account_id = $2"
	const those = "(SELECT count(*) FROM messages m WHERE m.clinic_id = c.clinic_id AND m.conversation_id = c.id AND m.direction = 'inbound'"
	assert.Equal(t, visitors, count(t, conn, ours, clinic, account), "a visitor has one conversation")
	assert.Equal(t, x.posted, count(t, conn, "SELECT sum(received_count)::integer FROM conversations c WHERE c.clinic_id = $1 AND c.account_id = $2", clinic, account), "each that was posted once")
	assert.Zero(t, count(t, conn, ours+" AND c.received_count <> "+those+")", clinic, account), "what was received is what is there")
	// Of those at the very instant some may have been read.
	assert.Zero(t, count(t, conn, ours+" AND c.received_count - c.read_count NOT BETWEEN "+
		those+" AND m.created_at > coalesce(c.read_until, '-infinity')) AND "+those+" AND m.created_at >= coalesce(c.read_until, '-infinity'))", clinic, account), "what is unread is what came after what was read")
	assert.Equal(t, x.sent, count(t, conn, "SELECT count(*) FROM messages m JOIN conversations c ON c.clinic_id = m.clinic_id AND c.id = m.conversation_id WHERE c.clinic_id = $1 AND c.account_id = $2 AND m.direction = 'outbound'",
		clinic, account), "each answer with a key once")
	talks, err := x.talks(t.Context(), f.instances[1].url())
	require.NoError(t, err)
	require.Len(t, talks, visitors)
	for _, one := range talks {
		id, err := models.KindConversation.Parse(one.ID)
		require.NoError(t, err)
		assert.Equal(t, count(t, conn, "SELECT received_count - read_count FROM conversations WHERE clinic_id = $1 AND id = $2", clinic, id), one.UnreadCount)
		require.NoError(t, call(t.Context(), f.instances[1].url(), x.clinic, x.token, markIt, map[string]any{"i": map[string]any{"id": one.ID}}, &struct{}{}))
	}
	assert.Zero(t, count(t, conn, ours+" AND c.received_count <> c.read_count", clinic, account), "all that is there is read")
	t.Logf("%d clients for %s: %d messages of %d visitors, each counted once; %d answers with keys, %d requests given up", clients, lasting, x.posted, visitors, x.sent, x.gaveUp)
	assert.Positive(t, x.gaveUp)
	assert.Positive(t, x.sent)
}

const (
	markIt    = `mutation ($i: MarkConversationReadInput!) { got: markConversationRead(input: $i) { conversation { id } userErrors { code } } }`
	sayIt     = `mutation ($i: SendMessageInput!) { got: sendMessage(input: $i) { message { id } userErrors { code } } }`
	listTalks = `{ conversations(channel: [WEB], first: 50) { nodes { id unreadCount account { id } messages(last: 20) { nodes { id } } } } }`
)

type talk struct {
	ID          string
	UnreadCount int
	Account     *struct{ ID string }
	Messages    struct{ Nodes []struct{ ID string } }
}

// talks are the conversations of the account.
func (x *desk) talks(ctx context.Context, url string) ([]talk, error) {
	var got struct{ Conversations struct{ Nodes []talk } }
	err := call(ctx, url, x.clinic, x.token, listTalks, nil, &got)
	return slices.DeleteFunc(got.Conversations.Nodes, func(of talk) bool { return of.Account == nil || of.Account.ID != x.account }), err
}

// act posts as a visitor, reads or answers.
func (x *desk) act(ctx context.Context, dice *rand.Rand, key string) error {
	if dice.IntN(2) == 0 {
		return x.post(ctx, dice, key)
	}
	talks, err := x.talks(ctx, x.url(dice))
	if err != nil || len(talks) == 0 {
		return internalOnly(err) // or its server was killed, or nobody has written yet
	}
	talk := talks[dice.IntN(len(talks))]
	if dice.IntN(3) > 0 {
		in := map[string]any{"id": talk.ID}
		if n := len(talk.Messages.Nodes); n > 0 && dice.IntN(3) > 0 {
			in["upToMessageId"] = talk.Messages.Nodes[dice.IntN(n)].ID
		}
		return x.once(ctx, dice, key, markIt, map[string]any{"i": in})
	}
	if err := x.once(ctx, dice, key, sayIt, map[string]any{"i": map[string]any{"conversationId": talk.ID, "body": key}}); err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.sent++
	return nil
}

// internalOnly is an error that no kill accounts for.
func internalOnly(err error) error {
	var said refused
	if errors.As(err, &said) && said.Code == string(models.Internal) {
		return err
	}
	return nil
}

func (x *desk) url(dice *rand.Rand) string { return x.instances[dice.IntN(2)].url() }

// giving is a context that a client gives up in at any moment, one time in five.
func (x *desk) giving(ctx context.Context, dice *rand.Rand) (context.Context, context.CancelFunc, bool) {
	if dice.IntN(5) > 0 {
		return ctx, func() {}, false
	}
	x.mu.Lock()
	x.gaveUp++
	x.mu.Unlock()
	ctx, done := context.WithTimeout(ctx, time.Duration(dice.IntN(20_000))*time.Microsecond)
	return ctx, done, true
}

// once asks for a write with a key until it is answered.
func (x *desk) once(ctx context.Context, dice *rand.Rand, key, query string, variables map[string]any) error {
	var answer struct {
		Got struct{ UserErrors []struct{ Code string } }
	}
	if giving, done, gives := x.giving(ctx, dice); gives {
		_ = callOnce(giving, x.url(dice), x.clinic, x.token, key, query, variables, &answer)
		done()
	}
	_, err := insist(ctx, func() string { return x.url(dice) }, x.clinic, x.token, key, query, variables, &answer)
	if err == nil && len(answer.Got.UserErrors) > 0 {
		err = errors.New(answer.Got.UserErrors[0].Code)
	}
	return err
}

// post posts a visitor's message as the clinic's page does: until it is taken, and now and
// then once more.
func (x *desk) post(ctx context.Context, dice *rand.Rand, id string) error {
	body := fmt.Sprintf(`{"id": %q, "from": "visitor-%d", "name": "Visitante", "text": "Vocês atendem aos sábados?", "sentAt": %q}`, id, dice.IntN(visitors), time.Now().UTC().Format(time.RFC3339Nano))
	try := func(ctx context.Context) bool {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, x.url(dice)+x.path, strings.NewReader(body))
		if err != nil {
			return false
		}
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set(channel.SignatureHeader, channel.Sign(pageSecret, []byte(body), time.Now()))
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			return false
		}
		return answer.Body.Close() == nil && answer.StatusCode == http.StatusOK
	}
	if giving, done, gives := x.giving(ctx, dice); gives {
		try(giving)
		done()
	}
	until := time.Now().Add(longestAsked)
	for again := 1 + dice.IntN(2); again > 0; {
		switch {
		case try(ctx):
			again--
		case time.Now().After(until):
			return errors.New("a message was not taken")
		default:
			<-time.After(5 * time.Millisecond)
		}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.posted++
	return nil
}
