package trust

import (
	"context"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/taskmed/taskmed/internal/coherence"
)

// An instance that begins does not know what was written before it listened, and
// would have to begin a new epoch, which empties Redis for everybody at each
// deploy. It need not if another instance vouches: one that is trusted, hears the
// same Postgres and has since twice shown that everything that was committed
// before has been raised. The first of the two may have begun too early.

const (
	// vouchesLive is how long a voucher that is not renewed is kept.
	vouchesLive = 2 * time.Second
	// patience is how long one who begins waits to be vouched for.
	patience = 3*heartbeat + 150*time.Millisecond
)

// voucher is what an instance says about itself at each sign of life.
type voucher struct {
	// server is the run of Postgres, and the database, that it hears.
	server string
	epoch  uint64
	beats  uint64
}

func (v voucher) String() string {
	return v.server + "|" + strconv.FormatUint(v.epoch, 10) + "|" + strconv.FormatUint(v.beats, 10)
}

func readVoucher(text string) (voucher, bool) {
	parts := strings.Split(text, "|")
	if len(parts) != 3 {
		return voucher{}, false
	}
	epoch, failed := strconv.ParseUint(parts[1], 10, 64)
	beats, failedToo := strconv.ParseUint(parts[2], 10, 64)
	return voucher{server: parts[0], epoch: epoch, beats: beats}, failed == nil && failedToo == nil
}

// vouchKey has all vouchers for a journal, by instance.
const vouchKey = "vouchers"

func vouch(ctx context.Context, l *coherence.Shared, instance string, v voucher) error {
	return l.Do(ctx, func(ctx context.Context, client *redis.Client) error {
		_, err := client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			pipe.HSet(ctx, l.RunKey(vouchKey), instance, v.String())
			pipe.PExpire(ctx, l.RunKey(vouchKey), vouchesLive)
			return nil
		})
		return err
	})
}

// vouchers are the other instances'.
func vouchers(ctx context.Context, l *coherence.Shared, instance string) (map[string]voucher, error) {
	var texts map[string]string
	err := l.Do(ctx, func(ctx context.Context, client *redis.Client) (err error) {
		texts, err = client.HGetAll(ctx, l.RunKey(vouchKey)).Result()
		return err
	})
	found := map[string]voucher{}
	for id, text := range texts {
		if v, ok := readVoucher(text); ok && id != instance {
			found[id] = v
		}
	}
	return found, err
}

// beaten is called by the listener at each sign of life, when everything that
// was committed before it has been raised.
func (t *Trust) beaten(ctx context.Context, server string, beats uint64) {
	g := t.latest.Load()
	if g == nil || g.Shared == nil {
		return
	}
	if err := vouch(ctx, g.Shared, t.instance, voucher{server: server, epoch: g.epoch.Load(), beats: beats}); err != nil {
		t.log.DebugContext(ctx, "vouch for what is kept", slog.Any("error", err))
	}
}

// vouchedEpoch is the epoch that another instance vouches for, 0 if none does.
// It is asked for while this instance listens already.
func (s *supervisor) vouchedEpoch(ctx context.Context) uint64 {
	if s.listener == nil {
		return 0
	}
	server := s.listener.server.Load()
	first, err := vouchers(ctx, s.shared, s.instance)
	if err != nil || len(first) == 0 || server == nil {
		return 0
	}
	bounded, done := context.WithTimeout(ctx, patience)
	defer done()
	tick := time.NewTicker(heartbeat / 8)
	defer tick.Stop()
	for {
		select {
		case <-bounded.Done():
			return 0
		case <-tick.C:
		}
		now, err := vouchers(bounded, s.shared, s.instance)
		if err != nil {
			return 0
		}
		for id, v := range now {
			before, known := first[id]
			if known && v.server == *server && v.epoch == before.epoch && v.beats >= before.beats+2 {
				if epoch, err := s.shared.Epoch(bounded); err == nil && epoch == v.epoch {
					return epoch
				}
			}
		}
	}
}
