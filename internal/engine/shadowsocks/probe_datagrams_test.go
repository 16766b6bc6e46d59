//go:build unix

package shadowsocks_test

import (
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	sdk "github.com/Jigsaw-Code/outline-sdk/transport/shadowsocks"

	"vpn/internal/engine/enginetest"
	"vpn/internal/engine/shadowsocks"
	settings "vpn/internal/protocol/shadowsocks"
)

// Datagrams that no key opens are not answered and begin nothing.
func TestDatagramsWithoutAKey(t *testing.T) {
	r := start(t, settings.ChaCha20, "", 3)
	conn, err := net.Dial("udp", r.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	for n := range 300 {
		if _, err := conn.Write(random(n)); err != nil {
			t.Fatal(err)
		}
	}
	_ = conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	if n, err := conn.Read(make([]byte, 100)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%d bytes, %v", n, err)
	}
	if n := r.meter.Conns(); n != 0 {
		t.Errorf("%d flows", n)
	}
}

// Nor is a good one that was cut or changed. Each comes from an address of its
// own, or keys would not be tried for long.
func TestDatagramsThatWereCutOrChanged(t *testing.T) {
	for _, m := range methods() {
		t.Run(string(m), func(t *testing.T) {
			r := start(t, m, "", 3)
			key, err := sdk.NewEncryptionKey(string(m), r.spec.Grants[0].Secret.Reveal())
			if err != nil {
				t.Fatal(err)
			}
			to := netip.MustParseAddrPort(enginetest.ListenPackets(t, "127.0.0.1"))
			packet := func() []byte {
				plain := append(append([]byte{1}, to.Addr().AsSlice()...), byte(to.Port()>>8), byte(to.Port()))
				sealed, err := sdk.Pack(make([]byte, 1000), append(plain, "hello"...), key)
				if err != nil {
					t.Fatal(err)
				}
				return sealed
			}
			from := r.elsewhere
			send := func(b []byte) net.Conn {
				t.Helper()
				from = from.Next()
				d := net.Dialer{LocalAddr: net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, 0))}
				conn, err := d.Dial("udp", r.addr())
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = conn.Close() })
				if _, err := conn.Write(b); err != nil {
					t.Fatal(err)
				}
				return conn
			}
			var bad []net.Conn
			good, size := 0, len(packet())
			for n := range size {
				bad = append(bad, send(packet()[:n]))
				changed := packet()
				changed[n] ^= 1 << rand.IntN(8)
				bad = append(bad, send(changed))
				if n%8 > 0 && n < size-1 {
					continue
				}
				// What was sent before a good one has been looked at when that is
				// answered.
				conn := send(packet())
				_ = conn.SetReadDeadline(time.Now().Add(patience))
				if _, err := conn.Read(make([]byte, 1000)); err != nil {
					t.Fatalf("a good one: %v", err)
				}
				good++
			}
			for k, conn := range bad {
				if n, err := waiting(conn); !errors.Is(err, syscall.EAGAIN) {
					t.Errorf("byte %d: %d bytes come back, %v", k/2, n, err)
				}
			}
			if n := r.meter.Conns(); n != good {
				t.Errorf("%d flows, of which %d are good", n, good)
			}
		})
	}
}

// waiting reads what is there.
func waiting(conn net.Conn) (n int, err error) {
	raw, failed := conn.(*net.UDPConn).SyscallConn()
	if failed != nil {
		return 0, failed
	}
	failed = raw.Read(func(fd uintptr) bool {
		n, err = syscall.Read(int(fd), make([]byte, 1000))
		return true
	})
	return n, errors.Join(err, failed)
}

// One datagram that somebody sends again, from one port after the other, takes
// so many sockets and no more; those of the same key that live do not suffer,
// nor does anybody else.
func TestADatagramFromEverywhere(t *testing.T) {
	const most = 8
	r := startWith(t, shadowsocks.NewNarrow(most), settings.ChaCha20, "", 2)
	packets := enginetest.ListenPackets(t, "127.0.0.1")
	live := r.dial(0, "udp", packets)
	if err := enginetest.Echoes(live); err != nil {
		t.Fatal(err)
	}
	key, err := sdk.NewEncryptionKey(string(r.method), r.spec.Grants[0].Secret.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	a := netip.MustParseAddrPort(packets)
	plain := append(append([]byte{1}, a.Addr().AsSlice()...), byte(a.Port()>>8), byte(a.Port()))
	overheard, err := sdk.Pack(make([]byte, 1000), append(plain, "hello"...), key)
	if err != nil {
		t.Fatal(err)
	}
	answered := 0
	for range 2 * most {
		conn, err := net.Dial("udp", r.addr())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		if _, err := conn.Write(overheard); err != nil {
			t.Fatal(err)
		}
		wait := patience
		if answered == most-1 { // none is to come any more
			wait = 20 * time.Millisecond
		}
		_ = conn.SetReadDeadline(time.Now().Add(wait))
		if _, err := conn.Read(make([]byte, 1000)); err == nil {
			answered++
		}
	}
	if n := r.meter.Conns(); answered != most-1 || n != most {
		t.Errorf("%d are answered, and there are %d associations, %d at most", answered, n, most)
	}
	if err := enginetest.Echoes(live); err != nil {
		t.Errorf("the one that was first: %v", err)
	}
	if err := enginetest.Echoes(r.dial(1, "udp", packets)); err != nil {
		t.Errorf("another user: %v", err)
	}
	// What has ended makes room.
	r.meter.Kick(r.spec.Grants[0].User)
	if !enginetest.Eventually(func() bool { return r.meter.Conns() == 1 }) {
		t.Fatalf("%d associations after a kick", r.meter.Conns())
	}
	again := r.dial(0, "udp", packets)
	if !enginetest.Eventually(func() bool {
		_ = again.SetDeadline(time.Now().Add(time.Second))
		return enginetest.Echoes(again) == nil
	}) {
		t.Error("after they have ended there is no room")
	}
}
