package messaging_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/messaging"
	"github.com/taskmed/taskmed/internal/messaging/channel"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/models"
)

// A WhatsApp number: the handshake, what comes, what goes, and how far it gets.
func TestWhatsApp_ComesAndGoes(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	account, path := d.whatsapp(t)
	ask := func(token string) (int, string) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.server.URL+path+"?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token="+token, http.NoBody)
		require.NoError(t, err)
		answer, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		text, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		return answer.StatusCode, string(text)
	}
	code, text := ask("the+verify+token")
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, "1158201444", text)
	code, text = ask("another")
	require.Equal(t, http.StatusNotFound, code)
	require.NotContains(t, text, "1158201444")

	now := time.Now().Unix()
	body := wrote("wamid.in", "", "BR.778899", "Tem horário amanhã?", now)
	require.Equal(t, http.StatusUnauthorized, d.post(t, path, body, "X-Hub-Signature-256", "sha256=00"))
	require.Equal(t, http.StatusUnauthorized, d.post(t, path, body, "X-Hub-Signature-256", ""))
	require.Equal(t, http.StatusNotFound, d.post(t, testkit.Spoilt(path), body))
	require.Equal(t, http.StatusBadRequest, d.post(t, path, "[]x"))
	require.Zero(t, d.Count(t, "SELECT count(*) FROM channel_events"))
	for range 3 {
		require.Equal(t, http.StatusOK, d.post(t, path, body))
	}
	require.Equal(t, 1, d.Count(t, "SELECT count(*) FROM channel_events"))
	worker := d.worker()
	d.settle(t, worker)
	require.Zero(t, d.Count(t, "SELECT count(*) FROM channel_events WHERE payload IS NOT NULL"), "what was understood is not kept twice")
	ids := d.list(t, "unread: true")
	require.Len(t, ids, 1)
	talk := d.read(t, ids[0])
	require.Equal(t, "Rita", talk.Contact.Name)
	require.Equal(t, "Tem horário amanhã?", talk.LastMessage.Body)

	_, wrong := d.send(t, talk.ID, "Às 9")
	require.Empty(t, wrong)
	d.settle(t, worker)
	require.Equal(t, []string{"Às 9"}, d.graph.bodies())
	asked := d.graph.asked[0]
	require.Equal(t, "BR.778899", asked["recipient"], "without a phone she is addressed by WhatsApp's name for her")
	require.Nil(t, asked["to"])
	require.Equal(t, "Bearer the token", d.graph.headers[0].Get("Authorization"))
	sent := d.said(t, talk.ID, "Às 9")
	require.Equal(t, "SENT", sent.Status)
	require.NotNil(t, sent.SentAt)
	require.Equal(t, asked["biz_opaque_callback_data"], sent.ID)

	// Once her phone is known it is by that.
	require.Equal(t, http.StatusOK, d.post(t, path, wrote("wamid.in2", "5511977776666", "BR.778899", "Meu número", now)))
	_, wrong = d.send(t, talk.ID, "Obrigado")
	require.Empty(t, wrong)
	d.settle(t, worker)
	require.Equal(t, "5511977776666", d.graph.asked[1]["to"])
	require.Equal(t, 2, d.read(t, talk.ID).UnreadCount)

	for _, what := range []string{"read", "delivered", "sent", "failed"} {
		require.Equal(t, http.StatusOK, d.post(t, path, status("wamid.Às 9", what, now)))
		d.settle(t, worker)
		require.Equal(t, "READ", d.said(t, talk.ID, "Às 9").Status, "a status never goes back")
	}
	// Another number's are not ours.
	require.Equal(t, http.StatusOK, d.post(t, path, strings.ReplaceAll(wrote("wamid.other", "5511900000000", "BR.1", "x", now), `"777"`, `"778"`)))
	require.Empty(t, d.Count(t, "SELECT count(*) FROM channel_events WHERE reference = 'message:wamid.other'"))
	// An account that is switched off takes nothing.
	d.Exec(t, "UPDATE channel_accounts SET active = false")
	require.Equal(t, http.StatusNotFound, d.post(t, path, body))
	require.NotEmpty(t, account)
}

// N1: what a provider posts in any order, any number of times, ends in the same rows.
func TestChannels_EndInTheSameRowsInAnyOrder(t *testing.T) {
	t.Parallel()
	began := time.Now().Add(-time.Hour).Unix()
	var recorded []string
	for n := range 4 {
		recorded = append(recorded, wrote(fmt.Sprint("wamid.in", n), []string{"5511987654321", "", "551187654321", "5511987654321"}[n], "BR.5", fmt.Sprint("pergunta ", n), began+int64(n/2)))
	}
	recorded = append(recorded,
		status("wamid.um", "sent", began+10), status("wamid.um", "delivered", began+11), status("wamid.um", "read", began+12),
		status("wamid.dois", "sent", began+10), status("wamid.dois", "failed", began+20),
		status("wamid.três", "sent", began+20), status("wamid.três", "delivered", began+30), status("wamid.três", "failed", began+40),
		status("wamid.quatro", "sent", began+50))
	dice := rand.New(rand.NewPCG(3, 5))
	var first string
	for round := range 5 {
		d := newDesk(t)
		_, path := d.whatsapp(t)
		// What tells of a message that is not there yet waits until it is asked again.
		worker := messaging.NewWorker(d.talk, messaging.WorkerConfig{Backoff: func(int) time.Duration { return time.Hour }})
		chat, wrong := d.start(t, 0, "WHATSAPP", "")
		require.Empty(t, wrong)
		order := append(dice.Perm(len(recorded)), dice.Perm(len(recorded))...)
		early := dice.IntN(len(order))
		for at, n := range order {
			if at == early { // what was posted before tells of messages that nobody has sent yet
				for _, body := range []string{"um", "dois", "três", "quatro"} {
					_, wrong := d.send(t, chat.ID, body)
					require.Empty(t, wrong)
				}
			}
			require.Equal(t, http.StatusOK, d.post(t, path, recorded[n]))
			if dice.IntN(2) == 0 {
				_, err := worker.Round(t.Context())
				require.NoError(t, err)
			}
		}
		for d.Count(t, waiting) > 0 {
			d.Exec(t, "UPDATE channel_events SET due_at = now() WHERE due_at IS NOT NULL")
			_, err := worker.Round(t.Context())
			require.NoError(t, err)
		}
		var rows string
		require.NoError(t, d.Connect(t, d.SuperuserURL).QueryRow(t.Context(), `SELECT jsonb_build_object(
			'inbound', (SELECT jsonb_agg(jsonb_build_array(external_reference, body, status, sent_at, created_at) ORDER BY created_at, external_reference) FROM messages WHERE direction = 'inbound'),
			'outbound', (SELECT jsonb_agg(jsonb_build_array(external_reference, body, status, sent_at, delivered_at, read_at, failure) ORDER BY body) FROM messages WHERE direction = 'outbound'),
			'talk', (SELECT jsonb_agg(jsonb_build_array(channel, received_count, read_count)) FROM conversations),
			'contacts', (SELECT count(*) FROM contacts), 'identities', (SELECT jsonb_agg(jsonb_build_array(channel, key, verified_at) ORDER BY channel, key) FROM contact_identities),
			'given up', (SELECT count(*) FROM channel_events WHERE failure IS NOT NULL))::text`).Scan(&rows))
		if round == 0 {
			first = rows
			for _, part := range []string{`"um", "lida"`, `"dois", "falhou"`, `"três", "entregue"`, `"quatro", "enviada"`, "no WhatsApp there"} {
				require.Contains(t, rows, part)
			}
		}
		require.Equal(t, first, rows, "%v, written at %d", order, early)
	}
}

// N2: nothing goes out twice or silently not at all.
func TestDelivery_IsOnceOrToldOf(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	chat, wrong := d.start(t, 0, "WHATSAPP", "sem conta")
	require.Empty(t, wrong)
	worker := d.worker()
	d.settle(t, worker)
	of := func(body string) message { return d.said(t, chat.ID, body) }
	require.Equal(t, "FAILED", of("sem conta").Status)
	require.Contains(t, *of("sem conta").Failure, "no active account")
	d.whatsapp(t)

	lastError := func() *string {
		var got struct{ ChannelAccounts []struct{ LastError *string } }
		d.server.As(t, d.clinic, models.RoleOwner).Must(t, "{ channelAccounts { lastError } }", nil, &got)
		return got.ChannelAccounts[0].LastError
	}
	d.graph.refuse(`429 {"error":{"message":"slow down","code":130429}}`, `500 {"error":{"message":"for a moment","code":2}}`)
	_, wrong = d.send(t, chat.ID, "mais tarde")
	require.Empty(t, wrong)
	_, wrong = d.send(t, chat.ID, "depois dela")
	require.Empty(t, wrong)
	d.settle(t, worker)
	require.Equal(t, []string{"mais tarde", "mais tarde", "mais tarde", "depois dela"}, d.graph.bodies(), "in their order, and until it is taken")
	require.Equal(t, "SENT", of("mais tarde").Status)
	require.Nil(t, lastError())

	d.graph.refuse(`400 {"error":{"message":"no such user","code":131026,"error_data":{"details":"not on WhatsApp"}}}`)
	_, wrong = d.send(t, chat.ID, "recusada")
	require.Empty(t, wrong)
	d.settle(t, worker)
	require.Equal(t, "FAILED", of("recusada").Status)
	require.Contains(t, *of("recusada").Failure, "not on WhatsApp")
	require.Contains(t, *lastError(), "no such user")

	// A gateway's error page says nothing of the message.
	d.graph.refuse(`502 <html>`)
	_, wrong = d.send(t, chat.ID, "talvez")
	require.Empty(t, wrong)
	d.settle(t, worker)
	require.Contains(t, *of("talvez").Failure, "outcome unknown")

	// A worker that dies before it has asked, or before it could write down the answer.
	for _, point := range []string{"sending", "sent"} {
		_, wrong = d.send(t, chat.ID, point)
		require.Empty(t, wrong)
		before := len(d.graph.bodies())
		d.Exec(t, "UPDATE channel_accounts SET next_send_at = now()") // the account's rate does not put it off
		reached := false
		_, err := d.worker(func(at string) {
			if at == point {
				reached = true
				runtime.Goexit()
			}
		}).Round(t.Context())
		require.NoError(t, err)
		require.True(t, reached)
		_, err = worker.Round(t.Context())
		require.NoError(t, err)
		require.Equal(t, "QUEUED", of(point).Status, "it may still be at it")
		d.Exec(t, "UPDATE outgoing_messages SET due_at = now() - interval '1 second', taken_at = now() - interval '3 minutes'")
		d.settle(t, worker)
		require.Equal(t, "FAILED", of(point).Status)
		require.Contains(t, *of(point).Failure, "outcome unknown")
		require.LessOrEqual(t, len(d.graph.bodies())-before, 1, "it is sent once at most")
	}
	// Many workers, and each message goes out once.
	d.Exec(t, "UPDATE conversations SET status = status")
	before := len(d.graph.bodies())
	for n := range 12 {
		_, wrong = d.send(t, chat.ID, fmt.Sprint("n", n))
		require.Empty(t, wrong)
	}
	done := make(chan struct{})
	for range 4 {
		go func() {
			defer func() { done <- struct{}{} }()
			for d.Count(t, "SELECT count(*) FROM outgoing_messages") > 0 {
				if _, err := d.worker().Round(t.Context()); err != nil {
					t.Error(err)
					return
				}
			}
		}()
	}
	for range 4 {
		<-done
	}
	var want []string
	for n := range 12 {
		want = append(want, fmt.Sprint("n", n))
	}
	require.Equal(t, want, d.graph.bodies()[before:])
}

// Mail goes by SMTP, and comes signed from a gateway; a page of the clinic's likewise.
func TestMailAndWeb_ComeAndGo(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	url, got := mailServer(t)
	secret := strings.Repeat("s", 40)
	_, path := d.connect(t, "EMAIL", "recepcao@aurora.example", map[string]string{"url": url, "signingSecret": secret})
	worker := d.worker()
	mail, wrong := d.start(t, 0, "EMAIL", "Olá, Ana!")
	require.Empty(t, wrong)
	d.settle(t, worker)
	require.Equal(t, "SENT", d.read(t, mail.ID).LastMessage.Status)
	require.Eventually(t, func() bool { return len(got()) == 1 }, time.Minute, time.Millisecond)
	for _, part := range []string{"RCPT TO:<Ana@example.com>", "From: =?utf-8?q?Cl=C3=ADnica_aurora?= <recepcao@aurora.example>", "Subject:", "Message-ID: <" + d.read(t, mail.ID).LastMessage.ID + "@aurora.example>", "Ana!"} {
		require.Contains(t, got()[0], part)
	}
	d.Exec(t, "UPDATE contacts SET email = 'nobody@example.com' WHERE id = $1", d.clinic.Contacts[1])
	nobody, wrong := d.start(t, 1, "EMAIL", "Olá")
	require.Empty(t, wrong)
	d.settle(t, worker)
	require.Equal(t, "FAILED", d.read(t, nobody.ID).LastMessage.Status)
	require.Contains(t, *d.read(t, nobody.ID).Messages.Nodes[0].Failure, "nobody of this name")

	body := `{"id": "<1@example.com>", "from": "Ana Souza <ANA@example.com>", "subject": "Re: consulta", "text": "Confirmo", "sentAt": "` + time.Now().UTC().Format(time.RFC3339Nano) + `"}`
	for sign, want := range map[string]int{
		channel.Sign(secret, []byte(body), time.Now()):                     http.StatusOK,
		channel.Sign(secret+"x", []byte(body), time.Now()):                 http.StatusUnauthorized,
		channel.Sign(secret, []byte(body+" "), time.Now()):                 http.StatusUnauthorized,
		channel.Sign(secret, []byte(body), time.Now().Add(-6*time.Minute)): http.StatusUnauthorized,
		channel.Sign(secret, []byte(body), time.Now().Add(6*time.Minute)):  http.StatusUnauthorized,
		"": http.StatusUnauthorized,
	} {
		require.Equal(t, want, d.post(t, path, body, channel.SignatureHeader, sign), sign)
	}
	d.settle(t, worker)
	require.Equal(t, "Re: consulta\n\nConfirmo", d.read(t, mail.ID).LastMessage.Body)
	require.Equal(t, 1, d.read(t, mail.ID).UnreadCount)

	_, page := d.connect(t, "WEB", "https://aurora.example/fale", map[string]string{"signingSecret": secret})
	posted := `{"id": "v1-1", "from": "visitor-1", "name": "Visitante", "text": "Vocês atendem aos sábados?", "sentAt": "` + time.Now().UTC().Format(time.RFC3339Nano) + `"}`
	require.Equal(t, http.StatusOK, d.post(t, page, posted, channel.SignatureHeader, channel.Sign(secret, []byte(posted), time.Now())))
	d.settle(t, worker)
	visit := d.list(t, "channel: [WEB]")
	require.Len(t, visit, 1)
	_, wrong = d.send(t, visit[0], "Sim, até o meio-dia.")
	require.Empty(t, wrong)
	d.settle(t, worker)
	require.Equal(t, "SENT", d.read(t, visit[0]).LastMessage.Status, "it is there for the page to read")
}

// What cannot be understood is told, and stops nothing else.
func TestEvents_ThatCannotBeUnderstoodAreTold(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	_, path := d.whatsapp(t)
	require.Equal(t, http.StatusOK, d.post(t, path, value(`"messages":[{"id":"wamid.bad","from":"5511987654321","timestamp":"not a time","type":"text"}]`)))
	require.Equal(t, http.StatusOK, d.post(t, path, status("wamid.nobody's", "delivered", 1)))
	require.Equal(t, http.StatusOK, d.post(t, path, wrote("wamid.good", "5511987654321", "BR.9", "oi", time.Now().Unix())))
	d.settle(t, d.worker())
	require.Equal(t, 1, d.Count(t, "SELECT count(*) FROM messages"))
	require.Equal(t, 2, d.Count(t, "SELECT count(*) FROM channel_events WHERE failure IS NOT NULL"))
	require.Equal(t, 1, d.Count(t, "SELECT count(*) FROM channel_accounts WHERE last_error LIKE '%could not be understood%'"))
}

func TestChannelAccount_KeepsItsSecrets(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	id, _ := d.whatsapp(t)
	require.Zero(t, d.Count(t, "SELECT count(*) FROM channel_accounts WHERE position('the token'::bytea in settings) > 0"))
	owner := d.server.As(t, d.clinic, models.RoleOwner)
	write := func(mutation, inputType string, input map[string]any) []mistake {
		var got struct {
			Got struct{ UserErrors []mistake }
		}
		answer := owner.Must(t, fmt.Sprintf("mutation ($input: %s!) { got: %s(input: $input) { channelAccount { id name address active lastError } userErrors { code field entityIds } } }", inputType, mutation), map[string]any{"input": input}, &got)
		require.NotContains(t, string(answer.Body), "the token")
		return got.Got.UserErrors
	}
	create := func(channel, address string, settings any) string {
		return one(t, write("createChannelAccount", "CreateChannelAccountInput", map[string]any{"channel": channel, "name": "x", "address": address, "settings": settings}))
	}
	whole := map[string]any{"phoneNumberId": "777", "accessToken": "the token", "appSecret": "x", "verifyToken": "x"}
	require.Equal(t, "TAKEN[address]1", create("WHATSAPP", "+551140000000", whole))
	require.Equal(t, "INVALID[address]0", create("WHATSAPP", "me", whole))
	require.Equal(t, "INVALID[channel]0", create("SMS", "+551140000000", whole))
	require.Equal(t, "INVALID[settings]0", create("WHATSAPP", "+551140000001", []any{"the token"}))
	require.Equal(t, "INVALID[settings url]0", create("EMAIL", "a@example.com", map[string]any{"url": "http://user:the token@example.com"}))
	require.Equal(t, "INVALID[settings signingSecret]0", create("WEB", "https://a.example", map[string]any{"signingSecret": "short"}))
	require.Empty(t, write("updateChannelAccount", "UpdateChannelAccountInput", map[string]any{"id": id, "name": "Outra", "active": false}))
	require.Equal(t, "INVALID[settings appSecret]0", one(t, write("updateChannelAccount", "UpdateChannelAccountInput", map[string]any{"id": id, "settings": map[string]any{"phoneNumberId": "777", "accessToken": "t", "verifyToken": "x"}})))
	require.Equal(t, "NOT_FOUND[id]0", one(t, write("updateChannelAccount", "UpdateChannelAccountInput", map[string]any{"id": models.KindChannelAccount.Global(models.NewID())})))
	_, wrong := d.write(t, "startConversation", "StartConversationInput", map[string]any{"contactId": models.KindContact.Global(d.clinic.Contacts[0]), "channel": "WHATSAPP", "accountId": id})
	require.Equal(t, "CONFLICT[accountId]1", one(t, wrong), "it is switched off")
	answer := d.client.Do(t, "{ channelAccounts { id } }", nil)
	require.Equal(t, "FORBIDDEN", answer.Errors[0].Extensions.Code)
}
