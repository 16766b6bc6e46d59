package app_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"vpn/internal/vpn"
)

// links returns the links of a user, by server and device.
func (b *bench) links(user string) map[string]string {
	b.t.Helper()
	all, err := b.app.Users.Access(b.ctx, user)
	b.do("access", err)
	out := map[string]string{}
	for _, a := range all {
		out[strings.TrimSuffix(a.Server+"/"+a.Device, "/")] = a.Link
	}
	if len(out) != len(all) {
		b.t.Errorf("two links are to one server and of one device: %+v", all)
	}
	return out
}

// granted returns what a server's worker has been told about a user.
func (b *bench) granted(s vpn.ServerID, u vpn.UserID) (out []vpn.Grant) {
	b.t.Helper()
	b.workers.worker(s).see(func(w *fakeWorker) {
		for _, g := range w.grants {
			if g.User == u {
				out = append(out, g)
			}
		}
	})
	return out
}

func TestRotateEndsTheOldLinks(t *testing.T) {
	b := newBench(t)
	b.supervise()
	main, second := b.server("main"), b.server("second")
	id := b.user("alice", vpn.Limits{})
	bob := b.user("bob", vpn.Limits{})
	before, bobs, was := b.links("alice"), b.links("bob"), b.granted(main, id)

	c, err := b.app.Devices.Rotate(b.ctx, "alice", vpn.Rotation{Server: "main"})
	b.do("rotate", err)
	now := b.links("alice")
	if len(c.Access) != 1 || c.Access[0].Link != now["main"] || !c.Synced {
		t.Errorf("the answer is %+v", c)
	}
	if now["main"] == before["main"] || now["second"] != before["second"] || len(now) != 2 {
		t.Errorf("the links were %v and are %v", before, now)
	}
	is := b.granted(main, id)
	if len(is) != 1 || is[0].Secret.Equal(was[0].Secret) {
		t.Errorf("the worker has %d grants of the user, with the old secret: %v", len(is), is[0].Secret.Equal(was[0].Secret))
	}

	_, err = b.app.Devices.Rotate(b.ctx, "alice", vpn.Rotation{})
	b.do("rotate all", err)
	for name, link := range b.links("alice") {
		if link == now[name] {
			t.Errorf("the link to %s is the old one", name)
		}
	}
	for name, link := range b.links("bob") {
		if link != bobs[name] {
			t.Errorf("bob's link to %s has changed", name)
		}
	}
	if len(b.granted(main, bob)) != 1 || len(b.granted(second, bob)) != 1 {
		t.Error("bob has lost something")
	}
}

func TestRotateKeepsTheOldForSomeTime(t *testing.T) {
	b := newBench(t)
	b.supervise()
	main := b.server("main")
	id := b.user("alice", vpn.Limits{})
	before := b.links("alice")
	ends := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	_, err := b.app.Devices.Rotate(b.ctx, "alice", vpn.Rotation{OldEnds: ends})
	b.do("rotate", err)
	now := b.links("alice")
	if len(now) != 1 || now["main"] == before["main"] {
		t.Errorf("the links were %v and are %v", before, now)
	}
	grants := b.granted(main, id)
	if len(grants) != 2 {
		t.Fatalf("the worker has %d grants", len(grants))
	}
	old := slices.IndexFunc(grants, func(g vpn.Grant) bool { return strings.Contains(before["main"], g.Secret.Reveal()) })
	if old < 0 || !grants[old].NotAfter.Equal(ends) || !grants[1-old].NotAfter.IsZero() {
		t.Errorf("the worker has %+v", grants)
	}

	// Once more: what is about to end already is not made anew.
	_, err = b.app.Devices.Rotate(b.ctx, "alice", vpn.Rotation{OldEnds: ends})
	b.do("rotate again", err)
	if n := len(b.granted(main, id)); n != 3 {
		t.Errorf("the worker has %d grants, want 3", n)
	}

	for what, in := range map[string]vpn.Rotation{
		"an end in the past":     {OldEnds: time.Now().Add(-time.Hour)},
		"an end that is far off": {OldEnds: time.Now().AddDate(20, 0, 0)},
	} {
		if _, err := b.app.Devices.Rotate(b.ctx, "alice", in); vpn.KindOf(err) != vpn.Invalid {
			t.Errorf("%s: got %v", what, err)
		}
	}
}

// TestOldKeysAreShownAndEnded: whoever looks sees which old keys still work and
// until when, and can end them: alone, or with the next rotation.
func TestOldKeysAreShownAndEnded(t *testing.T) {
	b := newBench(t)
	b.supervise()
	main := b.server("main")
	id := b.user("alice", vpn.Limits{})
	keys := func() (current, old []vpn.UserCredential) {
		d, err := b.app.Users.Show(b.ctx, "alice")
		b.do("show", err)
		for _, c := range d.Credentials {
			if c.EndsAt.IsZero() {
				current = append(current, c)
			} else {
				old = append(old, c)
			}
		}
		return current, old
	}
	if _, err := b.app.Devices.Rotate(b.ctx, "alice", vpn.Rotation{EndOld: true}); vpn.KindOf(err) != vpn.NotFound {
		t.Errorf("there are no old keys: %v", err)
	}
	_, err := b.app.Devices.Add(b.ctx, "alice", vpn.NewDevice{Name: "phone"})
	b.do("a phone", err)
	ends := time.Now().Add(30 * time.Minute).UTC().Truncate(time.Second)
	_, err = b.app.Devices.Rotate(b.ctx, "alice", vpn.Rotation{OldEnds: ends})
	b.do("rotate", err)
	for _, g := range b.granted(main, id) {
		b.workers.worker(main).connect(g.Credential)
	}
	current, old := keys()
	if len(current) != 2 || len(old) != 2 {
		t.Fatalf("shown are %+v and %+v", current, old)
	}
	for i, device := range []string{"", "phone"} {
		o := old[i]
		if o.Server != "main" || o.Device != device || !o.EndsAt.Equal(ends) || o.Online != 1 || current[i].Device != device {
			t.Errorf("shown are %+v and %+v", current[i], o)
		}
	}

	links := b.links("alice")
	c, err := b.app.Devices.Rotate(b.ctx, "alice", vpn.Rotation{EndOld: true, Device: "phone"})
	if err != nil || c.Connections != 1 || len(c.Access) != 0 {
		t.Errorf("ended with %+v, %v", c, err)
	}
	current, old = keys()
	if len(current) != 2 || len(old) != 1 || old[0].Device != "" || len(b.granted(main, id)) != 3 {
		t.Errorf("left are %+v and %+v", current, old)
	}
	if now := b.links("alice"); now["main"] != links["main"] || now["main/phone"] != links["main/phone"] {
		t.Errorf("the links were %v and are %v", links, now)
	}
	_, err = b.app.Devices.Rotate(b.ctx, "alice", vpn.Rotation{})
	b.do("rotate at once", err)
	if current, old = keys(); len(current) != 2 || len(old) != 0 || len(b.granted(main, id)) != 2 {
		t.Errorf("left are %+v and %+v", current, old)
	}
	if _, err := b.app.Devices.Rotate(b.ctx, "alice", vpn.Rotation{EndOld: true, OldEnds: ends}); vpn.KindOf(err) != vpn.Invalid {
		t.Errorf("now and later: %v", err)
	}
	// One that has ended by itself is none that still works.
	_, err = b.app.Devices.Rotate(b.ctx, "alice", vpn.Rotation{OldEnds: ends})
	b.do("rotate", err)
	b.now = func() time.Time { return ends.Add(time.Second) }
	if _, old = keys(); len(old) != 0 {
		t.Errorf("shown although they have ended: %+v", old)
	}
}

func TestDevicesAreApart(t *testing.T) {
	b := newBench(t)
	b.supervise()
	main, second := b.server("main"), b.server("second")
	id := b.user("alice", vpn.Limits{})
	before := b.links("alice")

	c, err := b.app.Devices.Add(b.ctx, "alice", vpn.NewDevice{Name: "phone"})
	b.do("add", err)
	if len(c.Access) != 2 || c.Access[0].Device != "phone" || !strings.HasSuffix(c.Access[0].Link, "#main-alice-phone") {
		t.Errorf("got %+v", c.Access)
	}
	_, err = b.app.Devices.Add(b.ctx, "alice", vpn.NewDevice{Name: "laptop", Servers: []string{"second"}})
	b.do("add another", err)
	now := b.links("alice")
	if len(now) != 5 || now["main"] != before["main"] || now["main/phone"] == before["main"] {
		t.Errorf("the links are %v", now)
	}
	list, err := b.app.Devices.List(b.ctx, "alice")
	if err != nil || len(list) != 2 || list[0].Name != "laptop" || !slices.Equal(list[0].Servers, []string{"second"}) ||
		!slices.Equal(list[1].Servers, []string{"main", "second"}) || list[1].CreatedAt.IsZero() {
		t.Errorf("got %+v, %v", list, err)
	}

	// One that is there gets what it lacks.
	_, err = b.app.Devices.Add(b.ctx, "alice", vpn.NewDevice{Name: "laptop"})
	b.do("add what is missing", err)
	if _, err := b.app.Devices.Add(b.ctx, "alice", vpn.NewDevice{Name: "laptop"}); vpn.KindOf(err) != vpn.Conflict {
		t.Errorf("a device that is there: got %v", err)
	}

	_, err = b.app.Devices.Rotate(b.ctx, "alice", vpn.Rotation{Device: "phone"})
	b.do("rotate", err)
	if is := b.links("alice"); is["main/phone"] == now["main/phone"] || is["main"] != now["main"] || is["second/laptop"] != now["second/laptop"] {
		t.Errorf("the links were %v and are %v", now, is)
	}

	_, err = b.app.Devices.Remove(b.ctx, "alice", "phone")
	b.do("remove", err)
	if is := b.links("alice"); len(is) != 4 || is["main/phone"] != "" || is["main"] != now["main"] {
		t.Errorf("the links are %v", is)
	}
	for _, s := range []vpn.ServerID{main, second} {
		if n := len(b.granted(s, id)); n != 2 {
			t.Errorf("a worker has %d grants, want 2", n)
		}
	}
	_, err = b.app.Devices.Remove(b.ctx, "alice", "lapptop")
	if e, ok := errors.AsType[*vpn.Error](err); !ok || e.Kind != vpn.NotFound || e.Hint != `did you mean "laptop"?` {
		t.Errorf("an unknown device: got %v", err)
	}
	for _, bad := range []string{"", "My Phone", "a\nb"} {
		if _, err := b.app.Devices.Add(b.ctx, "alice", vpn.NewDevice{Name: bad}); vpn.KindOf(err) != vpn.Invalid {
			t.Errorf("a device named %q: got %v", bad, err)
		}
	}

	// A deletion and its undoing take the devices along.
	_, err = b.app.Users.Delete(b.ctx, "alice")
	b.do("delete", err)
	_, err = b.app.Users.Restore(b.ctx, "alice", vpn.UserRestore{})
	b.do("restore", err)
	if is := b.links("alice"); len(is) != 4 || is["main/phone"] != "" || is["main"] != now["main"] {
		t.Errorf("after a restore the links are %v", is)
	}
}

func TestOnlySomeServersLetAUserIn(t *testing.T) {
	b := newBench(t)
	b.supervise()
	main, second := b.server("main"), b.server("second")
	c, err := b.app.Users.Create(b.ctx, vpn.NewUser{Name: "alice", Servers: &[]string{"main"}})
	b.do("create", err)
	id := c.User.ID
	if len(c.Access) != 1 || c.Access[0].Server != "main" || len(b.granted(main, id)) != 1 || len(b.granted(second, id)) != 0 {
		t.Errorf("got %+v", c.Access)
	}
	third := b.server("third")
	if len(b.granted(third, id)) != 0 {
		t.Error("a new server lets in who has a list of servers")
	}
	first := b.links("alice")

	_, err = b.app.Users.Update(b.ctx, "alice", vpn.UserPatch{Servers: &[]string{"second", string(second), "third"}})
	b.do("update", err)
	if now := b.links("alice"); len(now) != 2 || now["main"] != "" || now["second"] == "" {
		t.Errorf("the links are %v", now)
	}
	if g := b.granted(main, id); len(g) != 1 || !g[0].Blocked {
		t.Errorf("the server that was taken away has %+v", g)
	}
	if g := b.granted(second, id); len(g) != 1 || g[0].Blocked {
		t.Errorf("the server that was given has %+v", g)
	}
	d, err := b.app.Users.Show(b.ctx, "alice")
	b.do("show", err)
	for _, s := range d.Servers {
		if s.Allowed != (s.Server != "main") {
			t.Errorf("it is shown as %+v", s)
		}
	}
	if _, err := b.app.Devices.Add(b.ctx, "alice", vpn.NewDevice{Name: "phone", Servers: []string{"main"}}); vpn.KindOf(err) != vpn.Conflict {
		t.Errorf("a device on a server that is not allowed: got %v", err)
	}

	// Given back, the old link works again.
	_, err = b.app.Users.Update(b.ctx, "alice", vpn.UserPatch{AllServers: true})
	b.do("all", err)
	if now := b.links("alice"); len(now) != 3 || now["main"] != first["main"] {
		t.Errorf("the links were %v and are %v", first, now)
	}
	b.server("fourth")
	if now := b.links("alice"); len(now) != 4 {
		t.Errorf("on a new server there is no link: %v", now)
	}
	_, err = b.app.Users.Update(b.ctx, "alice", vpn.UserPatch{Servers: &[]string{}})
	b.do("none", err)
	if now := b.links("alice"); len(now) != 0 {
		t.Errorf("without any server the links are %v", now)
	}

	if _, err := b.app.Users.Update(b.ctx, "alice", vpn.UserPatch{AllServers: true, Servers: &[]string{"main"}}); vpn.KindOf(err) != vpn.Invalid {
		t.Errorf("all and some: got %v", err)
	}
	if _, err := b.app.Users.Create(b.ctx, vpn.NewUser{Name: "bob", Servers: &[]string{"mian"}}); vpn.KindOf(err) != vpn.NotFound {
		t.Errorf("an unknown server: got %v", err)
	}
	if _, err := b.app.Users.Show(b.ctx, "bob"); vpn.KindOf(err) != vpn.NotFound {
		t.Errorf("half a user is left: %v", err)
	}
}
