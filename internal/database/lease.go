package database

import (
	"context"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Lease is one response's share of the pool: one connection, taken when the
// first statement is sent and given back at the end. What several fields read at
// once goes over it one after the other, so no request can take the whole pool.
type Lease struct {
	db *DB
	// turn is held by who uses the connection; a channel, so that waiting for it
	// ends with the request.
	turn chan struct{}

	mu   sync.Mutex
	conn *pgxpool.Conn
	// busy is set while somebody reads, closed once the response has ended.
	busy, closed bool
}

type leaseKey struct{}

// WithLease returns a context whose reads share one connection, and what gives
// it back. It must be called once, when nothing reads any more.
func (db *DB) WithLease(ctx context.Context) (context.Context, func()) {
	s := &Lease{db: db, turn: make(chan struct{}, 1)}
	return context.WithValue(ctx, leaseKey{}, s), s.close
}

func leaseOf(ctx context.Context, db *DB) *Lease {
	s, _ := ctx.Value(leaseKey{}).(*Lease)
	if s == nil || s.db != db {
		return nil
	}
	return s
}

// close gives the connection back. A read that goes on gives it back when it ends.
func (s *Lease) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if !s.busy {
		s.letGo()
	}
}

// yield gives the connection back until the next read: who waits for a second
// connection must not hold a first one, or two of them wait for each other.
func yield(ctx context.Context, db *DB) {
	s := leaseOf(ctx, db)
	if s == nil {
		return
	}
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	default:
		return // it is in use, and not idle
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.letGo()
}

func (s *Lease) letGo() {
	if s.conn != nil {
		s.conn.Release()
		s.conn = nil
	}
}

// connection gives a connection to read by and what to do after the reading. Its
// clinic may still be another one's: who sends a statement puts the right one on
// it first.
func (db *DB) connection(ctx context.Context) (*pgx.Conn, func(), error) {
	if unit := unitOf(ctx, db); unit != nil {
		return unit.take(ctx)
	}
	s := leaseOf(ctx, db)
	if s == nil {
		conn, err := db.acquire(clinicLater(ctx))
		if err != nil {
			return nil, nil, err
		}
		return conn.Conn(), conn.Release, nil
	}
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, translate(ctx.Err())
	}
	conn, err := s.take(ctx)
	if err != nil {
		<-s.turn
		return nil, nil, err
	}
	return conn.Conn(), func() {
		s.mu.Lock()
		s.busy = false
		// A connection that broke is not to be used again; one that comes back after
		// the end has nobody else to release it.
		if s.conn != nil && (s.closed || s.conn.Conn().IsClosed()) {
			s.letGo()
		}
		s.mu.Unlock()
		<-s.turn
	}, nil
}

func (s *Lease) take(ctx context.Context) (*pgxpool.Conn, error) {
	s.mu.Lock()
	s.busy = true
	held := s.conn
	s.mu.Unlock()
	if held != nil {
		return held, nil
	}
	conn, err := s.db.acquire(clinicLater(ctx))
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.busy = false
		return nil, err
	}
	s.conn = conn
	return conn, nil
}
