//go:build linux && e2e

package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"vpn/internal/vpn"
	"vpn/test/e2e/rig"
)

func TestTransferBothWays(t *testing.T) {
	t.Parallel()
	i, logins := install(t, 2)
	w := i.World
	for k, c := range []*rig.Client{w.Xray(t, logins...), w.SingBox(t, logins...)} {
		name := []string{"xray", "sing-box"}[k]
		t.Run(name, func(t *testing.T) {
			var want vpn.Traffic
			for _, inner := range []bool{false, true} {
				conn := c.MustOpen(t, k, inner)
				if err := conn.Download(30<<20, 0); err != nil {
					t.Errorf("inner TLS %v: download: %v", inner, err)
				}
				if err := conn.Upload(t.Context(), 30<<20, 0); err != nil {
					t.Errorf("inner TLS %v: upload: %v", inner, err)
				}
				want = want.Add(vpn.Traffic{Up: conn.Sent(), Down: conn.Received()})
			}
			// While all is quiet and open: clients may end a spliced connection with a record of their own.
			wantUsed(t, i, fmt.Sprint("u", k), want)
			testCurl(t, w, c, k)
			testDatagrams(t, c, k)
		})
	}
}

// wantUsed waits until the product has counted exactly this for a user.
func wantUsed(t *testing.T, i *rig.Instance, user string, want vpn.Traffic) {
	t.Helper()
	wantCounted(t, i, user, func() vpn.Traffic { return want })
}

// wantCounted is wantUsed where something may be on its way yet: a packet that
// acknowledges others comes late.
func wantCounted(t *testing.T, i *rig.Instance, user string, moved func() vpn.Traffic) {
	t.Helper()
	rig.Until(t, 5*time.Second, func() error {
		users, err := i.Users()
		if err != nil {
			return err
		}
		if got, want := users[user].Used, moved(); got != want {
			return fmt.Errorf("user %s has moved %+v, counted is %+v", user, want, got)
		}
		return nil
	})
}

func testCurl(t *testing.T, w *rig.World, c *rig.Client, login int) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, w.Site.File, 0o600); err != nil {
		t.Fatal(err)
	}
	curl := func(args ...string) string {
		return w.Client.Output(t, "curl", append([]string{
			"--silent", "--show-error", "--fail", "--max-time", "30", "--http2",
			"--cacert", w.Site.CAFile, "--proxy", "socks5h://" + c.SOCKS(login),
		}, args...)...)
	}
	if got := curl("https://" + rig.SiteName + "/file"); !bytes.Equal([]byte(got), w.Site.File) {
		t.Errorf("curl has downloaded %d bytes, and not those of the file", len(got))
	}
	sum := sha256.Sum256(w.Site.File)
	if got := curl("--upload-file", path, "https://"+rig.SiteName+"/"); got != hex.EncodeToString(sum[:]) {
		t.Errorf("the site has received something else: %s", got)
	}
	plain := curl("--connect-to", "::["+rig.OutsideAddr6+"]:443", "https://"+rig.SiteName+"/")
	if !strings.Contains(plain, "HTTP/2") {
		t.Errorf("over IPv6 the site says %q", plain)
	}
}

func testDatagrams(t *testing.T, c *rig.Client, login int) {
	t.Helper()
	u, err := c.UDP(t.Context(), login)
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	for _, size := range []int{1, 100, 1200} {
		if err := u.Exchange(rig.UDPAddr().String(), bytes.Repeat([]byte{'x'}, size), 5*time.Second); err != nil {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

func TestUpGivesAWorkingLink(t *testing.T) {
	t.Parallel()
	w := rig.NewWorld(t)
	i := w.Instance(t)
	daemon := i.Serve("up", "--port", fmt.Sprint(port), "--public-host", rig.ServerAddr,
		"--target", w.Site.Addr, "--server-name", rig.SiteName, "--user", "alice")
	var link string
	rig.Until(t, 5*time.Second, func() error {
		for word := range strings.FieldsSeq(daemon.Output()) {
			if strings.HasPrefix(word, "vless://") {
				link = word
				return nil
			}
		}
		return fmt.Errorf("no link in:\n%s", daemon.Output())
	})
	c := w.Xray(t, rig.Login{Link: rig.ParseLink(t, link)})
	if err := c.MustOpen(t, 0, true).Download(1<<20, 0); err != nil {
		t.Error(err)
	}
	worker := i.OneWorker()
	daemon.Signal(syscall.SIGINT)
	daemon.Wait(t, 15*time.Second)
	if rig.Alive(worker) {
		t.Error("the worker outlives vpn up")
	}
	// A second up serves what the first has made.
	i.Serve("up")
	if err := c.MustOpen(t, 0, true).Download(1<<20, 0); err != nil {
		t.Error(err)
	}
}

func TestAnIPv6OnlyClientConnects(t *testing.T) {
	t.Parallel()
	w := rig.NewWorld(t)
	i := w.Instance(t)
	i.CreateServer("main", port, "--public-host", rig.ServerAddr6)
	i.Serve()
	link := i.CreateUser("alice")
	if link.Host != rig.ServerAddr6 {
		t.Fatalf("the link says %s", link.Host)
	}
	conn := w.Xray(t, rig.Login{Link: link}).MustOpen(t, 0, true)
	if err := conn.Download(1<<20, 0); err != nil {
		t.Error(err)
	}
	sessions := i.User("alice").Sessions
	if len(sessions) != 1 || net.ParseIP(sessions[0].Source.Addr().String()).To4() != nil {
		t.Errorf("sessions: %+v", sessions)
	}
}

func TestLiveSessionsAreShown(t *testing.T) {
	t.Parallel()
	i, logins := install(t, 1)
	logins[0].From = rig.ClientAddr(2)
	conn := i.World.Xray(t, logins...).MustOpen(t, 0, false)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { _ = conn.Upload(ctx, 1<<40, 1<<20) }()
	rig.Until(t, 5*time.Second, func() error {
		var u vpn.UserDetail
		if err := i.API(t.Context(), "GET", "/v1/users/u0", nil, &u); err != nil {
			return err
		}
		if u.Online != 1 || len(u.Sessions) != 1 {
			return fmt.Errorf("online %d, sessions %+v", u.Online, u.Sessions)
		}
		s := u.Sessions[0]
		if s.Source.Addr().String() != rig.ClientAddr(2) || s.Network != "tcp" || s.Server != "main" || s.Up < 1<<20 {
			return fmt.Errorf("session %+v", s)
		}
		if u.Rate.Up < 900<<10 || u.Rate.Up > 1200<<10 {
			return fmt.Errorf("rate %+v of a user who sends 1 MiB/s", u.Rate)
		}
		return nil
	})
	// In the history it is one connection on average, of the seconds since then.
	rig.Until(t, 15*time.Second, func() error {
		var h vpn.History
		since := time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)
		if err := i.API(t.Context(), "GET", "/v1/usage?user=u0&since="+since, nil, &h); err != nil {
			return err
		}
		if len(h.Points) != 1 || len(h.Watched) != 1 || h.Watched[0].Seconds < 4 {
			return fmt.Errorf("the history is %+v", h)
		}
		if n := h.Points[0].Online; n < 0.3 || n > 1 {
			return fmt.Errorf("%.2f connections on average", n)
		}
		return nil
	})
	conn.Close()
	rig.Until(t, 5*time.Second, func() error {
		users, err := i.Users()
		if err == nil && users["u0"].Online != 0 {
			err = fmt.Errorf("online %d after the end", users["u0"].Online)
		}
		return err
	})
}
