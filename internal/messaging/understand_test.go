package messaging_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/messaging"
	"github.com/taskmed/taskmed/models"
)

// understanding is told how many events a worker has understood.
type understanding struct {
	mu   sync.Mutex
	done int
	and  func(done int)
}

func (u *understanding) Sent(models.Channel, string) {}

func (u *understanding) Understood(models.Channel, string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.done++
	u.and(u.done)
}

func (u *understanding) Waits([]*messaging.Waiting) {}

// Several of one clinic's are understood beside each other: nobody waits for another person's
// conversation, be it locked.
func TestWorker_UnderstandsOthersWhileOneWaits(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	_, path := d.whatsapp(t)
	worker := messaging.NewWorker(d.talk, messaging.WorkerConfig{Counted: &understanding{and: func(int) {}}})
	from := func(n int) string { return fmt.Sprintf("5511976543%03d", n) }
	require.Equal(t, http.StatusOK, d.post(t, path, wrote("wamid.first", from(0), "BR.0", "oi", time.Now().Unix())))
	d.settle(t, worker)
	held, err := d.Connect(t, d.SuperuserURL).Begin(t.Context())
	require.NoError(t, err)
	_, err = held.Exec(t.Context(), "SELECT FROM conversations FOR UPDATE")
	require.NoError(t, err)
	const others = 12
	require.Equal(t, http.StatusOK, d.post(t, path, wrote("wamid.stuck", from(0), "BR.0", "oi", time.Now().Unix())))
	for n := range others {
		require.Equal(t, http.StatusOK, d.post(t, path, wrote(fmt.Sprint("wamid.free", n), from(n+1), fmt.Sprint("BR.", n+1), "oi", time.Now().Unix())))
	}
	round := make(chan error, 1)
	go func() {
		_, err := worker.Round(t.Context())
		round <- err
	}()
	require.Eventually(t, func() bool { return d.Count(t, "SELECT count(*) FROM messages") == 1+others }, time.Minute, 5*time.Millisecond)
	require.NoError(t, held.Rollback(t.Context()))
	require.NoError(t, <-round)
	require.Equal(t, 2+others, d.Count(t, "SELECT count(*) FROM messages"))
}

// What a worker has claimed and not begun when it ends is another's at once.
func TestWorker_GivesBackWhatItHasNotBegun(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	_, path := d.whatsapp(t)
	const posted = 40
	for n := range posted {
		require.Equal(t, http.StatusOK, d.post(t, path, wrote(fmt.Sprint("wamid.", n), fmt.Sprintf("5511976543%03d", n), fmt.Sprint("BR.", n), "oi", time.Now().Unix())))
	}
	ctx, end := context.WithCancel(t.Context())
	counted := &understanding{and: func(done int) {
		if done == 3 {
			end()
		}
	}}
	_, _ = messaging.NewWorker(d.talk, messaging.WorkerConfig{Counted: counted}).Round(ctx) // it was ended
	require.Less(t, counted.done, posted)
	require.Equal(t, counted.done, d.Count(t, "SELECT count(*) FROM messages"), "what was begun is finished")
	require.Equal(t, posted-counted.done, d.Count(t, "SELECT count(*) FROM channel_events WHERE due_at <= now() AND attempts = 0"))
	d.settle(t, messaging.NewWorker(d.talk, messaging.WorkerConfig{}))
	require.Equal(t, posted, d.Count(t, "SELECT count(*) FROM messages"))
}
