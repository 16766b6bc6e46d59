//go:build linux && e2e

package e2e

import (
	"context"
	"fmt"
	"math"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"vpn/test/e2e/rig"
	"vpn/test/xfer"
)

// A rate limit is kept within 10 % either way, over all connections of a user
// together, whether or not they would be spliced.
func TestRateLimit(t *testing.T) {
	turns := make(chan struct{}, 3) // three at a time, beside nobody else
	for name, w := range ways() {
		t.Run(name, func(t *testing.T) {
			if w.protocol != "wireguard" { // which takes the most
				t.Parallel()
				turns <- struct{}{}
				defer func() { <-turns }()
			}
			testRate(t, w)
		})
	}
}

func testRate(t *testing.T, w way) {
	t.Helper()
	i, logins := w.install(t, 6)
	client := w.start(i.World, t, logins...)
	cases := []struct {
		name, flag, value string
		inner             bool
		conns             int
	}{
		{"down, plain", "--rate-down", "20mbit", false, 1},
		{"down, TLS inside", "--rate-down", "2.5MB/s", true, 1},
		{"down, four connections", "--rate-down", "2.5MB/s", false, 4},
		{"up, plain", "--rate-up", "20mbit", false, 1},
		{"up, TLS inside", "--rate-up", "20mbit", true, 1},
		{"up, four connections", "--rate-up", "20mbit", true, 4},
	}
	cases = some(w, cases, 1, 5)
	var wg sync.WaitGroup
	for k, c := range cases {
		i.Must("users", "update", fmt.Sprint("u", k), c.flag, c.value)
		own := 9100 + 2*k
		destination := i.World.Transfers(t, own)
		wg.Go(func() {
			wantRate(t, c.name, limit, destination, c.flag, c.conns, func() (*xfer.Conn, error) {
				return client.OpenAt(t.Context(), k, own, c.inner)
			})
		})
	}
	wg.Wait()
}

// wantRate moves data over some connections to a destination that nobody else
// has, as fast as it goes, one way by the flag: at a rate in bytes per second.
// What waits most of its time is measured side by side, whatever -parallel is.
func wantRate(t *testing.T, name string, rate float64, destination *xfer.Server, flag string, n int, open func() (*xfer.Conn, error)) {
	t.Helper()
	var conns []*xfer.Conn
	for range n {
		conn, err := open()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		defer conn.Close()
		conns = append(conns, conn)
		if flag == "--rate-down" {
			go func() { _ = conn.Download(1<<40, 0) }()
		} else {
			go func() { _ = conn.Upload(context.Background(), 1<<40, 0) }()
		}
	}
	// What has arrived: what was sent only may be in a buffer on the way, and they grow.
	count := func() uint64 {
		if flag == "--rate-up" {
			received, _ := destination.Moved()
			return received
		}
		var n uint64
		for _, conn := range conns {
			n += conn.Received()
		}
		return n
	}
	pause(t.Context(), 1500*time.Millisecond) // the burst, and buffers that fill up
	const tries = 3                           // a machine that is busy for a moment may not come near it
	for try := range tries {
		before, start := count(), time.Now()
		pause(t.Context(), 4*time.Second)
		got := float64(count()-before) / time.Since(start).Seconds()
		if got > 1.1*rate || got < 0.9*rate && try == tries-1 && !rig.Slow() {
			t.Errorf("%s: %.2f MB/s, the limit is %.2f", name, got/1e6, rate/1e6)
		}
		if got >= 0.9*rate {
			return
		}
	}
}

// limit is 20mbit, or 2.5MB/s.
const limit = 2.5e6

// Over TUN, packets that come too fast wait, and some are dropped: the
// kernel's TCP on a phone, too, fills the limit all the same. It is one of IP
// packets, of whose bytes TCP and IP take 52 for themselves.
func TestTunnelRate(t *testing.T) {
	const payload = limit * (packet - 52) / packet
	cases := []struct {
		name, flag, value string
		conns             int
	}{
		{"down", "--rate-down", "20mbit", 1},
		{"down, four connections", "--rate-down", "2.5MB/s", 4},
		{"up", "--rate-up", "20mbit", 1},
		{"up, four connections", "--rate-up", "2.5MB/s", 4},
	}
	x := tunnel(t, len(cases), "--carrier", "tun")
	var wg sync.WaitGroup
	for k, c := range cases {
		x.Must("users", "update", fmt.Sprint("p", k), c.flag, c.value)
		own := 9100 + 2*k
		destination := x.World.Transfers(t, own)
		wg.Go(func() {
			wantRate(t, c.name, payload, destination, c.flag, c.conns, func() (*xfer.Conn, error) {
				raw, err := x.phones[k].Dial(within(t, 10*time.Second), "tcp", net.JoinHostPort(rig.OutsideAddr, strconv.Itoa(own)))
				if err != nil {
					return nil, err
				}
				return xfer.NewConn(raw, nil), nil
			})
		})
	}
	wg.Wait()
}

// A limit takes hold of connections that are live already, and lets go again.
func TestRateLimitOfALiveConnection(t *testing.T) {
	for name, inner := range map[string]bool{"plain": false, "spliced": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testLiveRate(t, inner)
		})
	}
}

func testLiveRate(t *testing.T, inner bool) {
	t.Helper()
	i, logins := install(t, 1)
	conn := i.World.Xray(t, logins...).MustOpen(t, 0, inner)
	const rate = 1_000_000
	go func() { _ = conn.Download(1<<40, 10*rate) }()
	measure := func() float64 {
		before, start := conn.Received(), time.Now()
		pause(t.Context(), time.Second)
		return float64(conn.Received()-before) / time.Since(start).Seconds()
	}
	if got := measure(); got < 8*rate {
		t.Fatalf("%.1f MB/s without a limit", got/1e6)
	}
	i.Must("users", "update", "u0", "--rate-down", "1MB/s")
	measure() // what is in buffers
	if got := measure(); math.Abs(got-rate) > rate/10 {
		t.Errorf("%.2f MB/s with a limit of 1", got/1e6)
	}
	i.Must("users", "update", "u0", "--rate-down", "none")
	measure()
	if got := measure(); got < 5*rate {
		t.Errorf("%.1f MB/s without a limit again", got/1e6)
	}
}
