package enginetest

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"runtime/pprof"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"vpn/internal/vpn"
)

func sameSpec(t *testing.T, h Harness) {
	b := newBench(t, h, 1)
	d := listenTCP(t, h.host4())
	conn := b.dial(0, "tcp", d.addr)
	for range 3 {
		if err := ping(conn); err != nil {
			t.Fatal(err)
		}
		b.apply()
	}
	if err := ping(b.dial(0, "tcp", d.addr)); err != nil {
		t.Error(err)
	}
	want := 2
	if h.Tunnel {
		want = 1
	}
	if n := b.meter.Conns(); n != want {
		t.Errorf("%d connections", n)
	}
}

func badSpec(t *testing.T, h Harness) {
	good := newBench(t, h, 1)
	d := listenTCP(t, h.host4())
	conn := good.dial(0, "tcp", d.addr)
	for name, spoil := range map[string]func(*vpn.Spec){
		"settings": func(s *vpn.Spec) { s.Server.Settings = json.RawMessage(`{"nonsense": 1}`) },
		"keys":     func(s *vpn.Spec) { s.Server.Private = vpn.NewSecret("nonsense") },
		"address":  func(s *vpn.Spec) { s.Server.Listen = netip.MustParseAddr("203.0.113.77") },
		"secret": func(s *vpn.Spec) {
			s.Grants = append(s.Grants, vpn.Grant{Credential: "x", User: "x", Secret: vpn.NewSecret("nonsense"), Slot: 1})
		},
		"secret of two": func(s *vpn.Spec) {
			s.Grants = append(s.Grants, vpn.Grant{Credential: "x", User: "x", Secret: s.Grants[0].Secret, Slot: 1})
		},
	} {
		t.Run(name, func(t *testing.T) {
			bad := good.spec
			bad.Grants = append([]vpn.Grant(nil), bad.Grants...)
			spoil(&bad)
			err := good.engine.Apply(context.Background(), bad)
			if vpn.KindOf(err) != vpn.Invalid {
				t.Errorf("error %v, of kind %v", err, vpn.KindOf(err))
			}
			if strings.Contains(fmt.Sprintf("%+v", err), good.spec.Grants[0].Secret.Reveal()) {
				t.Error("the error tells a secret")
			}
			if err := ping(conn); err != nil {
				t.Errorf("a live connection broke: %v", err)
			}
			if err := ping(good.dial(0, "tcp", d.addr)); err != nil {
				t.Errorf("new connections fail: %v", err)
			}
		})
	}
	t.Run("at first", func(t *testing.T) {
		_ = good.engine.Close()
		b := newIdleBench(t, h, 1)
		settings := b.spec.Server.Settings
		b.spec.Server.Settings = json.RawMessage(`{"nonsense": 1}`)
		if err := b.push(); vpn.KindOf(err) != vpn.Invalid {
			t.Errorf("error %v", err)
		}
		b.spec.Server.Settings = settings
		b.apply()
		if err := ping(b.dial(0, "tcp", d.addr)); err != nil {
			t.Error(err)
		}
	})
}

func takenPort(t *testing.T, h Harness) {
	b := newIdleBench(t, h, 1)
	d := listenTCP(t, h.host4())
	taken := func() {
		t.Helper()
		err := b.push()
		if vpn.KindOf(err) != vpn.Conflict || err.Error() != fmt.Sprintf("port %d is taken", b.spec.Server.Port) {
			t.Errorf("error %v, of kind %v", err, vpn.KindOf(err))
		}
	}
	for name, host := range map[string]string{"all": "", "one": "127.0.0.1", "shared": "shared"} {
		t.Run(name, func(t *testing.T) {
			var control func(network, address string, c syscall.RawConn) error
			if host == "shared" {
				control, host = reusePort, ""
			}
			ln, err := occupy(h, control, net.JoinHostPort(host, fmt.Sprint(b.spec.Server.Port)))
			if err != nil {
				t.Fatal(err)
			}
			taken()
			_ = ln.Close()
		})
	}
	b.apply()
	conn := b.dial(0, "tcp", d.addr)
	if err := ping(conn); err != nil {
		t.Fatal(err)
	}
	t.Run("when moving", func(t *testing.T) {
		old := b.spec.Server.Port
		ln, err := occupy(h, nil, ":0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = ln.Close() }()
		b.spec.Server.Port = ln.port
		taken()
		b.spec.Server.Port = old
		if err := ping(conn); err != nil {
			t.Errorf("a live connection broke: %v", err)
		}
		if err := ping(b.dial(0, "tcp", d.addr)); err != nil {
			t.Errorf("new connections fail: %v", err)
		}
	})
	t.Run("when widening", func(t *testing.T) {
		b.spec.Server.Listen = netip.MustParseAddr("127.0.0.1")
		b.apply()
		ln, err := occupy(h, nil, fmt.Sprintf("127.0.0.2:%d", b.spec.Server.Port))
		if err != nil {
			t.Fatal(err)
		}
		b.spec.Server.Listen = netip.IPv6Unspecified()
		taken()
		if err := ping(b.dial(0, "tcp", d.addr)); err != nil {
			t.Errorf("new connections fail: %v", err)
		}
		_ = ln.Close()
		b.apply()
		c := b.client(0)
		c.Via = netip.AddrPortFrom(netip.IPv6Loopback(), b.spec.Server.Port)
		if err := ping(b.dialAs(c, "tcp", d.addr)); err != nil {
			t.Errorf("after it was widened: %v", err)
		}
	})
}

func anotherPort(t *testing.T, h Harness) {
	b := newBench(t, h, 1)
	d := listenTCP(t, h.host4())
	conn := b.dial(0, "tcp", d.addr)
	if err := ping(conn); err != nil {
		t.Fatal(err)
	}
	old := b.spec.Server.Port
	check := func(t *testing.T) {
		t.Helper()
		b.apply()
		if err := ping(conn); err != nil {
			t.Errorf("a live connection broke: %v", err)
		}
		if err := ping(b.dial(0, "tcp", d.addr)); err != nil {
			t.Errorf("new connections fail: %v", err)
		}
	}
	t.Run("port", func(t *testing.T) {
		b.spec.Server.Port = FreePort(t, 1)
		check(t)
		if listening(t, h, fmt.Sprintf("127.0.0.1:%d", old)) {
			t.Error("the old port is still open")
		}
	})
	for _, addr := range []string{"127.0.0.1", "0.0.0.0", "::"} {
		t.Run(addr, func(t *testing.T) {
			b.spec.Server.Listen = netip.MustParseAddr(addr)
			check(t)
		})
	}
	t.Run("IPv4 only", func(t *testing.T) {
		b.spec.Server.Listen = netip.MustParseAddr("0.0.0.0")
		check(t)
		if listening(t, h, fmt.Sprintf("[::1]:%d", b.spec.Server.Port)) {
			t.Error("IPv6 is open too")
		}
	})
	t.Run("one that is not here", func(t *testing.T) {
		listen := b.spec.Server.Listen
		b.spec.Server.Listen = netip.MustParseAddr("203.0.113.77")
		if err := b.push(); vpn.KindOf(err) != vpn.Invalid {
			t.Errorf("error %v", err)
		}
		b.spec.Server.Listen = listen
		check(t)
	})
}

func ipv6(t *testing.T, h Harness) {
	var sent uint64 // by datagrams, which are echoed
	b := newBench(t, h, 1)
	d := listenTCP(t, h.host6())
	for _, via := range []string{"127.0.0.1", "::1"} {
		c := b.client(0)
		c.Via = netip.AddrPortFrom(netip.MustParseAddr(via), b.spec.Server.Port)
		conn := b.dialAs(c, "tcp", d.addr)
		if err := download(conn, mib); err != nil {
			t.Fatalf("via %s: %v", via, err)
		}
		// A tunnel that has moved is noticed in a moment.
		if !eventually(promptly, func() bool {
			s := b.meter.Sessions()
			return len(s) == 1 && s[0].Source.Addr() == netip.MustParseAddr(via)
		}) {
			t.Errorf("via %s: sessions %+v", via, b.meter.Sessions())
		}
		_ = conn.Close()
		b.idle()
		if h.StreamsOnly {
			continue
		}
		e := listenUDP(t, h.host6())
		udp := b.dialAs(c, "udp", e.at(h.host6()))
		before := b.used(0)
		if err := exchange(udp, 1000, patience); err != nil {
			t.Fatalf("datagrams via %s: %v", via, err)
		}
		if got := b.used(0).Up - before.Up; got != 1000 && !(h.Packets && got > 1000 && got < 2000) {
			t.Errorf("datagrams via %s: counted %d of 1000", via, got)
		}
		if s := b.meter.Sessions(); len(s) != 1 || s[0].Source.Addr() != netip.MustParseAddr(via) {
			t.Errorf("datagrams via %s: sessions %+v", via, s)
		}
		_ = udp.Close()
		b.meter.Kick(b.spec.Grants[0].User)
		b.idle()
		sent += 1000
	}
	var got, want vpn.Traffic
	if !eventually(patience, func() bool {
		got, want = b.used(0), d.traffic().Add(vpn.Traffic{Up: sent, Down: sent})
		return got == want || h.Packets && around(got, want)
	}) {
		t.Errorf("counted %+v of %+v", got, want)
	}
}

func closeAll(t *testing.T, h Harness) {
	goroutines := ownGoroutines(t)
	before, _ := goroutines()
	b := newBench(t, h, 2)
	d := listenTCP(t, h.host4())
	e := listenUDP(t, h.host4())
	var conns []net.Conn
	for i := range 10 {
		conn := b.dial(i%2, "tcp", d.addr)
		if err := ping(conn); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
		if h.StreamsOnly {
			continue
		}
		udp := b.dial(i%2, "udp", e.at(h.host4()))
		if err := exchange(udp, 100, patience); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, udp)
	}
	// Somebody who has connected and says nothing.
	silent, err := net.Dial(h.listens(), fmt.Sprintf("127.0.0.1:%d", b.spec.Server.Port))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	if err := b.engine.Close(); err != nil {
		t.Fatal(err)
	}
	for i, conn := range conns[:2] {
		if datagrams := i == 1 && !h.StreamsOnly; datagrams && h.PacketPort {
			continue
		}
		if !b.stops(conn, promptly) {
			t.Error("a connection outlives the engine")
		}
	}
	if n := b.meter.Conns(); n != 0 {
		t.Errorf("%d flows are left", n)
	}
	final := b.used(0).Add(b.used(1)).Down
	// A destination counts what it has sent a moment after it was received.
	if !h.Packets && !eventually(promptly, func() bool { return d.down.Load()+e.down.Load() == final }) {
		t.Errorf("counted %d, the destinations sent %d", final, d.down.Load()+e.down.Load())
	}
	for _, conn := range conns {
		_ = conn.Close()
	}
	if _, ended := drain(silent, promptly); !ended && h.listens() == "tcp" {
		t.Error("a stranger's connection outlives the engine")
	}
	if ln, err := occupy(h, nil, fmt.Sprintf(":%d", b.spec.Server.Port)); err != nil {
		t.Errorf("the port is not free: %v", err)
	} else {
		_ = ln.Close()
	}
	if err := b.engine.Apply(context.Background(), b.spec); err == nil {
		t.Error("a closed engine takes a spec")
	}
	b.meter.Close()
	if h.Packets {
		return // its destinations wait for clients of whom they will never hear again
	}
	// Two goroutines each are the destinations'.
	if !eventually(patience, func() bool { n, _ := goroutines(); return n <= before+2 }) {
		n, stacks := goroutines()
		t.Errorf("%d goroutines before, %d after\n%s", before, n, stacks)
	}
}

// ownGoroutines returns a count of the goroutines that the caller has started
// from now on, directly or not, the caller's own included, and their stacks:
// others may run side by side.
func ownGoroutines(t *testing.T) func() (n int, stacks string) {
	pprof.SetGoroutineLabels(pprof.WithLabels(t.Context(), pprof.Labels("test", t.Name()))) // which they inherit
	label := fmt.Sprintf("# labels: {%q:%q}", "test", t.Name())
	return func() (n int, stacks string) {
		var all strings.Builder
		if err := pprof.Lookup("goroutine").WriteTo(&all, 1); err != nil {
			t.Fatal(err)
		}
		for group := range strings.SplitSeq(all.String(), "\n\n") {
			if !strings.Contains(group, label) {
				continue
			}
			count, _, _ := strings.Cut(group[strings.LastIndex(group[:strings.Index(group, " @ ")], "\n")+1:], " ")
			k, err := strconv.Atoi(count)
			if err != nil {
				t.Fatalf("a profile of goroutines begins %q", group)
			}
			n, stacks = n+k, stacks+group+"\n\n"
		}
		if n == 0 {
			t.Fatalf("no goroutine has the label %s in\n%s", label, all.String())
		}
		return n, stacks
	}
}
