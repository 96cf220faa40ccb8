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

// Loss is what a Cutter does to a commit.
type Loss int32

const (
	// LoseQuestion is that Postgres never hears of the commit.
	LoseQuestion Loss = iota
	// LoseAcknowledgement is that Postgres commits, and who asked does not hear of it.
	LoseAcknowledgement
)

// The messages by which a driver begins and commits (PostgreSQL's protocol, Query).
var (
	beginning  = []byte("Q\x00\x00\x00\x0abegin\x00")  //nolint:gochecknoglobals // a constant
	committing = []byte("Q\x00\x00\x00\x0bcommit\x00") //nolint:gochecknoglobals // a constant
)

// Cutter is a way to Postgres that ends a connection at a commit.
type Cutter struct {
	listener net.Listener
	address  url.URL
	next     atomic.Pointer[cut]
	cuts     atomic.Int32
}

// cut is what is to be lost of which transaction.
type cut struct {
	loss Loss
	of   []byte
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

// Cut has the next commit of a transaction lose something in which these words were sent
// to Postgres: servers commit other things, too.
func (c *Cutter) Cut(loss Loss, of string) { c.next.Store(&cut{loss, []byte(of)}) }

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
	var asked []byte // in this transaction
	for {
		n, err := client.Read(buffer)
		if err != nil {
			return
		}
		if asked = append(asked, buffer[:n]...); bytes.HasSuffix(asked, beginning) {
			asked = nil
		}
		if bytes.HasSuffix(asked, committing) {
			next := c.next.Load()
			if next != nil && bytes.Contains(asked, next.of) && c.next.CompareAndSwap(next, nil) {
				c.cuts.Add(1)
				if next.loss == LoseQuestion {
					return
				}
				deaf.Store(next.loss == LoseAcknowledgement)
			}
			asked = nil
		}
		if _, err := server.Write(buffer[:n]); err != nil {
			return
		}
	}
}
