package dialling

import (
	"net"
	"net/netip"
	"syscall"
)

// RefusedError is told of an address that is not dialled.
type RefusedError struct{ Address netip.Addr }

func (e *RefusedError) Error() string { return e.Address.String() + " is no address of the Internet's" }

// PublicAlone is a net.Dialer's Control that lets nobody but the Internet be dialled: it
// sees the address that was found, so that a name cannot lead elsewhere.
func PublicAlone(_, address string, _ syscall.RawConn) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return err
	}
	if !Public(ip) {
		return &RefusedError{ip}
	}
	return nil
}

// Public is whether an address is one of the Internet's (RFC 6890 and its successors):
// what translates to others is none either. Of IPv6 only 2000::/3 is given out so far
// (IANA's registry of global unicast addresses).
func Public(ip netip.Addr) bool {
	ip = ip.Unmap()
	if !ip.IsGlobalUnicast() || ip.IsPrivate() || ip.Zone() != "" {
		return false
	}
	if ip.Is6() && !netip.MustParsePrefix("2000::/3").Contains(ip) {
		return false
	}
	for _, special := range []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
		"64:ff9b::/32", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "fec0::/10",
	} {
		if netip.MustParsePrefix(special).Contains(ip) {
			return false
		}
	}
	return true
}
