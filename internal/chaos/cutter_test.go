package chaos_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/devstack"
	"github.com/taskmed/taskmed/models"
)

// loss is what a cutter does to the next commit.
type loss int32

const (
	// nothing is lost.
	nothing loss = iota
	// question is lost: Postgres never hears of the commit.
	question
	// acknowledgement is lost: Postgres commits, and who asked does not hear of it.
	acknowledgement
)

// committing is the message by which a driver commits (PostgreSQL's protocol, Query).
var committing = []byte("Q\x00\x00\x00\x0bcommit\x00") //nolint:gochecknoglobals // a constant

// cutter is a way to Postgres that ends a connection at a commit.
type cutter struct {
	listener net.Listener
	to       string
	next     atomic.Int32
	cuts     atomic.Int32
}

func newCutter(t *testing.T, to string) *cutter {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	c := &cutter{listener: listener, to: to}
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

func (c *cutter) relay(client net.Conn) {
	defer func() { _ = client.Close() }()
	server, err := net.Dial("tcp", c.to)
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
func (c *cutter) forward(server io.Writer, client io.Reader, deaf *atomic.Bool) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			return
		}
		if bytes.HasSuffix(buffer[:n], committing) {
			switch loss(c.next.Swap(int32(nothing))) {
			case question:
				c.cuts.Add(1)
				return
			case acknowledgement:
				c.cuts.Add(1)
				deaf.Store(true)
			case nothing:
			}
		}
		if _, err := server.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// answersLost has a server lose its connection to Postgres in commits, before they arrive
// and after they are done (promise F3).
func (p *world) answersLost(t *testing.T) {
	direct, err := url.Parse(p.stack.AppURL(devstack.Database))
	require.NoError(t, err)
	c := newCutter(t, direct.Host)
	through := *direct
	through.Host = c.listener.Addr().String()
	server := p.serve(t, p.stack.RedisURL(), "DATABASE_URL="+through.String())
	clinic, conn := p.clinics[0], p.connected(t)
	for n := range 20 {
		for _, lost := range []loss{question, acknowledgement} {
			for _, key := range []string{"", fmt.Sprintf("lost %d %d", n, lost)} {
				name := strings.TrimSpace(fmt.Sprintf("Lost %d %d %s", n, lost, key))
				variables := map[string]any{"name": name}
				cut := c.cuts.Load()
				c.next.Store(int32(lost))
				var answer madeContact
				err := callOnce(t.Context(), server.url(), clinic.ID, clinic.Reception, key, makeContact, variables, &answer)
				require.Equal(t, cut+1, c.cuts.Load(), "the commit was cut")
				var said refused
				require.ErrorAs(t, err, &said, name)
				require.Equal(t, string(models.OutcomeUnknown), said.Code, name)
				there := count(t, conn, "SELECT count(*) FROM contacts WHERE name = $1", name)
				require.Equal(t, map[loss]int{question: 0, acknowledgement: 1}[lost], there, "%s: what Postgres did", name)
				if key == "" {
					continue
				}
				for range 2 {
					err := callOnce(t.Context(), server.url(), clinic.ID, clinic.Reception, key, makeContact, variables, &answer)
					require.NoError(t, err, name)
					require.NotNil(t, answer.CreateContact.Contact)
					lost, twice := p.lostAndTwice(t, conn, []made{{name, answer.CreateContact.Contact.ID}})
					assert.Zero(t, lost+twice, "%s: lost %d, twice %d", name, lost, twice)
				}
			}
		}
	}
}
