package network

import (
	"errors"
	"net"
	"net/netip"
	"strconv"
	"syscall"

	"vpn/internal/vpn"
)

// ProbeTCP returns nil if something new could listen on a TCP port of this
// machine now. It does not share the port with a listener that would allow
// that. The error is of kind [vpn.Conflict], and names the holder if it is
// known, when the port is taken; [vpn.Denied] when this user may not have it;
// [vpn.Invalid] when the address is not this machine's.
func ProbeTCP(listen netip.Addr, port uint16) error {
	l, err := net.Listen("tcp", netip.AddrPortFrom(listen, port).String())
	if err == nil {
		return l.Close()
	}
	return probeError("tcp", listen, port, err)
}

// ProbeUDP is what [ProbeTCP] is, for datagrams.
func ProbeUDP(listen netip.Addr, port uint16) error {
	c, err := net.ListenPacket("udp", netip.AddrPortFrom(listen, port).String())
	if err == nil {
		return c.Close()
	}
	return probeError("udp", listen, port, err)
}

func probeError(network string, listen netip.Addr, port uint16, err error) error {
	number := strconv.Itoa(int(port))
	if network == "udp" {
		number = "UDP " + number
	}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		if holder, ok := PortHolder(network, port); ok {
			return vpn.Errorf(vpn.Conflict, "port %s is taken by %s", number, holder).
				WithHint("stop it, or choose another port")
		}
		return vpn.Errorf(vpn.Conflict, "port %s is taken", number).WithHint("choose another port")
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return vpn.Errorf(vpn.Denied, "this user may not listen on port %s: %w", number, err).
			WithHint("choose a port from 1024 upward, or run as root")
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return vpn.Errorf(vpn.Invalid, "%s is not an address of this machine", listen).
			WithHint("listen on :: to take every address")
	}
	return vpn.Errorf(vpn.Unavailable, "port %s of %s cannot be had: %w", number, listen, err)
}

// FreePort returns the first of the candidates that something new could listen
// on now. Nothing reserves it.
func FreePort(listen netip.Addr, candidates ...uint16) (uint16, bool) {
	for _, p := range candidates {
		if ProbeTCP(listen, p) == nil {
			return p, true
		}
	}
	return 0, false
}
