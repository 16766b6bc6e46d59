package app_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"vpn/internal/app"
	"vpn/internal/protocol/all"
	"vpn/internal/vpn"
)

// site is the network as the tests of updates want it: some ports are taken,
// and targets are fit or not.
type site struct {
	taken   []uint16
	settled []bool // each time: with a check?
	fail    error
}

func (n *site) ProbeTCP(_ netip.Addr, port uint16) error {
	if slices.Contains(n.taken, port) {
		return vpn.Errorf(vpn.Conflict, "port %d is taken by nginx", port).WithHint("choose another port")
	}
	return nil
}

func (n *site) ProbeUDP(listen netip.Addr, port uint16) error { return n.ProbeTCP(listen, port) }

func (*site) Blocked(string, netip.Addr, uint16) []string { return nil }

func (*site) DefaultAddr() (netip.Addr, bool) { return netip.MustParseAddr("203.0.113.1"), true }

func (n *site) Settle(_ context.Context, s vpn.Server, check bool) (vpn.Server, []string, error) {
	n.settled = append(n.settled, check)
	return s, []string{"settled"}, n.fail
}

// on gives the bench that network.
func (b *bench) on(n *site) {
	b.app = app.New(app.Config{
		Store: b.store, Workers: b.workers, Protocols: all.Protocols(), Network: n,
		Settlers: map[vpn.Protocol]app.Settler{"vless": n}, Log: slog.New(slog.DiscardHandler), Now: time.Now,
	})
}

func (b *bench) update(p vpn.ServerPatch) vpn.ServerChange {
	b.t.Helper()
	c, err := b.app.Servers.Update(b.ctx, "main", p)
	b.do("update", err)
	return c
}

func TestAnUpdateReachesTheRunningWorker(t *testing.T) {
	b := newBench(t)
	net := &site{}
	b.on(net)
	b.supervise()
	c, err := b.app.Servers.Create(b.ctx, vpn.NewServer{Name: "main", Port: 8443, Settings: []byte(`{"target":"www.example.com:443","short_ids":["aa"]}`)})
	b.do("create", err)
	id := c.Server.ID
	b.user("alice", vpn.Limits{})
	w := b.workers.worker(id)
	net.settled = nil

	allow := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	for _, u := range []struct {
		what     string
		patch    vpn.ServerPatch
		links    vpn.LinksAfter
		settled  []bool
		warnings int
	}{
		{"allow", vpn.ServerPatch{Allow: &allow}, vpn.LinksSame, nil, 0},
		{"one more short id", vpn.ServerPatch{Settings: []byte(`{"short_ids":["aa","bb"]}`)}, vpn.LinksSame, nil, 0},
		{"the first short id", vpn.ServerPatch{Settings: []byte(`{"short_ids":["bb","aa"]}`)}, vpn.LinksChanged, nil, 0},
		{"a short id less", vpn.ServerPatch{Settings: []byte(`{"short_ids":["aa"]}`)}, vpn.LinksReplaced, nil, 0},
		{"fingerprint", vpn.ServerPatch{Settings: []byte(`{"fingerprint":"firefox"}`)}, vpn.LinksChanged, nil, 0},
		{"server names", vpn.ServerPatch{Settings: []byte(`{"server_names":["a.example.com"]}`)}, vpn.LinksReplaced, []bool{true}, 1},
		{"target, unchecked", vpn.ServerPatch{Settings: []byte(`{"target":"www.example.org:443"}`), NoCheck: true}, vpn.LinksSame, []bool{false}, 1},
		{"public host", vpn.ServerPatch{PublicHost: new("vpn.example.org")}, vpn.LinksChanged, nil, 0},
		{"private host", vpn.ServerPatch{PublicHost: new("10.1.2.3")}, vpn.LinksChanged, nil, 1},
		{"port", vpn.ServerPatch{Port: new(uint16(9443))}, vpn.LinksReplaced, nil, 0},
		{"listen", vpn.ServerPatch{Listen: new(netip.MustParseAddr("127.0.0.1"))}, vpn.LinksSame, nil, 0},
	} {
		net.settled = nil
		// Said beforehand is what comes, and changes nothing.
		before, err := b.app.Servers.Show(b.ctx, "main")
		b.do("show", err)
		said, err := b.app.DryRun().Servers.Update(b.ctx, "main", u.patch)
		b.do("update dryly", err)
		after, err := b.app.Servers.Show(b.ctx, "main")
		b.do("show", err)
		if string(after.Settings) != string(before.Settings) || after.Port != before.Port || !after.UpdatedAt.Equal(before.UpdatedAt) {
			t.Errorf("%s: a dry run changed %+v to %+v", u.what, before, after)
		}
		net.settled = nil
		c := b.update(u.patch)
		if c.Effects == nil || *c.Effects != (vpn.ServerEffects{Links: u.links}) || *said.Effects != *c.Effects {
			t.Errorf("%s: effects %+v, said were %+v", u.what, c.Effects, said.Effects)
		}
		if !c.Synced || !slices.Equal(net.settled, u.settled) || len(c.Warnings) != u.warnings {
			t.Errorf("%s: synced %v, settled %v, warnings %q", u.what, c.Synced, net.settled, c.Warnings)
		}
		w.see(func(w *fakeWorker) {
			if w.spec.Port != c.Server.Port || string(w.spec.Settings) != string(c.Server.Settings) || w.spec.Listen != c.Server.Listen ||
				!slices.Equal(w.spec.Allow, c.Server.Allow) || len(w.grants) != 1 {
				t.Errorf("%s: the worker has %+v of %+v", u.what, w.spec, c.Server.Server)
			}
		})
	}
	c = b.update(vpn.ServerPatch{Name: new("paris")})
	if c.Server.Name != "paris" || c.Server.ID != id {
		t.Errorf("renamed: %+v", c.Server)
	}
	if n := b.workers.started(id); n != 1 {
		t.Errorf("%d workers were started", n)
	}
	events, err := b.app.System.Events(b.ctx, 3)
	b.do("events", err)
	for i, want := range []string{"name paris", "listen 127.0.0.1:9443", "listen [::]:9443"} {
		if e := events[i]; e.Action != "servers.update" || e.Subject != "main" || e.Detail != want {
			t.Errorf("event %+v, want %s", e, want)
		}
	}
}

// A worker has given up the privilege to bind low ports, unless it began on
// one.
func TestAnUpdateToALowPortStartsAnew(t *testing.T) {
	b := newBench(t)
	b.on(&site{})
	b.supervise()
	_, err := b.app.Servers.Create(b.ctx, vpn.NewServer{Name: "main", Port: 8443, Settings: []byte(`{"target":"www.example.com:443"}`)})
	b.do("create", err)
	c := b.update(vpn.ServerPatch{Port: new(uint16(443))})
	if !c.Effects.Drops || !c.Synced || b.workers.started(c.Server.ID) != 2 {
		t.Errorf("%+v, %d workers were started", c, b.workers.started(c.Server.ID))
	}
	b.workers.worker(c.Server.ID).see(func(w *fakeWorker) {
		if w.spec.Port != 443 {
			t.Errorf("the worker listens on %d", w.spec.Port)
		}
	})
	if c = b.update(vpn.ServerPatch{Port: new(uint16(80))}); c.Effects.Drops {
		t.Error("from a low port to another nothing has to start anew")
	}
}

func TestAnUpdateThatIsRefusedChangesNothing(t *testing.T) {
	b := newBench(t)
	net := &site{taken: []uint16{9443}}
	b.on(net)
	for name, port := range map[string]uint16{"main": 8443, "other": 8444} {
		_, err := b.app.Servers.Create(b.ctx, vpn.NewServer{Name: name, Port: port, Settings: []byte(`{"target":"www.example.com:443"}`)})
		b.do("create", err)
	}
	before, err := b.app.Servers.Show(b.ctx, "main")
	b.do("show", err)
	net.fail = vpn.Errorf(vpn.Unavailable, "no site answers there").WithHint("take another")
	for name, c := range map[string]struct {
		patch vpn.ServerPatch
		kind  vpn.Kind
	}{
		"nothing":      {vpn.ServerPatch{}, vpn.Invalid},
		"port 0":       {vpn.ServerPatch{Port: new(uint16(0))}, vpn.Invalid},
		"taken port":   {vpn.ServerPatch{Port: new(uint16(9443))}, vpn.Conflict},
		"other's port": {vpn.ServerPatch{Port: new(uint16(8444))}, vpn.Conflict},
		"other's name": {vpn.ServerPatch{Name: new("other")}, vpn.Conflict},
		"bad name":     {vpn.ServerPatch{Name: new("No Name")}, vpn.Invalid},
		"bad host":     {vpn.ServerPatch{PublicHost: new("a b")}, vpn.Invalid},
		"unknown key":  {vpn.ServerPatch{Settings: []byte(`{"targett":"self"}`)}, vpn.Invalid},
		"no object":    {vpn.ServerPatch{Settings: []byte(`[1]`)}, vpn.Invalid},
		"bad target":   {vpn.ServerPatch{Settings: []byte(`{"target":"www.example.org:443"}`)}, vpn.Unavailable},
		"good and bad": {vpn.ServerPatch{Port: new(uint16(8445)), Settings: []byte(`{"short_ids":["x"]}`)}, vpn.Invalid},
	} {
		_, err := b.app.Servers.Update(b.ctx, "main", c.patch)
		if vpn.KindOf(err) != c.kind || hintOf(err) == "" {
			t.Errorf("%s: %v, hint %q", name, err, hintOf(err))
		}
	}
	if _, err := b.app.Servers.Update(b.ctx, "mian", vpn.ServerPatch{}); vpn.KindOf(err) != vpn.NotFound {
		t.Errorf("an unknown server: %v", err)
	}
	after, err := b.app.Servers.Show(b.ctx, "main")
	b.do("show", err)
	was, _ := json.Marshal(before)
	is, _ := json.Marshal(after)
	if string(was) != string(is) {
		t.Errorf("%s became %s", was, is)
	}
	events, err := b.app.System.Events(b.ctx, 1)
	if err != nil || strings.Contains(events[0].Action, "update") {
		t.Errorf("events: %+v, %v", events, err)
	}
}
