package testkit

import (
	"bytes"
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// Loss is what a Cutter does to the next commit.
type Loss int32

const (
	// LoseNothing passes everything on.
	LoseNothing Loss = iota
	// LoseQuestion is that Postgres never hears of the commit.
	LoseQuestion
	// LoseAcknowledgement is that Postgres commits, and who asked does not hear of it.
	LoseAcknowledgement
)

// committing is the message by which a driver commits (PostgreSQL's protocol, Query).
var committing = []byte("Q\x00\x00\x00\x0bcommit\x00") //nolint:gochecknoglobals // a constant

// Cutter is a way to Postgres that ends a connection at a commit.
type Cutter struct {
	listener net.Listener
	address  url.URL
	next     atomic.Int32
	cuts     atomic.Int32
}

// NewCutter is a way to the Postgres of an address, as long as the test runs.
func NewCutter(t testing.TB, address string) *Cutter {
	t.Helper()
	parsed, err := url.Parse(address)
	require.NoError(t, err)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	c := &Cutter{listener: listener, address: *parsed}
	var relays sync.WaitGroup
	relays.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			relays.Go(func() { c.relay(client) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		relays.Wait()
	})
	return c
}

// URL is the address by way of the cutter.
func (c *Cutter) URL() string {
	through := c.address
	through.Host = c.listener.Addr().String()
	return through.String()
}

// Cut has the next commit lose something.
func (c *Cutter) Cut(next Loss) { c.next.Store(int32(next)) }

// Cuts is how many commits lost something.
func (c *Cutter) Cuts() int { return int(c.cuts.Load()) }

func (c *Cutter) relay(client net.Conn) {
	defer func() { _ = client.Close() }()
	server, err := net.Dial("tcp", c.address.Host) //nolint:noctx // it ends with its other side
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	var deaf atomic.Bool
	var both sync.WaitGroup
	both.Go(func() {
		defer func() { _ = server.Close() }()
		c.forward(server, client, &deaf)
	})
	both.Go(func() {
		defer func() { _ = client.Close() }()
		buffer := make([]byte, 32<<10)
		for {
			n, err := server.Read(buffer)
			if err != nil || deaf.Load() {
				return // what Postgres said of the commit is not passed on
			}
			if _, err := client.Write(buffer[:n]); err != nil {
				return
			}
		}
	})
	both.Wait()
}

// forward passes on what a client asks, until a commit is to be cut.
func (c *Cutter) forward(server io.Writer, client io.Reader, deaf *atomic.Bool) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			return
		}
		if bytes.HasSuffix(buffer[:n], committing) {
			switch Loss(c.next.Swap(int32(LoseNothing))) {
			case LoseQuestion:
				c.cuts.Add(1)
				return
			case LoseAcknowledgement:
				c.cuts.Add(1)
				deaf.Store(true)
			case LoseNothing:
			}
		}
		if _, err := server.Write(buffer[:n]); err != nil {
			return
		}
	}
}
