package proxy_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"testing"
	"time"

	"vpn/internal/engine/proxy"
	protocol "vpn/internal/protocol/proxy"
	"vpn/internal/vpn"
)

// Nobody finds out by the time that an answer takes whether there is a user of
// a name. It is asked in pairs, of which now the one and now the other comes
// first, each time from an address that was not heard of before.
func TestUnknownUsersTakeAsLongAsWrongPasswords(t *testing.T) {
	const (
		pairs = 100
		pause = 3 * time.Millisecond
		// In half of the pairs, give or take, the unknown user's answer comes
		// later. By chance it is 25 more or fewer once in a million times.
		half, lucky = pairs / 2, 25
		much        = pause / 10 // of a difference, to tell it from the machine's own
	)
	for _, tt := range []struct {
		name     string
		protocol vpn.Protocol
		ask      func(conn net.Conn, name, password string) error
	}{
		{"http", protocol.HTTP, askHTTP},
		{"socks5", protocol.SOCKS5, askSOCKS},
		{"mixed, http", protocol.Mixed, askHTTP},
		{"mixed, socks5", protocol.Mixed, askSOCKS},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := startWith(t, proxy.NewHasty(pause), tt.protocol, `{}`)
			source := netip.MustParseAddr("127.3.0.0")
			took := func(name, password string) time.Duration {
				source = source.Next()
				d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(source, 0)), Timeout: patience}
				conn, err := d.Dial("tcp", r.addr())
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = conn.Close() }()
				_ = conn.SetDeadline(time.Now().Add(patience))
				begin := time.Now()
				if err := tt.ask(conn, name, password); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				return time.Since(begin)
			}
			wrong := func() time.Duration { return took("alice", "x"+r.password()[1:]) }
			unknown := func() time.Duration { return took("nobody", r.password()) }
			wrong()
			unknown()
			later, differences := 0, make([]time.Duration, pairs)
			for i := range differences {
				var w, u time.Duration
				if i%2 == 0 {
					w, u = wrong(), unknown()
				} else {
					u, w = unknown(), wrong()
				}
				if min(w, u) < pause {
					t.Fatalf("a wrong password is answered after %v, an unknown user after %v", w, u)
				}
				differences[i] = u - w
				if u > w {
					later++
				}
			}
			slices.Sort(differences)
			median := differences[half]
			t.Logf("an unknown user's answer comes later in %d of %d pairs, by %v in the middle", later, pairs, median)
			if (later < half-lucky || later > half+lucky) && median.Abs() > much {
				t.Errorf("an unknown user's answer comes later in %d of %d pairs, by %v in the middle", later, pairs, median)
			}
		})
	}
}

// askHTTP asks for a tunnel, and returns nil if a password is asked for.
func askHTTP(conn net.Conn, name, password string) error {
	if _, err := fmt.Fprintf(conn, "CONNECT 127.0.0.1:9 HTTP/1.1\r\nHost: x\r\nProxy-Authorization: %s\r\n\r\n", basic(name, password)); err != nil {
		return err
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err == nil && res.StatusCode != http.StatusProxyAuthRequired {
		err = errors.New(res.Status)
	}
	return err
}

// askSOCKS is askHTTP by SOCKS5, all at once.
func askSOCKS(conn net.Conn, name, password string) error {
	if _, err := fmt.Fprintf(conn, "\x05\x01\x02\x01%c%s%c%s", len(name), name, len(password), password); err != nil {
		return err
	}
	var said [4]byte
	_, err := io.ReadFull(conn, said[:])
	if err == nil && said != [4]byte{5, 2, 1, 1} {
		err = fmt.Errorf("%x", said)
	}
	return err
}
