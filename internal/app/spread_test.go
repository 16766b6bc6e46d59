package app_test

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"testing"

	"vpn/internal/app"
	"vpn/internal/vpn"
)

// spread makes a server with room for two users at one port.
func (b *bench) spread(port uint16) {
	b.t.Helper()
	_, err := b.app.Servers.Create(b.ctx, vpn.NewServer{
		Name: "main", Protocol: "shadowsocks", Port: port, PublicHost: "vpn.example.com", Settings: []byte(`{"keys_per_port":"2"}`),
	})
	b.do("create", err)
}

// portsOf returns the ports in the links of users.
func (b *bench) portsOf(names ...string) (out []string) {
	b.t.Helper()
	for _, name := range names {
		access, err := b.app.Users.Access(b.ctx, name)
		b.do("access", err)
		for _, a := range access {
			if a.Server == "main" {
				u, err := url.Parse(a.Link)
				b.do("parse", err)
				out = append(out, u.Port())
			}
		}
	}
	return out
}

func (b *bench) havePorts(what string, names []string, want ...string) {
	b.t.Helper()
	if got := b.portsOf(names...); !slices.Equal(got, want) {
		b.t.Errorf("%s: %v are at ports %v, want %v", what, names, got, want)
	}
}

// Beyond the cap users are at the ports that follow, and stay where they are
// whoever comes and goes.
func TestUsersAreSpreadOverPorts(t *testing.T) {
	b := newBench(t)
	b.supervise()
	b.spread(8388)
	var names []string
	for i := range 5 {
		names = append(names, fmt.Sprintf("u%d", i))
		b.user(names[i], vpn.Limits{})
	}
	b.havePorts("at first", names, "8388", "8388", "8389", "8389", "8390")
	for _, name := range []string{"u0", "u2"} {
		_, err := b.app.Users.Delete(b.ctx, name)
		b.do("delete", err)
	}
	b.havePorts("after others went", []string{"u1", "u3", "u4"}, "8388", "8389", "8390")
	b.user("new", vpn.Limits{})
	b.havePorts("a newcomer takes no place that may be wanted back", []string{"new"}, "8390")
	_, err := b.app.Users.Restore(b.ctx, "u2", vpn.UserRestore{})
	b.do("restore", err)
	b.havePorts("after one is back", []string{"u1", "u2", "u3", "u4", "new"}, "8388", "8389", "8389", "8390", "8390")

	list, err := b.app.Servers.List(b.ctx)
	b.do("list", err)
	slots := map[string]uint32{}
	b.workers.worker(list[0].ID).see(func(w *fakeWorker) {
		for _, g := range w.grants {
			slots[g.Name] = g.Slot
		}
	})
	if slots["u1"] != 1 || slots["new"] != 5 {
		t.Errorf("the worker has slots %v", slots)
	}
}

// A port that somebody else has is left out, and a port that users are at is
// nobody else's.
func TestPortsThatFollowAreChecked(t *testing.T) {
	b := newBench(t)
	nginx := vpn.Errorf(vpn.Conflict, "port 8389 is taken by nginx (pid 1)")
	b.network = busyNetwork{refuse: map[uint16]error{8389: nginx}}
	b.reset()
	_, err := b.app.Servers.Create(b.ctx, vpn.NewServer{Name: "other", Port: 8390, Settings: []byte(`{"target":"self"}`)})
	b.do("create", err)
	b.spread(8388)
	names := []string{"u0", "u1", "u2", "u3"}
	for _, name := range names {
		b.user(name, vpn.Limits{})
	}
	b.havePorts("beside others", names, "8388", "8388", "8391", "8391")
	_, err = b.app.Servers.Create(b.ctx, vpn.NewServer{Name: "third", Port: 8391, Settings: []byte(`{"target":"self"}`)})
	if vpn.KindOf(err) != vpn.Conflict {
		t.Errorf("a server at the port of users: %v", err)
	}
	for _, c := range []struct {
		what  string
		patch vpn.ServerPatch
		links vpn.LinksAfter // none: it is refused
	}{
		{"more at one port, of two that are in use", vpn.ServerPatch{Settings: []byte(`{"keys_per_port":"100"}`)}, vpn.LinksReplaced},
		{"more at one port, which moves nobody", vpn.ServerPatch{Settings: []byte(`{"keys_per_port":"200"}`)}, vpn.LinksSame},
		{"fewer, over a port that is taken", vpn.ServerPatch{Settings: []byte(`{"keys_per_port":"5"}`)}, ""},
		{"another method", vpn.ServerPatch{Settings: []byte(`{"method":"aes-256-gcm"}`)}, vpn.LinksReplaced},
		{"a prefix", vpn.ServerPatch{Settings: []byte(`{"prefix":"POST%20"}`)}, vpn.LinksChanged},
		{"a port that is taken", vpn.ServerPatch{Port: new(uint16(8389))}, ""},
	} {
		change, err := b.app.Servers.Update(b.ctx, "main", c.patch)
		if c.links == "" {
			if vpn.KindOf(err) != vpn.Conflict {
				t.Errorf("%s: %v", c.what, err)
			}
			continue
		}
		if err != nil || change.Effects.Links != c.links || change.Effects.Drops {
			t.Errorf("%s: %+v, %v", c.what, change.Effects, err)
		}
	}
}

// watchful is a network whose firewall blocks everything.
type watchful struct{ quietNetwork }

func (watchful) Blocked(network string, _ netip.Addr, port uint16) []string {
	return []string{fmt.Sprintf("%s %d", network, port)}
}

func TestFirewallsAreAskedAboutEveryPort(t *testing.T) {
	b := newBench(t)
	b.network = watchful{}
	b.reset()
	b.spread(8388)
	for _, name := range []string{"u0", "u1", "u2"} {
		b.user(name, vpn.Limits{})
	}
	d, err := b.app.Servers.Show(b.ctx, "main")
	b.do("show", err)
	if want := []string{"tcp 8388", "tcp 8389", "udp 8388", "udp 8389"}; !slices.Equal(d.Warnings, want) {
		t.Errorf("warnings %q", d.Warnings)
	}
}

// A server that is made for users that there are has room for all of them at
// once.
func TestAServerForManyUsers(t *testing.T) {
	b := newBench(t)
	for i := range 7 {
		b.user(fmt.Sprintf("u%d", i), vpn.Limits{})
	}
	b.spread(8388)
	got := b.portsOf("u0", "u1", "u2", "u3", "u4", "u5", "u6")
	count := map[string]int{}
	for _, port := range got {
		count[port]++
	}
	if count["8388"] != 2 || count["8389"] != 2 || count["8390"] != 2 || count["8391"] != 1 {
		t.Errorf("users are at ports %v", got)
	}
}

var _ app.Network = watchful{}
