package network_test

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"testing"

	"vpn/internal/network"
	"vpn/internal/vpn"
)

var loopback = netip.MustParseAddr("127.0.0.1")

func portOf(a net.Addr) uint16 { return netip.MustParseAddrPort(a.String()).Port() }

func listen(t *testing.T, addr string) (net.Listener, uint16) {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l, portOf(l.Addr())
}

func TestProbeTCP(t *testing.T) {
	l, port := listen(t, "127.0.0.1:0")
	for _, addr := range []string{"127.0.0.1", "::", "0.0.0.0"} {
		err := network.ProbeTCP(netip.MustParseAddr(addr), port)
		if vpn.KindOf(err) != vpn.Conflict {
			t.Errorf("a taken port on %s gives %v", addr, err)
		}
		if pid := fmt.Sprintf("(pid %d)", os.Getpid()); runtime.GOOS == "linux" && !strings.Contains(fmt.Sprint(err), pid) {
			t.Errorf("the error does not name the holder: %v", err)
		}
	}
	l.Close()
	if err := network.ProbeTCP(loopback, port); err != nil {
		t.Errorf("a free port gives %v", err)
	}
	if err := network.ProbeTCP(netip.MustParseAddr("192.0.2.77"), port); vpn.KindOf(err) != vpn.Invalid {
		t.Errorf("a foreign address gives %v", err)
	}
}

func TestFreePort(t *testing.T) {
	_, taken := listen(t, "127.0.0.1:0")
	l, free := listen(t, "127.0.0.1:0")
	l.Close()
	if got, ok := network.FreePort(loopback, taken, free); !ok || got != free {
		t.Errorf("got port %d, %v, want %d", got, ok, free)
	}
	if got, ok := network.FreePort(loopback, taken); ok {
		t.Errorf("of taken ports %d is free", got)
	}
}

func TestDefaultAddr(t *testing.T) {
	a, ok := network.DefaultAddr()
	if !ok {
		t.Log("this machine has no default route")
		return
	}
	if err := network.ProbeTCP(a, 0); err != nil {
		t.Errorf("%s is not an address of this machine: %v", a, err)
	}
}
