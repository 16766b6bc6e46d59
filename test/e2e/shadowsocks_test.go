//go:build linux && e2e

package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"vpn/internal/vpn"
	"vpn/test/e2e/rig"
)

// Bytes arrive as they were sent and are counted to the byte, with every
// client program and method.
func TestShadowsocksTransfer(t *testing.T) {
	t.Parallel()
	for name, w := range ways() {
		if w.protocol != "shadowsocks" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testTransfer(t, w, 30<<20)
		})
	}
}

// testTransfer moves so many bytes each way, with TLS inside and without.
func testTransfer(t *testing.T, w way, size uint64) {
	t.Helper()
	i, logins := w.install(t, 1)
	c := w.start(i.World, t, logins...)
	var want vpn.Traffic
	for _, inner := range []bool{false, true} {
		conn := c.MustOpen(t, 0, inner)
		if err := conn.Download(size, 0); err != nil {
			t.Errorf("inner TLS %v: download: %v", inner, err)
		}
		if err := conn.Upload(t.Context(), size, 0); err != nil {
			t.Errorf("inner TLS %v: upload: %v", inner, err)
		}
		want = want.Add(vpn.Traffic{Up: conn.Sent(), Down: conn.Received()})
	}
	wantUsed(t, i, "u0", want)
	testCurl(t, i.World, c, 0)
	if !w.streams {
		testDatagrams(t, c, 0)
	}
}

// ss-tunnel carries streams and datagrams to one place beyond the server, on
// one account.
func TestSSTunnel(t *testing.T) {
	t.Parallel()
	i, logins := ways()["shadowsocks, ss-local"].install(t, 1)
	w := i.World
	u, err := w.Client.Dial(t.Context(), "udp", w.SSTunnel(t, logins[0], rig.UDPAddr().String()))
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	for _, size := range []int{1, 100, 1200} {
		sent := bytes.Repeat([]byte{'x'}, size)
		rig.Until(t, 10*time.Second, func() error {
			if _, err := u.Write(sent); err != nil {
				return err
			}
			_ = u.SetReadDeadline(time.Now().Add(time.Second))
			b := make([]byte, 2000)
			n, err := u.Read(b)
			if err == nil && !bytes.Equal(b[:n], sent) {
				err = fmt.Errorf("%d bytes came back", n)
			}
			return err
		})
	}
	rig.Until(t, 5*time.Second, func() error {
		if used := i.User("u0").Used; used.Up < 1301 || used.Up != used.Down {
			return fmt.Errorf("counted %+v", used)
		}
		return nil
	})
	// What is cut is cut for datagrams too.
	i.Must("users", "disable", "u0")
	if _, err := u.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	_ = u.SetReadDeadline(time.Now().Add(time.Second))
	if n, err := u.Read(make([]byte, 100)); err == nil {
		t.Errorf("%d bytes come back to a user who is disabled", n)
	}
}

func TestShadowsocksChurn(t *testing.T) {
	t.Parallel()
	testChurn(t, ways()["shadowsocks, sing-box"], 60)
}

// testChurn lets users come and go by the dozen: twenty others are busy
// meanwhile, and none of their connections drops.
func testChurn(t *testing.T, w way, rounds int) {
	t.Helper()
	i, logins := w.install(t, others)
	client := w.start(i.World, t, logins...)
	client.Stall *= 3 // beside other tests the machine itself may stand still; a device that is forgotten stalls for 5 s at least
	load := client.Load(t, 0, others)
	for k := range rounds {
		name := fmt.Sprint("new", k)
		for _, args := range [][]string{
			{"users", "create", name},
			{"users", "update", name, "--quota", "1GB"},
			{"users", "disable", name},
			{"users", "enable", name},
			{"users", "delete", name, "--yes"},
		} {
			i.Must(args...)
		}
		if err := load.Err(); err != nil {
			t.Fatalf("round %d: %v", k, err)
		}
	}
	load.Stop(t)
}

// Users beyond those for whom a port has room connect at the ports that their
// links name, over IPv4 and IPv6, and the worker goes on when the control
// plane starts anew.
func TestShadowsocksOverSeveralPorts(t *testing.T) {
	t.Parallel()
	world := rig.NewWorld(t)
	i := world.Instance(t)
	i.CreateServer("main", port, "--protocol", "shadowsocks", "--keys-per-port", "2")
	i.Serve()
	logins := i.CreateUsers("u", 5)
	for k, want := range []int{port, port, port + 1, port + 1, port + 2} {
		if got := logins[k].Link.Port; got != want {
			t.Errorf("user %d is at port %d, not %d", k, got, want)
		}
	}
	six := logins[4]
	six.Link.Host = rig.ServerAddr6
	c := world.SSLocal(t, append(logins, six)...)
	try := func(when string) {
		t.Helper()
		for k := range 6 {
			if err := c.MustOpen(t, k, false).Download(1<<20, 0); err != nil {
				t.Errorf("%s: login %d: %v", when, k, err)
			}
			testDatagrams(t, c, k)
		}
	}
	try("at first")
	worker := i.OneWorker()
	i.Daemon().Kill()
	i.Serve()
	if now := i.OneWorker(); now != worker {
		t.Errorf("worker %d has taken the place of %d", now, worker)
	}
	i.Must("users", "delete", "u0", "--yes")
	if err := c.Refused(t.Context(), 0); err != nil {
		t.Error(err)
	}
	i.Must("users", "restore", "u0")
	try("after one was deleted and is back")
}

// Whoever has no key gets no byte from the real server, and is not hung up on
// before a minute is nearly over.
func TestShadowsocksSaysNothingToStrangers(t *testing.T) {
	t.Parallel()
	i, _ := ways()["shadowsocks, ss-local"].install(t, 3)
	const patience, early, late = 59 * time.Second, 200 * time.Millisecond, 3 * time.Second
	var probes [][]byte
	for _, n := range []int{0, 1, 8, 33, 49, 50, 51, 100, 221} {
		b := make([]byte, n)
		_, _ = rand.Read(b)
		probes = append(probes, b)
	}
	probes = append(probes, []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"+strings.Repeat("x", 100)), []byte("SSH-2.0-OpenSSH_9.2\r\n"))
	errs := make([]error, len(probes))
	each(len(probes), len(probes), func(k int) {
		errs[k] = func() error {
			ctx, cancel := context.WithTimeout(t.Context(), patience+late)
			defer cancel()
			start := time.Now()
			conn, err := i.World.Client.Dial(ctx, "tcp", net.JoinHostPort(rig.ServerAddr, fmt.Sprint(port)))
			if err != nil {
				return err
			}
			defer conn.Close()
			if _, err := conn.Write(probes[k]); err != nil {
				return err
			}
			_ = conn.SetReadDeadline(start.Add(patience + late))
			got, err := io.ReadAll(conn)
			if took := time.Since(start); err != nil || len(got) > 0 || took < patience-early || took > patience+late {
				return fmt.Errorf("%d bytes after %v, %w", len(got), took, err)
			}
			return nil
		}()
	})
	for k, err := range errs {
		if err != nil {
			t.Errorf("%d bytes: %v", len(probes[k]), err)
		}
	}
}
