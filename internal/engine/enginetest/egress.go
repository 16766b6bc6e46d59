package enginetest

import (
	"net"
	"testing"
	"time"
)

func forbiddenDestinations(t *testing.T, h Harness) {
	b := newBench(t, h, 1)
	b.spec.Server.Allow = nil
	b.apply()
	d := listenTCP(t, h.host4())
	e := listenUDP(t, h.host4())
	_, port, _ := net.SplitHostPort(d.addr)
	hosts := []string{"127.0.0.1", "::ffff:127.0.0.1", "::1", "0.0.0.0", "::", "127.1.2.3", "64:ff9b::7f00:1", "2002:7f00:1::"}
	if !h.Tunnel { // in which a client looks names up by itself
		hosts = append(hosts, "localhost")
	}
	if h.Host4.IsValid() { // none of them leads into the tunnel there
		hosts = []string{h.host4(), h.host6()}
	}
	for _, host := range hosts {
		t.Run(host, func(t *testing.T) {
			conn := b.dial(0, "tcp", net.JoinHostPort(host, port))
			b.refused(conn)
			if h.StreamsOnly {
				return
			}
			udp := b.dial(0, "udp", e.at(host))
			if err := exchange(udp, 100, 300*time.Millisecond); err == nil {
				t.Error("a datagram was answered")
			}
		})
	}
	if n := d.accepted.Load(); n > 0 {
		t.Errorf("the destination was connected to %d times", n)
	}
	if n := e.up.Load(); n > 0 {
		t.Errorf("the destination got %d bytes by datagrams", n)
	}
}

func unreachableDestination(t *testing.T, h Harness) {
	b := newBench(t, h, 1)
	ln, err := net.Listen("tcp", net.JoinHostPort(h.host4(), "0"))
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
	b.refuses(0, ln.Addr().String())
	if !h.Tunnel {
		b.refuses(0, "name.invalid:80")
	}
	b.idle()
}
