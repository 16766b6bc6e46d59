//go:build linux && e2e

package e2e

import (
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"vpn/internal/vpn"
	"vpn/test/e2e/rig"
)

// A running server is changed and nobody who is connected notices: not by
// whom it lets in, not by where users may go, not by another port.
func TestAnUpdateDropsNobody(t *testing.T) {
	t.Parallel()
	const old, next = 8443, 9443
	i := rig.NewWorld(t).Instance(t)
	i.CreateServer("main", old, "--short-id", "aa")
	i.Serve()
	logins := i.CreateUsers("u", 3)
	first := i.World.Xray(t, logins...)
	load := first.Load(t, 0, 2)
	pid := i.OneWorker()
	link := func() *rig.Client {
		var access []vpn.Access
		i.JSON(&access, "users", "link", "u2")
		return i.World.Xray(t, rig.Login{Link: rig.ParseLink(t, access[0].Link)})
	}
	for _, u := range []struct {
		flags []string
		old   bool // links that were handed out at first work on
	}{
		{[]string{"--allow", "10.0.0.0/8"}, true},
		{[]string{"--allow", "none"}, true},
		{[]string{"--short-id", "aa", "--short-id", "bb"}, true},
		{[]string{"--short-id", "bb", "--short-id", "aa"}, true},
		{[]string{"--server-name", rig.SiteName, "--server-name", "other." + rig.SiteName, "--no-check"}, true},
		{[]string{"--public-host", rig.ServerAddr}, true},
		{[]string{"--fingerprint", "firefox"}, true},
		{[]string{"--name", "renamed"}, true},
		{[]string{"--name", "main"}, true},
		{[]string{"--short-id", "bb"}, false},
		{[]string{"--short-id", "aa", "--short-id", "bb"}, true},
		{[]string{"--port", strconv.Itoa(next)}, false},
	} {
		name := "main"
		if u.flags[0] == "--name" && u.flags[1] == "main" {
			name = "renamed"
		}
		var c vpn.ServerChange
		i.JSON(&c, append([]string{"server", "update", name, "--yes"}, u.flags...)...)
		if !c.Synced || c.Effects == nil || c.Effects.Drops || (c.Effects.Links == vpn.LinksReplaced) == u.old {
			t.Errorf("%v: synced %v, effects %+v", u.flags, c.Synced, c.Effects)
		}
		client := link()
		client.MustOpen(t, 0, false)
		client.Kill()
		if u.old {
			first.MustOpen(t, 2, false)
		} else if err := first.Refused(t.Context(), 2); err != nil {
			t.Errorf("%v: an old link: %v", u.flags, err)
		}
		if err := load.Err(); err != nil {
			t.Fatalf("%v: %v", u.flags, err)
		}
	}
	// The connections that were there go on for a while.
	pause(t.Context(), 500*time.Millisecond)
	load.Stop(t)
	if now := i.OneWorker(); now != pid {
		t.Errorf("the worker was %d and is %d", pid, now)
	}
}

// Ports that others have are refused, and nothing changes; a low one takes a
// new worker, which the answer says.
func TestAnUpdateOfThePort(t *testing.T) {
	t.Parallel()
	i := rig.NewWorld(t).Instance(t)
	i.CreateServer("main", 8443)
	i.Serve()
	logins := i.CreateUsers("u", 1)
	client := i.World.Xray(t, logins...)
	load := client.Load(t, 0, 1)

	l := i.World.Server.Listen(t, ":443")
	r := i.Run("server", "update", "main", "--port", "443", "--yes")
	if r.Status != 5 {
		t.Errorf("a taken port: status %d\n%s", r.Status, r.Err)
	}
	if err := load.Err(); err != nil {
		t.Fatal(err)
	}
	load.Stop(t)
	if s := i.Must("server", "list"); !strings.Contains(s, "running") || !strings.Contains(s, ":8443") {
		t.Errorf("after a refusal: %s", s)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	pid := i.OneWorker()
	var c vpn.ServerChange
	i.JSON(&c, "server", "update", "main", "--port", "443", "--yes")
	if !c.Effects.Drops || c.Effects.Links != vpn.LinksReplaced || !c.Synced {
		t.Errorf("to a low port: %+v", c)
	}
	if now := i.OneWorker(); now == pid {
		t.Error("the worker, which may not bind low ports, is the same")
	}
	var access []vpn.Access
	i.JSON(&access, "users", "link", "u0")
	i.World.Xray(t, rig.Login{Link: rig.ParseLink(t, access[0].Link)}).MustOpen(t, 0, false)
}

// A target is checked as it is when a server is created: one that does not
// answer like a site is refused, and nothing changes.
func TestAnUpdateOfTheTargetIsChecked(t *testing.T) {
	t.Parallel()
	i := rig.NewWorld(t).Instance(t)
	i.CreateServer("main", port)
	i.Serve()
	client := i.World.Xray(t, i.CreateUsers("u", 1)...)
	show := func() string {
		var s vpn.ServerDetail
		i.JSON(&s, "server", "show", "main")
		return string(s.Settings)
	}
	before := show()
	nowhere := net.JoinHostPort(rig.OutsideAddr, "1")
	if r := i.Run("server", "update", "main", "--target", nowhere, "--server-name", rig.SiteName, "--yes"); r.Status == 0 || !strings.Contains(r.Err, "hint: ") {
		t.Errorf("a target that is none: status %d\n%s", r.Status, r.Err)
	}
	if r := i.Run("server", "update", "main", "--server-name", "other.example.test", "--yes"); r.Status == 0 {
		t.Error("a name that is not the site's was taken")
	}
	if after := show(); after != before {
		t.Errorf("after refusals: %s\nbefore: %s", after, before)
	}
	client.MustOpen(t, 0, false)
	i.Must("server", "update", "main", "--target", nowhere, "--server-name", rig.SiteName, "--no-check", "--yes")
	i.Must("server", "update", "main", "--target", i.World.Site.Addr, "--server-name", rig.SiteName, "--yes")
	client.MustOpen(t, 0, false)
}
