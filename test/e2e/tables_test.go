//go:build linux && e2e

package e2e

import (
	"bytes"
	"testing"
	"time"

	"vpn/internal/vpn"
	"vpn/test/e2e/rig"
	"vpn/test/xfer"
)

// Users come and go while twenty others are busy, as over Shadowsocks and
// WireGuard (TestShadowsocksChurn, TestTunnelChurn). One after the other: as
// many clients at once are more than a small machine serves.
func TestChurn(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"vless, xray", "shadowsocks 2022, sing-box", "http, sing-box", "https, sing-box", "socks5, sing-box"} {
		t.Run(name, func(t *testing.T) { testChurn(t, ways()[name], 12) })
	}
}

// A server that is started anew ends its connections, and no byte of theirs is
// lost or counted twice. (VLESS: TestStopAndStart. WireGuard, whose devices
// come back by themselves: TestTunnelAfterARestart.)
func TestARestartLosesNoByte(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"shadowsocks, sing-box", "shadowsocks 2022, sing-box", "http, sing-box", "https, sing-box", "socks5, sing-box"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testRestart(t, ways()[name])
		})
	}
}

func testRestart(t *testing.T, w way) {
	t.Helper()
	i, logins := w.install(t, 2)
	client := w.start(i.World, t, logins...)
	var want vpn.Traffic
	move := func(conn *xfer.Conn) {
		t.Helper()
		if err := conn.Download(3<<20, 0); err != nil {
			t.Errorf("download: %v", err)
		}
		if err := conn.Upload(t.Context(), 1<<20, 0); err != nil {
			t.Errorf("upload: %v", err)
		}
		want = want.Add(vpn.Traffic{Up: conn.Sent(), Down: conn.Received()})
	}
	live := []*xfer.Conn{client.MustOpen(t, 0, false), client.MustOpen(t, 0, true)}
	for _, conn := range live {
		move(conn)
	}
	if !w.streams {
		u, err := client.UDP(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		defer u.Close()
		if err := u.Exchange(rig.UDPAddr().String(), bytes.Repeat([]byte{'x'}, 1000), 5*time.Second); err != nil {
			t.Fatal(err)
		}
		want = want.Add(vpn.Traffic{Up: 1000, Down: 1000})
	}
	worker := i.OneWorker()
	i.Must("server", "restart", "main", "--yes") // at once: what the last second has counted is told by the worker's end
	for _, conn := range live {
		if !conn.Ended(5 * time.Second) {
			t.Error("a connection outlives its server")
		}
	}
	rig.Until(t, 10*time.Second, func() error { return works(t, client, 1) })
	if now := i.OneWorker(); now == worker {
		t.Errorf("worker %d is the same", now)
	}
	wantUsed(t, i, "u0", want)
	move(client.MustOpen(t, 0, false))
	wantUsed(t, i, "u0", want)
}
