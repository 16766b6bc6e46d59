package enginetest

import (
	"bytes"
	"errors"
	"net"
	"os"
	"testing"
	"time"
)

// exchange sends a datagram of n bytes and waits for its echo.
func exchange(conn net.Conn, n int, within time.Duration) error {
	data := newBlock()[:n]
	if _, err := conn.Write(data); err != nil {
		return err
	}
	if err := conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		return err
	}
	buf := make([]byte, 64*kib)
	got, err := conn.Read(buf)
	if err != nil {
		return err
	}
	if !bytes.Equal(buf[:got], data) {
		return errors.New("another datagram came back")
	}
	return nil
}

func datagrams(t *testing.T, h Harness) {
	for _, host := range []string{"127.0.0.1", "localhost", "::1"} {
		t.Run(host, func(t *testing.T) {
			b := newBench(t, h, 1)
			e := listenUDP(t, map[string]string{"::1": "::1"}[host]) // localhost may be either
			conn := b.dial(0, "udp", e.at(host))
			for _, n := range []int{1, 100, 1200, 7000} {
				if err := exchange(conn, n, patience); err != nil {
					t.Fatalf("%d bytes: %v", n, err)
				}
			}
			got := b.used(0)
			// The destination counts what it has sent a moment after it was received.
			if !eventually(promptly, func() bool { return e.down.Load() == got.Down }) || got.Up != e.up.Load() || got.Up != 8301 {
				t.Errorf("counted %+v; the destination got %d and sent %d", got, e.up.Load(), e.down.Load())
			}
			if s := b.meter.Sessions(); len(s) != 1 || s[0].Network != "udp" {
				t.Errorf("sessions: %+v", s)
			}
			b.spec.Grants[0].Blocked = true
			b.apply()
			if err := exchange(conn, 1, 300*time.Millisecond); err == nil {
				t.Error("a datagram of a blocked user was answered")
			}
			b.idle()
		})
	}
}

func ceilingOfDatagrams(t *testing.T, h Harness) {
	b := newBench(t, h, 1)
	e := listenUDP(t, "127.0.0.1")
	conn := b.dial(0, "udp", e.at("127.0.0.1"))
	if err := exchange(conn, 1000, patience); err != nil {
		t.Fatal(err)
	}
	const most = 20_500
	b.limit(0, most)
	for range 100 {
		if exchange(conn, 1000, 300*time.Millisecond) != nil {
			break
		}
	}
	// A datagram passes as a whole or not at all.
	if got := b.used(0).Total() - 2000; got > most || got < most-1000 {
		t.Errorf("%d bytes passed, the ceiling was %d", got, most)
	}
	b.idle()
}

func limitedDatagrams(t *testing.T, h Harness) {
	b := newBench(t, h, 2)
	const speed = 256 * kib
	b.spec.Grants[0].RateUp, b.spec.Grants[0].RateDown = speed, speed
	b.apply()
	e := listenUDP(t, "127.0.0.1")
	limited, free := b.dial(0, "udp", e.at("127.0.0.1")), b.dial(1, "udp", e.at("127.0.0.1"))
	if err := exchange(limited, 1000, patience); err != nil {
		t.Fatal(err)
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	start := time.Now()
	go func() {
		defer close(stopped)
		data := newBlock()[:1000]
		for {
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Microsecond):
				_, _ = limited.Write(data)
			}
		}
	}()
	go func() {
		buf := make([]byte, 64*kib)
		for {
			if _, err := limited.Read(buf); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
				return
			}
		}
	}()
	for i := range 100 {
		if err := exchange(free, 500, promptly); err != nil {
			t.Errorf("the unlimited user's datagram %d was lost: %v", i, err)
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	close(stop)
	<-stopped
	most := speed*time.Since(start).Seconds()*1.1 + 2*64*kib
	if got := float64(b.used(0).Up); got > most || got < most/3 {
		t.Errorf("%.0f bytes of the limited user passed, at most %.0f should", got, most)
	}
}
