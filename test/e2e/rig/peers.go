//go:build linux

package rig

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"vpn/test/xfer"
)

// Whoever uses a proxy of another make. The hash is the oldest of crypt(3),
// which costs those that compute it with each connection the least, and takes
// eight bytes.
const (
	peerUser     = "bench"
	peerPassword = "bare-one"
	peerHash     = "abC3XmODSLvDk"
)

// TinyProxy starts Debian's tinyproxy on a port of the server host.
func TinyProxy(t testing.TB, w *World, port int) *BareServer {
	t.Helper()
	conf := peerFile(t, "tinyproxy.conf", `
Port %d
Listen 0.0.0.0
MaxClients 2000
Timeout 600
LogLevel Critical
BasicAuth %s %s
`, port, peerUser, peerPassword)
	return startPeer(t, w, Link{Scheme: "http", Port: port, Password: peerPassword}, "tinyproxy", "-d", "-c", conf)
}

// Squid starts Debian's squid, which caches nothing and writes no log of
// requests, on a port of the server host.
func Squid(t testing.TB, w *World, port int) *BareServer {
	t.Helper()
	passwords := peerFile(t, "passwords", "%s:%s\n", peerUser, peerHash)
	conf := peerFile(t, "squid.conf", `
http_port 0.0.0.0:%d
auth_param basic program /usr/lib/squid/basic_ncsa_auth %s
auth_param basic children 1
acl known proxy_auth REQUIRED
http_access allow known
cache deny all
cache_mem 8 MB
access_log none
cache_log /dev/null
cache_store_log none
pid_filename none
pinger_enable off
netdb_filename none
visible_hostname bare
max_filedescriptors 8192
shutdown_lifetime 0 seconds
coredump_dir %s
`, port, passwords, filepath.Dir(passwords))
	return startPeer(t, w, Link{Scheme: "http", Port: port, Password: peerPassword}, "squid", "-N", "-f", conf)
}

// Dante starts Debian's danted on a port of the server host. Its users are
// those of the system.
func Dante(t testing.TB, w *World, port int) *BareServer {
	t.Helper()
	for file, line := range map[string]string{
		"/etc/passwd": peerUser + ":x:65533:65534::/nonexistent:/usr/sbin/nologin\n",
		"/etc/shadow": peerUser + ":" + peerHash + ":20000::::::\n",
	} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		w.Server.Bind(t, peerFile(t, filepath.Base(file), "%s", string(text)+line), file)
	}
	conf := peerFile(t, "danted.conf", `
logoutput: /dev/null
internal: %s port = %d
external: to-outside
socksmethod: username
user.privileged: root
user.unprivileged: nobody
client pass { from: 0.0.0.0/0 to: 0.0.0.0/0 }
socks pass { from: 0.0.0.0/0 to: 0.0.0.0/0 command: connect }
`, ServerAddr, port)
	return startPeer(t, w, Link{Scheme: "socks5", Port: port, Password: peerPassword}, "danted", "-f", conf, "-p", filepath.Join(filepath.Dir(conf), "pid"))
}

// peerFile writes a file that everybody may read: most give up root.
func peerFile(t testing.TB, name, format string, values ...any) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "vpn-e2e-peer-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, name)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, fmt.Appendf(nil, format, values...), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// startPeer starts a server of another make.
func startPeer(t testing.TB, w *World, l Link, program string, args ...string) *BareServer {
	t.Helper()
	l.Host, l.User = ServerAddr, peerUser
	s := &BareServer{w.Server.Spawn(t, nil, program, args...), []Link{l}}
	// Those who divide their work among processes end with all of them.
	t.Cleanup(func() { _ = unix.Kill(-s.PID(), unix.SIGKILL) })
	w.WaitForPort(t, l.Port)
	return s
}

// A Direct is the client host itself as the client of proxies: without a
// program between, which would cost more than some proxies do.
type Direct struct {
	world *World
	links []Link
}

// NewDirect returns a client of these proxies, HTTP's and SOCKS5's.
func NewDirect(w *World, links ...Link) *Direct { return &Direct{w, links} }

// Open connects through the i-th proxy to the transfer server, with TLS inside
// if inner, and exchanges a few bytes.
func (d *Direct) Open(ctx context.Context, i int, inner bool) (*xfer.Conn, error) {
	l := d.links[i]
	raw, err := d.world.Client.Dial(ctx, "tcp", net.JoinHostPort(l.Host, strconv.Itoa(l.Port)))
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	defer stop()
	to := transferAddr(xferPort, inner)
	if l.Scheme == "http" {
		err = connectHTTP(raw, l, to)
	} else {
		_, err = connect(raw, l.User, l.Password, commandConnect, to)
	}
	if err != nil {
		raw.Close()
		return nil, err
	}
	return d.world.warm(raw, inner)
}

// connectHTTP asks the HTTP proxy at the other end of c for a tunnel.
func connectHTTP(c net.Conn, l Link, addr string) error {
	req := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: addr}, Host: addr, Header: http.Header{}}
	req.SetBasicAuth(l.User, l.Password)
	req.Header["Proxy-Authorization"] = req.Header["Authorization"]
	delete(req.Header, "Authorization")
	if err := req.Write(c); err != nil {
		return fmt.Errorf("ask the proxy: %w", err)
	}
	in := bufio.NewReader(c)
	res, err := http.ReadResponse(in, req)
	if err != nil {
		return fmt.Errorf("the proxy's answer: %w", err)
	}
	if res.StatusCode != http.StatusOK || in.Buffered() > 0 {
		return fmt.Errorf("the proxy says %s, and %d bytes more", res.Status, in.Buffered())
	}
	return nil
}
