package enginetest

import (
	"context"
	"net"
	"testing"
)

// greedy is about a user who opens whatever is to be had: there is always
// something left for others, and what they have stays.
func greedy(t *testing.T, h Harness) {
	h.most = 24
	b := newBench(t, h, 3)
	d := listenTCP(t, h.host4())
	others := []net.Conn{b.dial(1, "tcp", d.addr)}
	alive := func() {
		t.Helper()
		for i, conn := range others {
			if err := ping(conn); err != nil {
				t.Errorf("connection %d of others: %v", i, err)
			}
		}
	}
	alive()
	taken := taken(b, d)
	if taken > h.most/2 || taken < h.most/2-3 {
		t.Errorf("one user has opened %d connections where there may be %d", taken, h.most)
	}
	for range 2 {
		others = append(others, b.dial(1, "tcp", d.addr), b.dial(2, "tcp", d.addr))
	}
	alive()
	if h.StreamsOnly {
		return
	}
	e := listenUDP(t, h.host4())
	if err := exchange(b.dial(2, "udp", e.at(h.host4())), 100, patience); err != nil {
		t.Errorf("a datagram of others: %v", err)
	}
	if err := exchange(b.dial(0, "udp", e.at(h.host4())), 100, promptly/3); err == nil {
		t.Error("the user who has too many has one for datagrams too")
	}
	alive()
	b.meter.Kick(b.spec.Grants[0].User)
	if !eventually(patience, func() bool { return b.letIn(b.client(0), d.addr, false) == nil }) {
		t.Error("whoever has given all back is not let in again")
	}
}

// taken opens connections of the first user until one is refused, and returns
// how many there are.
func taken(b *bench, d *destination) (n int) {
	b.Helper()
	for range 3 * b.h.most {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		conn, err := b.h.Dial(ctx, b.client(0), "tcp", d.addr)
		cancel()
		if err != nil {
			break
		}
		if ping(b.keep(conn)) != nil {
			break
		}
		n++
	}
	return n
}
