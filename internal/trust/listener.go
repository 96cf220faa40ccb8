package trust

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// heartbeat is how often the listening connection shows that it lives.
	heartbeat = 200 * time.Millisecond
	// lease is how long after a sign of life nothing can have been missed for
	// longer than this without it being noticed.
	lease = time.Second
	// channel is what the triggers notify on (migrations/00002_announcements.sql).
	channel = "taskmed_cache"
	// keptTokens bounds the arrived tokens that nobody has asked for yet.
	keptTokens = 4096
)

// listener hears what Postgres tells of writes made outside the API. While it is
// not certain to hear everything nothing is served from the cache.
type listener struct {
	url string
	log *slog.Logger
	// told is who is told of it.
	told hearer

	// aside is what the signs of life announce at times.
	aside *aside
	beats uint64
	// announcing tells that the connection holds the lock of who announces.
	announcing bool
	// agreement is about the Redis that all use.
	agreement agreement
	// woken ends a wait for notifications; nil while there is none.
	woken atomic.Pointer[context.CancelFunc]
	// server names the run of Postgres, and the database, that is heard.
	server atomic.Pointer[string]
	// database names the database that is heard, whatever the run of Postgres.
	database atomic.Pointer[string]
	// astray tells that the connection must be made anew: requests go elsewhere.
	astray atomic.Bool

	started time.Time
	// session counts the connections; 0 while there is none.
	session  atomic.Uint64
	sessions uint64
	// vouched is until when nothing can have been missed unnoticed, since started.
	vouched atomic.Int64

	mu      sync.Mutex
	arrived map[string]struct{}
	order   []string
	waiting map[string]chan struct{}
}

// hearer is told what the listener hears.
type hearer interface {
	// notified takes what was heard, in order, before its tokens count as arrived.
	notified(ctx context.Context, notices []notice)
	// lost: something may have been missed.
	lost()
	// nudge: from now on nothing is missed.
	nudge()
	// beaten takes each sign of life, once what was heard has been taken.
	beaten(ctx context.Context, server string, beats uint64)
}

func newListener(url string, log *slog.Logger, aside *aside, told hearer) *listener {
	return &listener{
		url: url, log: log, started: time.Now(), aside: aside, told: told,
		arrived: map[string]struct{}{}, waiting: map[string]chan struct{}{},
	}
}

// whole tells whether everything is heard at this moment.
func (l *listener) whole() bool { return int64(time.Since(l.started)) < l.vouched.Load() }

// run listens until the context ends, over as many connections as it takes.
func (l *listener) run(ctx context.Context) {
	wait := 20 * time.Millisecond
	for ctx.Err() == nil {
		began := time.Now()
		err := l.listen(ctx)
		l.vouched.Store(0)
		l.session.Store(0)
		l.agreement.unlocked()
		l.aside.silenced()
		if ctx.Err() != nil {
			return
		}
		l.told.lost()
		l.log.WarnContext(ctx, "the cache does not hear Postgres and is not used", slog.Any("error", err))
		if time.Since(began) > 5*time.Second {
			wait = 20 * time.Millisecond
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
		wait = min(2*wait, time.Second)
	}
}

// identity names the run of Postgres and the database in it: notifications stay
// within a database, of which a server may have several.
const identity = `SELECT pg_postmaster_start_time()::text || '/' || oid, (` + databaseName + `) FROM pg_database WHERE datname = current_database()`

func (l *listener) listen(ctx context.Context) error {
	l.announcing = false // a lock goes with its connection
	config, err := pgx.ParseConfig(l.url)
	if err != nil {
		return fmt.Errorf("the URL of Postgres cannot be read")
	}
	config.ConnectTimeout = 2 * time.Second
	config.RuntimeParams["application_name"] = "taskmed cache"
	// A lock of a machine that was switched off goes with its connection.
	config.RuntimeParams["tcp_keepalives_idle"] = "10"
	config.RuntimeParams["tcp_keepalives_interval"] = "5"
	config.RuntimeParams["tcp_keepalives_count"] = "3"
	var heard []*pgconn.Notification
	config.OnNotification = func(_ *pgconn.PgConn, n *pgconn.Notification) { heard = append(heard, n) }
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("connect to listen: %w", err)
	}
	defer func() {
		closing, done := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer done()
		_ = conn.Close(closing) // it is given up either way
	}()
	beat := func(sql string) error {
		at := time.Since(l.started)
		bounded, done := context.WithTimeout(ctx, lease)
		defer done()
		if _, err := conn.Exec(bounded, sql); err != nil {
			return fmt.Errorf("listen: %w", err)
		}
		// What was committed before is heard by now; it must count first.
		l.take(ctx, heard)
		heard = nil
		l.vouched.Store(int64(at + lease))
		l.beats++
		l.told.beaten(ctx, *l.server.Load(), l.beats)
		return nil
	}
	server, database, err := whoIs(ctx, conn)
	if err != nil {
		return err
	}
	l.server.Store(&server)
	l.database.Store(&database)
	if err := beat("LISTEN " + channel); err != nil {
		return err
	}
	// Who began to announce before is not heard at once.
	var free bool
	if err := conn.QueryRow(ctx, "SELECT pg_try_advisory_xact_lock($1)", int64(asideLock)).Scan(&free); err != nil {
		return fmt.Errorf("ask whether somebody writes without redis: %w", err)
	}
	if !free {
		l.aside.heard("") // by whom is not known, so no end counts for it
	}
	if err := l.agreement.attend(ctx, conn); err != nil {
		return err
	}
	l.sessions++
	l.session.Store(l.sessions)
	l.told.nudge()
	last := time.Now()
	for {
		waiting, done := context.WithTimeout(ctx, time.Until(last.Add(heartbeat)))
		l.woken.Store(&done)
		err := conn.PgConn().WaitForNotification(waiting)
		late := waiting.Err() != nil
		done()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if l.astray.Swap(false) {
			return errAstray
		}
		if err != nil && (!late || conn.IsClosed()) {
			return fmt.Errorf("listen: %w", err)
		}
		l.take(ctx, heard)
		heard = nil
		if err := l.agreement.attend(ctx, conn); err != nil {
			return err
		}
		if time.Since(last) >= heartbeat {
			if err := l.sign(beat); err != nil {
				return err
			}
			last = time.Now()
		}
	}
}

// wants tells which Redis this instance would use; nil for none.
func (l *listener) wants(place *string) {
	l.agreement.wanted.Store(place)
	if wake := l.woken.Load(); wake != nil {
		(*wake)()
	}
}

// stray has the connection be made anew.
func (l *listener) stray() {
	if l == nil {
		return
	}
	l.astray.Store(true)
	if wake := l.woken.Load(); wake != nil {
		(*wake)()
	}
}

// sign gives a sign of life, which announces what there is to announce.
func (l *listener) sign(beat func(sql string) error) error {
	switch announcing := l.aside.announces(); {
	case announcing:
		begun := time.Now()
		lock := ""
		if !l.announcing {
			lock = fmt.Sprintf("pg_advisory_lock_shared(%d), ", int64(asideLock))
		}
		if err := beat(fmt.Sprintf("SELECT %spg_notify('%s', '%s')", lock, channel, l.aside.announcement(false))); err != nil {
			return err
		}
		l.aside.announced(begun)
		l.announcing = true
		return nil
	case l.announcing:
		l.announcing = false
		return beat(fmt.Sprintf("SELECT pg_advisory_unlock_shared(%d), pg_notify('%s', '%s')", int64(asideLock), channel, l.aside.announcement(true)))
	default:
		return beat("SELECT 1")
	}
}
