package dialling_test

import (
	"context"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/taskmed/taskmed/internal/dialling"
)

// resolver answers with one list after the other, and then with the last.
type resolver struct {
	answers [][]string
	asked   atomic.Int32
}

func (r *resolver) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	n := min(int(r.asked.Add(1)), len(r.answers)) - 1
	var all []netip.Addr
	for _, text := range r.answers[n] {
		all = append(all, netip.MustParseAddr(text))
	}
	return all, nil
}

func TestPublic_IsNothingOfOnesOwn(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "0.0.0.0", "0.1.2.3", "::", "10.1.2.3", "172.16.0.1", "172.31.255.255",
		"192.168.0.1", "169.254.169.254", "100.64.0.1", "192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
		"fe80::1", "fec0::1", "fc00::1", "fd12:3456::1", "ff02::1", "64:ff9b::7f00:1", "64:ff9b:1::7f00:1", "2002:7f00:1::", "2001::1", "2001:db8::1", "100::1", "::127.0.0.1",
	} {
		require.False(t, dialling.Public(netip.MustParseAddr(address)), address)
	}
	for _, address := range []string{"93.184.215.14", "172.32.0.1", "100.128.0.1", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "::ffff:93.184.215.14"} {
		require.True(t, dialling.Public(netip.MustParseAddr(address)), address)
	}
}

// listen is a listener on this machine that counts who comes.
func listen(t *testing.T) (port string, came *atomic.Int32) {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	came = &atomic.Int32{}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			came.Add(1)
			_ = conn.Close()
		}
	}()
	_, port, err = net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	return port, came
}

// A name that leads to the Internet when it is looked at, and here when it is dialled.
func TestDialer_RefusesANameThatIsBoundAnew(t *testing.T) {
	t.Parallel()
	port, came := listen(t)
	names := &resolver{answers: [][]string{{"93.184.215.14"}, {"127.0.0.1"}}}
	d := dialling.New(dialling.Config{Seams: dialling.Seams{Resolver: names}})
	_, err := d.Addresses(t.Context(), "rebinding.example")
	require.NoError(t, err, "at first it is the Internet's")
	_, err = d.DialContext(t.Context(), "tcp", "rebinding.example:"+port)
	refused := &dialling.RefusedError{}
	require.ErrorAs(t, err, &refused)
	require.Zero(t, came.Load())

	// The control: without the check the listener is reached.
	open := dialling.New(dialling.Config{Seams: dialling.Seams{Resolver: names, WithoutCheck: true}})
	conn, err := open.DialContext(t.Context(), "tcp", "rebinding.example:"+port)
	require.NoError(t, err)
	_ = conn.Close()
	require.Eventually(t, func() bool { return came.Load() == 1 }, time.Minute, time.Millisecond)
}

// Of several addresses one that is no one's business refuses them all, and what is dialled
// is what was looked at.
func TestDialer_DialsWhatItHasSeen(t *testing.T) {
	t.Parallel()
	var dialled []string
	connect := func(_ context.Context, _, address string) (net.Conn, error) {
		dialled = append(dialled, address)
		here, _ := net.Pipe()
		return here, nil
	}
	names := &resolver{answers: [][]string{{"2606:2800::1", "93.184.215.14"}, {"93.184.215.14", "10.0.0.1"}}}
	d := dialling.New(dialling.Config{Seams: dialling.Seams{Resolver: names, Connect: connect}})
	_, err := d.DialContext(t.Context(), "tcp", "some.example:443")
	require.NoError(t, err)
	require.Equal(t, []string{"93.184.215.14:443"}, dialled)
	_, err = d.DialContext(t.Context(), "tcp", "some.example:443")
	require.ErrorContains(t, err, "10.0.0.1")
	require.Len(t, dialled, 1)
}

func TestDialer_LetsThisMachineBeDialledWhereThatIsSaid(t *testing.T) {
	t.Parallel()
	port, came := listen(t)
	_, err := dialling.New(dialling.Config{}).DialContext(t.Context(), "tcp", "127.0.0.1:"+port)
	require.Error(t, err)
	conn, err := dialling.New(dialling.Config{Loopback: true}).DialContext(t.Context(), "tcp", "127.0.0.1:"+port)
	require.NoError(t, err)
	_ = conn.Close()
	require.Eventually(t, func() bool { return came.Load() == 1 }, time.Minute, time.Millisecond)
	_, err = dialling.New(dialling.Config{Loopback: true}).Addresses(t.Context(), "10.0.0.1")
	require.Error(t, err)
}
