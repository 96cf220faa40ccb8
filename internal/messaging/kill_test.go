package messaging_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/testkit"
)

// serving starts a server in a process of its own, which sends and understands what waits.
func (d *desk) serving(t testing.TB) (url string, kill func()) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	command := exec.CommandContext(context.WithoutCancel(t.Context()), self)
	command.Env = append(os.Environ(), childDatabase+"="+d.AppURL, childWhatsApp+"="+d.graph.URL)
	command.Stderr = t.Output()
	said, err := command.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, command.Start())
	kill = func() {
		_ = command.Process.Kill() // SIGKILL: at whatever line it is
		_ = command.Wait()
	}
	t.Cleanup(kill)
	address, err := bufio.NewReader(said).ReadString('\n')
	require.NoError(t, err)
	return "http://" + strings.TrimSpace(address), kill
}

// N2 with processes: two servers send, and are killed while the provider has a message of
// each in hand, or has just answered. What was sent is sent once, and what may not have
// been is told as failed.
func TestDelivery_IsOnceOrToldOfThroughKills(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.whatsapp(t)
	rounds := testkit.Longer(t, 3)
	var chats []string
	for n := range 3 {
		d.Exec(t, "UPDATE contacts SET phone = $2 WHERE id = $1", d.clinic.Contacts[n], fmt.Sprint("+551198765400", n))
		chat, wrong := d.start(t, n, "WHATSAPP", "")
		require.Empty(t, wrong)
		chats = append(chats, chat.ID)
	}
	told := map[string]string{} // what became of which text
	held, goesOn := make(chan struct{}, 100), make(chan struct{})
	d.graph.mu.Lock()
	d.graph.taken = func(r *http.Request, body string) {
		var round, nth int
		if _, err := fmt.Sscanf(body, "r%d n%d", &round, &nth); err != nil {
			t.Error(err)
		}
		if nth < 8 {
			return
		}
		held <- struct{}{}
		if round%2 == 0 { // until whoever asks is dead; or else it is answered at once
			select {
			case <-r.Context().Done():
			case <-goesOn:
			}
		}
	}
	d.graph.mu.Unlock()
	t.Cleanup(func() { close(goesOn) })
	for round := range rounds {
		for nth := range 16 {
			body := fmt.Sprintf("r%d n%d", round, nth)
			_, wrong := d.send(t, chats[nth%len(chats)], body)
			require.Empty(t, wrong)
			told[body] = ""
		}
		var kills []func()
		for range 2 {
			_, kill := d.serving(t)
			kills = append(kills, kill)
		}
		for range kills {
			select {
			case <-held:
			case <-time.After(2 * time.Minute):
				require.Fail(t, "the servers send nothing")
			}
		}
		for _, kill := range kills {
			kill()
		}
		// What the dead had taken is left to them for two minutes: those are over.
		d.Exec(t, "UPDATE outgoing_messages SET due_at = now() - interval '1 second', taken_at = now() - interval '3 minutes' WHERE taken_at IS NOT NULL")
		d.Exec(t, "UPDATE channel_accounts SET next_send_at = now()")
	drained:
		for {
			select {
			case <-held:
			default:
				break drained
			}
		}
	}
	d.graph.mu.Lock()
	d.graph.taken = func(*http.Request, string) {}
	d.graph.mu.Unlock()
	d.serving(t)
	require.Eventually(t, func() bool { return d.Count(t, waiting) == 0 }, 2*time.Minute, 20*time.Millisecond)

	asked := map[string]int{}
	for _, body := range d.graph.bodies() {
		asked[body]++
	}
	sent, failed := 0, 0
	for _, chat := range chats {
		for _, m := range d.read(t, chat).Messages.Nodes {
			told[m.Body] = m.Status
			require.LessOrEqual(t, asked[m.Body], 1, "%q went out twice", m.Body)
			switch m.Status {
			case "SENT":
				sent++
				require.Equal(t, 1, asked[m.Body], "%q was not sent", m.Body)
			case "FAILED":
				failed++
				require.Contains(t, *m.Failure, "outcome unknown", m.Body)
			default:
				require.Fail(t, m.Body+" is "+m.Status)
			}
		}
	}
	require.Len(t, told, rounds*16)
	for body, became := range told {
		require.NotEmpty(t, became, body)
	}
	require.NotZero(t, failed, "some were in a killed server's hands")
	require.LessOrEqual(t, failed, rounds*2, "and not more than two at a time")
	t.Logf("%d messages, servers killed %d times: %d sent, each once; %d told as of unknown outcome", len(told), rounds*2, sent, failed)
}
