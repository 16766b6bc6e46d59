package network_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"vpn/internal/network"
	"vpn/internal/vpn"
)

func TestPortHolder(t *testing.T) {
	self := fmt.Sprintf("(pid %d)", os.Getpid())
	_, v4 := listen(t, "127.0.0.1:0")
	_, both := listen(t, "[::]:0")
	u, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	for _, c := range []struct {
		network string
		port    uint16
	}{{"tcp", v4}, {"tcp", both}, {"udp", portOf(u.LocalAddr())}} {
		name, ok := network.PortHolder(c.network, c.port)
		if !ok || !strings.HasSuffix(name, self) || strings.HasPrefix(name, " ") {
			t.Errorf("%s port %d is held by %q, %v", c.network, c.port, name, ok)
		}
	}
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", v4))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if name, ok := network.PortHolder("tcp", portOf(conn.LocalAddr())); ok {
		t.Errorf("a client's port is held by %q", name)
	}
}

// A listener that shares its port must not be taken for a free one.
func TestProbeTCPDoesNotShare(t *testing.T) {
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var set error
		err := c.Control(func(fd uintptr) {
			set = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
		})
		return errors.Join(err, set)
	}}
	l, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := network.ProbeTCP(loopback, portOf(l.Addr())); vpn.KindOf(err) != vpn.Conflict {
		t.Errorf("a port that is shared gives %v", err)
	}
}
