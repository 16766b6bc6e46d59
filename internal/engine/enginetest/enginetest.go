// Package enginetest is the suite that every engine passes: bytes arrive and
// are counted, limits hold, users come and go without disturbing each other,
// and forbidden destinations stay out of reach.
//
// It runs a real engine behind a real client of its protocol, on loopback,
// and looks at it as users and the control plane do. It knows no protocol.
package enginetest

import (
	"cmp"
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"vpn/internal/engine"
	"vpn/internal/vpn"
)

// Harness is what an engine's own test brings along.
type Harness struct {
	// New makes the engine.
	New engine.New

	// Server returns settings and keys of a server. The suite fills in the
	// rest.
	Server func(t testing.TB) vpn.ServerSpec

	// Secret returns a fresh secret of a user.
	Secret func() vpn.Secret

	// Dial connects to address through a server, as a client application
	// does. It need not wait for an answer: of a refusal it is enough that
	// the connection ends. A datagram connection keeps datagrams apart.
	Dial func(ctx context.Context, c Client, network, address string) (net.Conn, error)

	// StreamsOnly says that the protocol has no datagrams.
	StreamsOnly bool

	// PacketPort says that datagrams come to the server's own port, as UDP, so
	// that nothing tells a client of their end.
	PacketPort bool

	// Mute says that the server answers nothing to those whom it does not know,
	// and lets them wait.
	Mute bool

	// Listens is the network that clients reach the server by; none is "tcp".
	Listens string

	// Tunnel says that all a client does is in one tunnel: one flow of the
	// meter, which outlasts its connections; a refusal may be silence; and a
	// credential is used from one place at a time, so that a
	// user has one for each device.
	Tunnel bool

	// Packets says that IP packets are counted and held to rates, headers,
	// acknowledgements and what is sent twice included.
	Packets bool

	// Except names cases that the engine is known not to pass, which the
	// caller says why.
	Except []string

	// Host4 and Host6 are addresses of this machine that users reach by the
	// engine; none are those of loopback. All others of loopback are forbidden.
	Host4, Host6 netip.Addr

	most int // connections of all users together; 0: any number
}

func (h Harness) listens() string { return cmp.Or(h.Listens, "tcp") }

// host4 and host6 are where destinations listen.
func (h Harness) host4() string { return hostOr(h.Host4, "127.0.0.1") }
func (h Harness) host6() string { return hostOr(h.Host6, "::1") }

func hostOr(a netip.Addr, loopback string) string {
	if a.IsValid() {
		return a.String()
	}
	return loopback
}

// network is what a session of a connection says.
func (h Harness) network(of string) string {
	if h.Tunnel {
		return "ip"
	}
	return of
}

// A Client is somebody's device.
type Client struct {
	Server vpn.ServerSpec
	Grant  vpn.Grant
	Via    netip.AddrPort // where the server is reached
	From   netip.Addr     // the device's own address; none: whatever the system takes
}

// Run runs the suite.
func Run(t *testing.T, h Harness) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, Harness)
	}{
		{"transfer", transfer},
		{"transfer of inner TLS", transferTLS},
		{"end of a connection", endOfConnection},
		{"users come and go", usersComeAndGo},
		{"removed user", removedUser},
		{"rotated secret", rotatedSecret},
		{"blocked user", blockedUser},
		{"expired credential", expiredCredential},
		{"user on hold", onHold},
		{"kicked user", kickedUser},
		{"silent connections", silentConnections},
		{"ceiling", ceiling},
		{"ceiling of inner TLS", ceilingTLS},
		{"throttled user", throttled},
		{"rate", rate},
		{"rate gained", rateGained},
		{"devices", devices},
		{"roaming device", roaming},
		{"connections", connections},
		{"one user who takes all", greedy},
		{"forbidden destinations", forbiddenDestinations},
		{"unreachable destination", unreachableDestination},
		{"datagrams", datagrams},
		{"ceiling of datagrams", ceilingOfDatagrams},
		{"limited datagrams beside others", limitedDatagrams},
		{"limits of streams and datagrams together", limitsOfBoth},
		{"datagrams and another port", datagramsAtAnotherPort},
		{"throttled datagrams", throttledDatagrams},
		{"the same spec again", sameSpec},
		{"bad spec", badSpec},
		{"taken port", takenPort},
		{"port taken for datagrams", takenPacketPort},
		{"another port", anotherPort},
		{"IPv6", ipv6},
		{"close", closeAll},
	} {
		if h.StreamsOnly && strings.Contains(c.name, "datagrams") {
			continue
		}
		if slices.Contains(h.Except, c.name) {
			t.Logf("%s: not held, and not tried", c.name)
			continue
		}
		t.Run(c.name, func(t *testing.T) { c.run(t, h) })
	}
}
