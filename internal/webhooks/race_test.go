package webhooks_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/app"
	"github.com/taskmed/taskmed/internal/auth"
	"github.com/taskmed/taskmed/internal/config"
	"github.com/taskmed/taskmed/internal/testkit"
	"github.com/taskmed/taskmed/internal/testkit/api"
	"github.com/taskmed/taskmed/models"
)

// childDatabase is set where the test's program is to be a server that sends, to be
// killed; childPoint where it is to kill itself: a point and at which time, as in
// "sent 2".
const (
	childDatabase = "TASKMED_TEST_WEBHOOKS_OF"
	childPoint    = "TASKMED_TEST_WEBHOOKS_AT"
)

// child is a server over a database, until it is killed.
func child(url string) {
	settings, err := config.Development(nil, url, api.Secret)
	if err == nil {
		settings.Outbox, settings.PrivateWebhooks, settings.Waitlist = true, true, false
		settings.Maintain.On = false
		unhurried(&settings, nil)
		var key *auth.DevKey
		if key, err = auth.LoadOrCreateDevKey(filepath.Join(os.TempDir(), "taskmed-webhooks-child.pem")); err != nil {
			panic(err)
		}
		sending := soon()
		sending.At = dying(os.Getenv(childPoint))
		_, err = app.New(context.Background(), settings, app.Options{DevKey: key, Log: slog.New(slog.NewTextHandler(os.Stderr, nil)), Sending: sending})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	select {}
}

// process is one that is killed and started anew.
type process struct {
	command *exec.Cmd
	stdout  *bufio.Reader
}

func start(t *testing.T, environment []string, name string, args ...string) *process {
	t.Helper()
	p := &process{command: exec.CommandContext(context.WithoutCancel(t.Context()), name, args...)}
	p.command.Env = append(os.Environ(), environment...)
	p.command.Stderr = t.Output()
	pipe, err := p.command.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.command.Start())
	p.stdout = bufio.NewReader(pipe)
	t.Cleanup(p.kill)
	return p
}

// kill ends it at whatever line it is.
func (p *process) kill() {
	_ = p.command.Process.Kill()
	_ = p.command.Wait()
}

// took is a line of the receiver's.
type took struct {
	Fault, ID, EntityID string
	Failed              bool
	Position            int64
}

func read(t *testing.T, path string) []took {
	t.Helper()
	text, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return nil
	}
	require.NoError(t, err)
	var all []took
	for line := range strings.Lines(string(text)) {
		var one took
		if json.Unmarshal([]byte(line), &one) == nil { // the last may have been cut by the kill
			all = append(all, one)
		}
	}
	return all
}

// Each committed event that was asked for comes once at least, those of one entity in the
// order of their positions, to a receiver that fails a third of the time and is killed,
// from servers that are killed, while writers write, some of them for long, and give up.
func TestSender_MissesNothingThroughKills(t *testing.T) {
	t.Parallel()
	writers, all := testkit.Commits(t, 720)
	w := newWorld(t, without()) // it sends nothing itself
	modules, err := filepath.Abs("../../web/node_modules")
	require.NoError(t, err)
	taken := filepath.Join(t.TempDir(), "taken")
	port := "0"
	var made endpoint
	receive := func(seed int) *process {
		p := start(t, []string{"MODULES=" + modules, "SECRET=" + made.Secret, "PUBLIC_KEY=" + made.PublicKey, "PORT=" + port, "TAKEN=" + taken, "SEED=" + strconv.Itoa(seed)}, "node", "testdata/receiver.mjs")
		line, err := p.stdout.ReadString('\n')
		require.NoError(t, err)
		port = strings.TrimSpace(line)
		return p
	}
	// The address is known before the secret is: it begins with keys of nobody's.
	made = endpoint{Secret: "whsec_" + strings.Repeat("A", 44), PublicKey: "whpk_" + strings.Repeat("A", 43) + "="}
	first := receive(1)
	made = w.must("http://127.0.0.1:"+port+"/hook", "CONTACT_CREATED", "CONTACT_UPDATED")
	before := w.d.Count(t, "SELECT cursor::integer FROM webhook_lanes")
	first.kill()
	receiver := receive(1)

	var shared []uuid.UUID
	for range 4 {
		id := models.NewID()
		w.d.Exec(t, "INSERT INTO contacts (clinic_id, id, name) VALUES ($1, $2, 'Ana Souza')", w.clinic.ID, id)
		shared = append(shared, id)
	}
	var writing sync.WaitGroup
	for n := range writers {
		conn := w.d.Connect(t, w.d.SuperuserURL)
		writing.Go(func() {
			racer := testkit.Racer{Clinic: w.clinic.ID, Name: func(int) string { return "Rita Lobo" }, Shared: shared}
			if err := racer.Write(context.WithoutCancel(t.Context()), conn, all/writers, rand.New(rand.NewPCG(1, uint64(n)))); err != nil {
				t.Error(err)
			}
		})
	}
	written := make(chan struct{})
	go func() { defer close(written); writing.Wait() }()

	// Two servers at a time, of which one or the other is killed.
	self, err := os.Executable()
	require.NoError(t, err)
	send := func() *process { return start(t, []string{childDatabase + "=" + w.d.AppURL}, self) }
	servers := []*process{send(), send()}
	dice := rand.New(rand.NewPCG(2, 2))
	// What happened before the endpoint was there is not for it.
	const wanted = `SELECT count(*) FROM changes WHERE event IN ('contact.created', 'contact.updated') AND position > $1`
	left := func() int {
		return w.d.Count(t, "SELECT count(*) FROM outbox") + w.d.Count(t, wanted, before) - w.d.Count(t, "SELECT count(*) FROM webhook_deliveries WHERE delivered_at IS NOT NULL")
	}
	kills, began, receiverKilled := 0, time.Now(), false
	limit := 5*time.Minute + time.Duration(all)*20*time.Millisecond
	done := func() bool {
		select {
		case <-written:
			return left() == 0
		default:
			return false
		}
	}
	for !done() {
		require.Less(t, time.Since(began), limit, "%d are left", left())
		pause := time.NewTimer(time.Duration(500+dice.IntN(2500)) * time.Millisecond)
		<-pause.C
		delivered := w.d.Count(t, "SELECT count(*) FROM webhook_deliveries WHERE delivered_at IS NOT NULL")
		if kills < 6+all/2000 && delivered > 0 {
			n := dice.IntN(2)
			servers[n].kill()
			servers[n] = send()
			kills++
		}
		if !receiverKilled && delivered > 100 {
			receiver.kill()
			receiver = receive(2)
			receiverKilled = true
		}
	}
	require.True(t, receiverKilled)
	require.Positive(t, kills)

	rows, err := w.d.Connect(t, w.d.SuperuserURL).Query(t.Context(), `SELECT position FROM changes WHERE event IN ('contact.created', 'contact.updated') AND position > $1 ORDER BY position`, before)
	require.NoError(t, err)
	positions, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	require.NoError(t, err)
	seen, last, times, failed := map[int64]string{}, map[string]int64{}, 0, 0
	for _, one := range read(t, taken) {
		require.Empty(t, one.Fault)
		if one.Failed {
			failed++
			continue
		}
		times++
		if id, again := seen[one.Position]; again {
			require.Equal(t, id, one.ID, "the same id each time")
			continue
		}
		seen[one.Position] = one.ID
		require.Greater(t, one.Position, last[one.EntityID], "in order per entity")
		last[one.EntityID] = one.Position
	}
	for _, position := range positions {
		require.NotEmpty(t, seen[position], "position %d was missed", position)
	}
	require.Len(t, seen, len(positions))
	require.Positive(t, failed)
	t.Logf("%d events of %d transactions by %d writers; the receiver took %d deliveries and failed %d, and was killed once; servers were killed %d times; %s", len(positions), all, writers, times, failed, kills, time.Since(began).Round(time.Second))
}
