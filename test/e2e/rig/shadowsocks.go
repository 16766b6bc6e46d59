//go:build linux

package rig

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// SSLocal starts Debian's ss-local, of shadowsocks-libev, once for each login.
// It takes no address to come from.
func (w *World) SSLocal(t testing.TB, logins ...Login) *Client {
	t.Helper()
	c := &Client{world: w, ports: w.freePorts(t, len(logins)), mute: true}
	for i, l := range logins {
		if l.From != "" {
			t.Fatal("ss-local cannot choose where it comes from")
		}
		c.Process = w.Client.Spawn(t, nil, "ss-local", append(shadowsocks(l.Link), "-b", "127.0.0.1", "-l", strconv.Itoa(c.ports[i]), "-u")...)
	}
	c.wait(t)
	return c
}

// SSTunnel starts Debian's ss-tunnel, which carries what comes to a port of
// the client host to an address beyond the server, and returns where that port
// is.
func (w *World) SSTunnel(t testing.TB, l Login, to string) string {
	t.Helper()
	c := &Client{world: w, ports: w.freePorts(t, 1), mute: true}
	c.Process = w.Client.Spawn(t, nil, "ss-tunnel", append(shadowsocks(l.Link), "-b", "127.0.0.1", "-l", strconv.Itoa(c.ports[0]), "-L", to, "-u")...)
	c.wait(t)
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(c.ports[0]))
}

func shadowsocks(l Link) []string {
	return []string{"-s", l.Host, "-p", strconv.Itoa(l.Port), "-m", l.Method, "-k", l.Password, "-t", "600"}
}

// SSServer starts Debian's ss-server on a port of the server host, and returns
// it with its link.
func (w *World) SSServer(t testing.TB, port int, method string) *BareServer {
	t.Helper()
	l := bareLink(port, method)
	at := l
	at.Host = "0.0.0.0"
	s := &BareServer{w.Server.Spawn(t, nil, "ss-server", append(shadowsocks(at), "-u")...), []Link{l}}
	w.WaitForPort(t, port)
	return s
}

// BareOutline starts a server that is nothing but Outline's library on a port
// of the server host, and returns it with its link.
func (w *World) BareOutline(t testing.TB, port int, method string) *BareServer {
	t.Helper()
	root, err := repository()
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(t.TempDir(), "outline")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", bin, "./test/outline")
	cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the bare server: %v\n%s", err, out)
	}
	l := bareLink(port, method)
	s := &BareServer{w.Server.Spawn(t, nil, bin, net.JoinHostPort("0.0.0.0", strconv.Itoa(port)), l.Method, l.Password), []Link{l}}
	w.WaitForPort(t, port)
	return s
}

func bareLink(port int, method string) Link {
	return Link{Scheme: "ss", Host: ServerAddr, Port: port, Method: method, Password: "of a server that is bare"}
}
