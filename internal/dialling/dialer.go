package dialling

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// Resolver finds the addresses of names; *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Config says what a Dialer dials.
type Config struct {
	// Loopback lets this machine itself be dialled, too. For development alone.
	Loopback bool
	// Timeout bounds one connection, its name's look-up included (5 s).
	Timeout time.Duration

	Seams
}

// Dialer dials the Internet alone.
type Dialer struct {
	config Config
	dialer net.Dialer
}

// New makes a Dialer.
func New(config Config) *Dialer {
	if config.Timeout == 0 {
		config.Timeout = 5 * time.Second
	}
	if config.Resolver == nil {
		config.Resolver = net.DefaultResolver
	}
	d := &Dialer{config: config}
	// Once more where the socket is: whatever was looked up, nothing else is dialled.
	d.dialer.ControlContext = func(_ context.Context, _, address string, _ syscall.RawConn) error {
		if config.Connect != nil || config.WithoutCheck {
			return nil
		}
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		return d.may(at.Addr())
	}
	return d
}

func (d *Dialer) may(ip netip.Addr) error {
	if d.config.WithoutCheck || Public(ip) || d.config.Loopback && ip.Unmap().IsLoopback() {
		return nil
	}
	return &RefusedError{ip}
}

// Addresses are a host's, a name's or an address itself. One that may not be dialled
// refuses them all, with a RefusedError: a name that leads here and there leads here.
func (d *Dialer) Addresses(ctx context.Context, host string) ([]netip.Addr, error) {
	ctx, done := context.WithTimeout(ctx, d.config.Timeout)
	defer done()
	all := []netip.Addr{}
	if ip, err := netip.ParseAddr(host); err == nil {
		all = append(all, ip)
	} else if all, err = d.config.Resolver.LookupNetIP(ctx, "ip", host); err != nil {
		return nil, fmt.Errorf("look up %s: %w", host, err)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s has no address", host)
	}
	const most = 8 // a name with thousands of addresses costs nothing more
	all = all[:min(len(all), most)]
	for _, ip := range all {
		if err := d.may(ip); err != nil {
			return nil, err
		}
	}
	// IPv4 first: where there is no way for IPv6 it fails at once or not at all.
	slices.SortStableFunc(all, func(a, b netip.Addr) int { return a.Unmap().BitLen() - b.Unmap().BitLen() })
	return all, nil
}

// DialContext is for an http.Transport: it looks the host up, and dials the addresses
// that it has seen and no others, so that a name that is looked up twice leads nowhere
// else the second time.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, done := context.WithTimeout(ctx, d.config.Timeout)
	defer done()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("%q is no port", port)
	}
	all, err := d.Addresses(ctx, host)
	if err != nil {
		return nil, err
	}
	connect := d.dialer.DialContext
	if d.config.Connect != nil {
		connect = d.config.Connect
	}
	var faults []error
	for n, ip := range all {
		// Each gets its share of what is left.
		share := ctx
		if until, ok := ctx.Deadline(); ok {
			var done context.CancelFunc
			share, done = context.WithTimeout(ctx, time.Until(until)/time.Duration(len(all)-n))
			defer done()
		}
		conn, err := connect(share, network, netip.AddrPortFrom(ip, uint16(number)).String())
		if err == nil {
			return conn, nil
		}
		faults = append(faults, err)
	}
	return nil, errors.Join(faults...)
}
