package main

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// wire stands between a server and Postgres and counts what goes by.
type wire struct {
	addr     string
	postgres string
	listener net.Listener

	// statements are those run, roundTrips how often a server sent something and
	// then had to wait for Postgres.
	statements, roundTrips atomic.Int64

	mu    sync.Mutex
	ended bool
	conns []net.Conn
}

func newWire(ctx context.Context, postgres string) (*wire, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	w := &wire{addr: listener.Addr().String(), postgres: postgres, listener: listener}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // Closed.
			}
			go w.carry(ctx, conn)
		}
	}()
	return w, nil
}

func (w *wire) carry(ctx context.Context, client net.Conn) {
	var dialer net.Dialer
	postgres, err := dialer.DialContext(ctx, "tcp", w.postgres)
	if err != nil {
		_ = client.Close()
		return
	}
	w.mu.Lock()
	w.conns = append(w.conns, client, postgres)
	ended := w.ended
	w.mu.Unlock()
	if ended {
		_, _ = client.Close(), postgres.Close()
		return
	}
	// waiting is whether the server has asked and was not answered yet.
	var waiting atomic.Bool
	seen := messages{found: func(kind byte) {
		switch kind {
		case 'E', 'Q': // Execute, Query
			w.statements.Add(1)
		}
		switch kind {
		case 'S', 'H', 'Q': // Sync, Flush, Query
			if waiting.CompareAndSwap(false, true) {
				w.roundTrips.Add(1)
			}
		}
	}}
	go func() {
		pass(client, postgres, func([]byte) { waiting.Store(false) })
		_ = client.Close()
	}()
	pass(postgres, client, seen.read)
	_ = postgres.Close()
}

// pass copies until one of both is gone, and shows each portion before it goes on.
func pass(to io.Writer, from io.Reader, show func([]byte)) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			show(buffer[:n])
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (w *wire) close() {
	_ = w.listener.Close()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	for _, conn := range w.conns {
		_ = conn.Close()
	}
}

// messages takes a client's bytes apart, as the protocol's version 3 has them: a
// kind, a length that counts itself, and so many bytes. Those before the session
// begins have no kind.
type messages struct {
	found func(kind byte)

	begun bool
	head  []byte
	// body is how much of the message is still to come.
	body uint32
}

// sessionBegins is the version that a StartupMessage names where requests for
// encryption have a number of their own.
const sessionBegins = 3

func (m *messages) read(bytes []byte) {
	for len(bytes) > 0 {
		if m.body > 0 {
			skipped := min(uint32(len(bytes)), m.body)
			m.body -= skipped
			bytes = bytes[skipped:]
			continue
		}
		m.head = append(m.head, bytes[0])
		bytes = bytes[1:]
		switch {
		case m.begun && len(m.head) == 5:
			m.found(m.head[0])
			m.body = binary.BigEndian.Uint32(m.head[1:]) - 4
			m.head = m.head[:0]
		case !m.begun && len(m.head) == 8:
			m.begun = binary.BigEndian.Uint16(m.head[4:]) == sessionBegins
			m.body = binary.BigEndian.Uint32(m.head) - 8
			m.head = m.head[:0]
		}
	}
}
