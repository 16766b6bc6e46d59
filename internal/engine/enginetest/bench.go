package enginetest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"vpn/internal/engine"
	"vpn/internal/engine/egress"
	"vpn/internal/engine/meter"
	"vpn/internal/vpn"
)

const (
	kib = 1 << 10
	mib = 1 << 20

	// promptly is how soon a cut or a refusal must be felt.
	promptly = time.Second
	// patience is how long a test waits for what has no deadline.
	patience = 10 * time.Second
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// A bench is an engine that serves some users.
type bench struct {
	testing.TB
	h      Harness
	meter  *meter.Meter
	guard  *egress.Guard
	engine engine.Engine
	spec   vpn.Spec
}

// newBench starts an engine that serves n users, who may reach loopback.
func newBench(t testing.TB, h Harness, n int) *bench {
	t.Helper()
	b := newIdleBench(t, h, n)
	err := b.push()
	for range 5 { // somebody was given the port in this moment
		if vpn.KindOf(err) != vpn.Conflict {
			break
		}
		b.spec.Server.Port = FreePort(t, 1)
		err = b.push()
	}
	if err != nil {
		t.Fatalf("apply: %v", err)
	}
	return b
}

// newIdleBench makes a bench whose engine has not been told anything yet.
func newIdleBench(t testing.TB, h Harness, n int) *bench {
	t.Helper()
	b := &bench{TB: t, h: h, spec: vpn.Spec{Generation: "test", Server: h.Server(t)}}
	s := &b.spec.Server
	s.ID, s.Name, s.Listen, s.Port, s.Allow = "server", "test", netip.IPv6Unspecified(), FreePort(t, 1), slices.Clone(loopback)
	for _, a := range []netip.Addr{h.Host4, h.Host6} {
		if a.IsValid() {
			s.Allow = append(s.Allow, netip.PrefixFrom(a, a.BitLen()))
		}
	}
	for i := range n {
		b.spec.Grants = append(b.spec.Grants, vpn.Grant{
			Credential: vpn.CredentialID(vpn.NewID()),
			User:       vpn.UserID(fmt.Sprintf("user%d", i)),
			Name:       fmt.Sprintf("name%d", i),
			Secret:     h.Secret(),
			Slot:       uint32(i),
		})
	}
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	grace := time.Second
	if h.Packets { // nobody is told of a refusal, so it takes longer to be noticed
		grace *= 3
	}
	b.meter = meter.New(meter.Options{Epoch: "epoch", Grace: grace, Log: log, Most: h.most})
	b.guard = egress.New(nil)
	var err error
	if b.engine, err = h.New(engine.Config{Meter: b.meter, Guard: b.guard, Log: log}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.engine.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		b.meter.Close()
	})
	return b
}

// push applies the bench's spec as a worker does.
func (b *bench) push() error {
	b.spec.Revision++
	b.guard.SetAllow(b.spec.Server.Allow)
	b.meter.Set(b.spec.Grants)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return b.engine.Apply(ctx, b.spec)
}

func (b *bench) apply() {
	b.Helper()
	if err := b.push(); err != nil {
		b.Fatalf("apply: %v", err)
	}
}

// client returns a device of user i.
func (b *bench) client(i int) Client {
	return Client{
		Server: b.spec.Server,
		Grant:  b.spec.Grants[i],
		Via:    netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), b.spec.Server.Port),
	}
}

// dial connects user i to address.
func (b *bench) dial(i int, network, address string) net.Conn {
	b.Helper()
	return b.dialAs(b.client(i), network, address)
}

func (b *bench) dialAs(c Client, network, address string) net.Conn {
	b.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := b.h.Dial(ctx, c, network, address)
	if err != nil {
		b.Fatalf("dial %s: %v", address, err)
	}
	return b.keep(conn)
}

// letIn checks that c gets a connection to address, with TLS inside or not. In
// a tunnel it may take several: a device that begins anew within 20 ms of
// another of the same key is not answered, and asks again only after 5 s.
func (b *bench) letIn(c Client, address string, inner bool) error {
	b.Helper()
	tries := 1
	if b.h.Tunnel {
		tries = 3
	}
	for {
		conn := b.dialAs(c, "tcp", address)
		var err error
		if inner {
			secure := tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
			err, conn = secure.Handshake(), secure
		}
		if err == nil {
			err = ping(conn)
		}
		if tries--; err == nil || tries == 0 {
			return err
		}
	}
}

// refusesAs checks that c gets no connection to address that anything comes
// by. In a tunnel nobody answers, and a client that asks for long enough comes
// in when another's time is over: so it does not ask for long.
func (b *bench) refusesAs(c Client, address string) {
	b.Helper()
	if !b.h.Tunnel {
		b.refused(b.dialAs(c, "tcp", address))
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), promptly/2)
	defer cancel()
	if conn, err := b.h.Dial(ctx, c, "tcp", address); err == nil {
		b.refused(b.keep(conn))
	}
}

// refuses is refusesAs for user i.
func (b *bench) refuses(i int, address string) {
	b.Helper()
	b.refusesAs(b.client(i), address)
}

// keep closes conn in the end, and gives it a deadline.
func (b *bench) keep(conn net.Conn) net.Conn {
	b.Helper()
	b.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(3 * patience)); err != nil {
		b.Fatal(err)
	}
	return conn
}

// used returns what the meter has counted of user i.
func (b *bench) used(i int) vpn.Traffic {
	for _, c := range b.meter.Usage(0).Counters {
		if c.Credential == b.spec.Grants[i].Credential {
			return c.Traffic
		}
	}
	return vpn.Traffic{}
}

// usedExactly waits until the meter's count of user i is what d says.
func (b *bench) usedExactly(i int, d *destination) {
	b.Helper()
	var got, want vpn.Traffic
	if !eventually(patience, func() bool {
		got, want = b.used(i), d.traffic()
		return got == want || b.h.Packets && around(got, want)
	}) {
		b.Errorf("counted %+v, and the destination saw %+v", got, want)
	}
}

// around reports whether got can be what packets with want in them come to.
func around(got, want vpn.Traffic) bool {
	most := float64(want.Total())*1.15 + 128*kib
	return got.Up >= want.Up && got.Down >= want.Down && float64(got.Total()) <= most
}

// idle waits until no flow is left after connections have been closed, which
// a tunnel outlasts.
func (b *bench) idle() {
	b.Helper()
	if b.h.Tunnel {
		if n := b.meter.Conns(); n > len(b.spec.Grants) {
			b.Errorf("%d clients have %d tunnels", len(b.spec.Grants), n)
		}
		return
	}
	b.severed()
}

// severed waits until no flow is left after all were cut.
func (b *bench) severed() {
	b.Helper()
	if !eventually(patience, func() bool { return b.meter.Conns() == 0 }) {
		b.Fatalf("%d flows are left", b.meter.Conns())
	}
}

// limit gives user i a ceiling of so many bytes from now.
func (b *bench) limit(i int, bytes uint64) {
	b.Helper()
	b.spec.Grants[i].Capped = true
	u := b.spec.Grants[i].User
	if _, err := b.meter.SetCeilings("epoch", []vpn.Ceiling{{User: u, Bytes: b.used(i).Total() + bytes}}); err != nil {
		b.Fatal(err)
	}
	b.apply()
	if _, err := b.meter.SetCeilings("epoch", []vpn.Ceiling{{User: u, Bytes: b.used(i).Total() + bytes}}); err != nil {
		b.Fatal(err)
	}
}

// refused checks that conn ends soon and that nothing comes by it.
func (b *bench) refused(conn net.Conn) {
	b.Helper()
	_, _ = conn.Write([]byte{opPing})
	within := promptly
	if b.h.Tunnel { // it does not end, and after a grace a device that is silent makes room
		within /= 2
	}
	n, ended := drain(conn, within)
	if !ended && !b.h.Tunnel {
		b.Errorf("connection still open after %v", promptly)
	}
	if n > 0 {
		b.Errorf("%d bytes came by a connection that must be refused", n)
	}
}

// ends checks that the client of conn learns within some time that it has
// ended; in a tunnel it learns of it when it sends, at the latest. Where each
// packet is on its own it learns of it as a rule: what tells it may be lost or
// not heeded, and then nothing passes.
func (b *bench) ends(conn net.Conn, within time.Duration) bool {
	if !b.h.Tunnel {
		_, ended := drain(conn, within)
		return ended
	}
	heard, silent := b.listen(conn, within)
	return heard || silent && b.h.Packets
}

// stops is ends where nobody is left to tell the client of a tunnel: conn may
// be silent instead.
func (b *bench) stops(conn net.Conn, within time.Duration) bool {
	if !b.h.Tunnel {
		_, ended := drain(conn, within)
		return ended
	}
	heard, silent := b.listen(conn, within)
	return heard || silent
}

// listen talks to the other end of conn. It reports whether conn ended within
// some time, and whether it fell silent.
func (b *bench) listen(conn net.Conn, within time.Duration) (ended, silent bool) {
	const silence = 300 * time.Millisecond
	for deadline := time.Now().Add(within); time.Now().Before(deadline); {
		_ = conn.SetWriteDeadline(time.Now().Add(silence))
		_, _ = conn.Write([]byte{opPing})
		_ = conn.SetReadDeadline(time.Now().Add(silence))
		_, err := conn.Read(make([]byte, 64*kib))
		timeout, ok := errors.AsType[net.Error](err)
		silent = ok && timeout.Timeout()
		if err != nil && !silent {
			return true, false
		}
	}
	return false, silent
}

// turnedAway checks that nothing comes by conn, which c has opened; and that
// it ends soon, unless c has become a stranger to a server that is mute.
func (b *bench) turnedAway(c Client, conn net.Conn) {
	b.Helper()
	known := slices.ContainsFunc(b.spec.Grants, func(g vpn.Grant) bool {
		return g.Credential == c.Grant.Credential && g.Secret.Equal(c.Grant.Secret)
	})
	if known || !b.h.Mute {
		b.refused(conn)
		return
	}
	_, _ = conn.Write([]byte{opPing})
	_ = conn.SetReadDeadline(time.Now().Add(promptly / 2))
	if n, err := conn.Read(make([]byte, 1)); n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		b.Errorf("a stranger is answered: %d bytes, %v", n, err)
	}
}

// newUser is a grant for somebody who has none.
func (b *bench) newUser(name string) vpn.Grant {
	return vpn.Grant{
		Credential: vpn.CredentialID(vpn.NewID()), User: vpn.UserID(name), Name: name, Secret: b.h.Secret(), Slot: uint32(len(b.spec.Grants)),
	}
}

// devices makes the first user one with so many devices, and returns a
// function that says which grant each has: the same one, or one of its own
// where that is how it must be.
func (b *bench) devices(n int) (grantOf func(device int) int) {
	b.Helper()
	if !b.h.Tunnel {
		return func(int) int { return 0 }
	}
	for range n - 1 {
		g := b.spec.Grants[0]
		own := b.newUser(g.Name)
		g.Credential, g.Secret, g.Slot = own.Credential, own.Secret, own.Slot
		b.spec.Grants = append(b.spec.Grants, g)
	}
	return func(device int) int { return device }
}

// drain reads conn until it ends, and returns how many bytes came and whether
// it has ended in time.
func drain(conn net.Conn, within time.Duration) (n int, ended bool) {
	_ = conn.SetReadDeadline(time.Now().Add(within))
	total, buf := 0, make([]byte, 64*kib)
	for {
		n, err := conn.Read(buf)
		total += n
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return total, false
		}
		if err != nil {
			return total, true
		}
	}
}

// eventually waits until ok.
func eventually(within time.Duration, ok func() bool) bool {
	deadline := time.Now().Add(within)
	for pause := time.Millisecond; ; pause = min(2*pause, 20*time.Millisecond) {
		if ok() {
			return true
		}
		if time.Now().After(deadline) {
			return false
		}
		time.Sleep(pause)
	}
}

// An occupied port is one that somebody else listens on.
type occupied struct {
	io.Closer
	port uint16
}

// occupy listens where the engine would.
func occupy(h Harness, control func(network, address string, c syscall.RawConn) error, address string) (occupied, error) {
	config := net.ListenConfig{Control: control}
	if h.listens() == "udp" {
		pc, err := config.ListenPacket(context.Background(), "udp", address)
		if err != nil {
			return occupied{}, err
		}
		return occupied{pc, pc.LocalAddr().(*net.UDPAddr).AddrPort().Port()}, nil
	}
	ln, err := config.Listen(context.Background(), "tcp", address)
	if err != nil {
		return occupied{}, err
	}
	return occupied{ln, ln.Addr().(*net.TCPAddr).AddrPort().Port()}, nil
}

// listening reports whether anybody listens at address.
func listening(t testing.TB, h Harness, address string) bool {
	t.Helper()
	if h.listens() == "udp" {
		ln, err := occupy(h, nil, address)
		if err == nil {
			_ = ln.Close()
		}
		return err != nil
	}
	c, err := net.Dial("tcp", address)
	if err == nil {
		_ = c.Close()
	}
	return err == nil
}
