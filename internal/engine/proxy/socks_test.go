package proxy_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"vpn/internal/engine/enginetest"
	protocol "vpn/internal/protocol/proxy"
)

func TestSOCKSReplies(t *testing.T) {
	r := start(t, protocol.SOCKS5, `{"deny_ports": ["25"]}`)
	echo := enginetest.ListenEcho(t, "127.0.0.1")
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	for _, tt := range []struct {
		what    string
		command byte
		to      string
		want    error
	}{
		{"what is there", 1, echo, nil},
		{"what the guard refuses", 1, "10.1.2.3:80", socksError(2)},
		{"a port that is denied", 1, "127.0.0.1:25", socksError(2)},
		{"no such name", 1, "name.invalid:80", socksError(4)},
		{"nobody listens", 1, closed.Addr().String(), socksError(5)},
		{"BIND", 2, echo, socksError(7)},
		{"another command", 9, echo, socksError(7)},
	} {
		conn, _, err := r.socks(tt.command, tt.to)
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.what, err, tt.want)
			continue
		}
		if tt.want == nil {
			if err := enginetest.Echoes(conn); err != nil {
				t.Errorf("%s: %v", tt.what, err)
			}
		} else if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("%s: after the reply: %v", tt.what, err)
		}
	}
	conn := r.connect()
	_, err = fmt.Fprintf(conn, "\x05\x01\x02\x01\x05alice%c%s\x05\x01\x00\x09", len(r.password()), r.password())
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(conn)
	if want := "\x05\x02\x01\x00\x05\x08\x00\x01\x00\x00\x00\x00\x00\x00"; err != nil || string(got) != want {
		t.Errorf("an address of a kind that does not exist: %x, %v", got, err)
	}
}

// A client need not wait for answers that it knows.
func TestSOCKSAllAtOnce(t *testing.T) {
	r := start(t, protocol.Mixed, `{}`)
	conn := r.connect()
	b := fmt.Appendf(nil, "\x05\x01\x02\x01\x05alice%c%s\x05\x01\x00", len(r.password()), r.password())
	b = append(append(b, socksAddr(enginetest.ListenEcho(t, "127.0.0.1"))...), "early"...)
	if _, err := conn.Write(b); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 2+2+10+5)
	if _, err := io.ReadFull(conn, got); err != nil || !bytes.HasSuffix(got, []byte("early")) {
		t.Fatalf("%q, %v", got, err)
	}
	if err := enginetest.Echoes(conn); err != nil {
		t.Error(err)
	}
}

func TestSOCKSPasswords(t *testing.T) {
	r := start(t, protocol.SOCKS5, `{}`)
	echo := enginetest.ListenEcho(t, "127.0.0.1")
	for what, login := range map[string][2]string{
		"none":           {"", ""},
		"a wrong one":    {"alice", "x" + r.password()[1:]},
		"an empty one":   {"alice", ""},
		"an unknown one": {"bob", r.password()},
		"the user's id":  {"u", r.password()},
	} {
		if _, err := socks(r.connect(), login[0], login[1], 1, echo); !errors.Is(err, errNoPassword) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if got := r.used(); got.Total() > 0 {
		t.Errorf("counted %+v", got)
	}
}

// An association ends with its control connection, and is nobody else's.
func TestAssociation(t *testing.T) {
	r := start(t, protocol.SOCKS5, `{"udp_ports": "42000-42099", "deny_ports": ["53"]}`)
	echo, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = echo.Close() }()
	heard := make(chan string, 100)
	var back atomic.Value // where the destination is reached from
	go func() {
		b := make([]byte, 64<<10)
		for {
			n, from, err := echo.ReadFrom(b)
			if err != nil {
				return
			}
			back.Store(from)
			heard <- string(b[:n])
			_, _ = echo.WriteTo(b[:n], from)
		}
	}()
	control, bound, err := r.socks(3, "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	if bound.Port() < 42000 || bound.Port() > 42099 || bound.Addr() != netip.MustParseAddr("127.0.0.1") {
		t.Errorf("bound to %v", bound)
	}
	dial := func(from string) net.Conn {
		t.Helper()
		d := net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(from)}}
		conn, err := d.Dial("udp", bound.String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	datagram := func(fragment byte, to, text string) []byte {
		return append(append([]byte{0, 0, fragment}, socksAddr(to)...), text...)
	}
	to := echo.LocalAddr().String()
	mine, neighbours, strangers := dial("127.0.0.1"), dial("127.0.0.1"), dial("127.0.0.9")
	// In this order: what comes last proves that the rest was dropped.
	for _, send := range []func() (int, error){
		func() (int, error) { return strangers.Write(datagram(0, to, "a stranger's")) },
		func() (int, error) { return mine.Write(datagram(1, to, "a fragment")) },
		func() (int, error) { return mine.Write([]byte{0, 0}) },
		func() (int, error) { return mine.Write(datagram(0, "10.1.2.3:9", "forbidden")) },
		func() (int, error) { return mine.Write(datagram(0, "127.0.0.1:53", "denied")) },
		func() (int, error) { return mine.Write(datagram(0, to, "mine")) },
	} {
		if _, err := send(); err != nil {
			t.Fatal(err)
		}
	}
	hear := func(want string) {
		t.Helper()
		select {
		case got := <-heard:
			if got != want {
				t.Errorf("the destination heard %q", got)
			}
		case <-time.After(patience):
			t.Fatalf("the destination does not hear %q", want)
		}
	}
	hear("mine")
	b := make([]byte, 1000)
	_ = mine.SetReadDeadline(time.Now().Add(patience))
	if n, err := mine.Read(b); err != nil || !bytes.Equal(b[:n], datagram(0, to, "mine")) {
		t.Errorf("the answer is %q, %v", b[:n], err)
	}
	if _, err := neighbours.Write(datagram(0, to, "a neighbour's")); err != nil {
		t.Fatal(err)
	}
	// Nobody whom the client has sent nothing gets through to it.
	intruder, err := net.ListenPacket("udp", "127.0.0.77:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = intruder.Close() }()
	port := back.Load().(*net.UDPAddr).Port
	if _, err := intruder.WriteTo([]byte("intruder"), &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}); err != nil {
		t.Fatal(err)
	}
	if _, err := mine.Write(datagram(0, to, "again")); err != nil {
		t.Fatal(err)
	}
	hear("again")
	if n, err := mine.Read(b); err != nil || !bytes.Equal(b[:n], datagram(0, to, "again")) {
		t.Errorf("what comes is %q, %v", b[:n], err)
	}
	if got := r.used(); got.Up != 9 || got.Down != 9 {
		t.Errorf("counted %+v", got)
	}
	_ = control.Close()
	if !enginetest.Eventually(func() bool { return r.meter.Conns() == 0 }) {
		t.Fatal("the association outlives its control connection")
	}
	if again, err := net.ListenPacket("udp", bound.String()); err != nil {
		t.Errorf("its port is not free: %v", err)
	} else {
		_ = again.Close()
	}
}

// The kernel moves streams of any length both ways, and the end of one way is
// not the end of the other.
func TestHalfClosed(t *testing.T) {
	r := start(t, protocol.SOCKS5, `{}`)
	conn, _, err := r.socks(1, enginetest.ListenEcho(t, "127.0.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	go func() {
		_, _ = conn.Write(sent)
		_ = conn.(*net.TCPConn).CloseWrite()
	}()
	got, err := io.ReadAll(conn)
	if err != nil || !bytes.Equal(got, sent) {
		t.Errorf("%d of %d bytes came back, %v", len(got), len(sent), err)
	}
	if !enginetest.Eventually(func() bool { return r.meter.Conns() == 0 }) {
		t.Error("it does not end")
	}
}
