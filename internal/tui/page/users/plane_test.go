package users_test

import (
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"vpn/internal/client"
	"vpn/internal/config"
	"vpn/internal/daemon"
	"vpn/internal/tui"
	"vpn/internal/tui/key"
	"vpn/internal/tui/page"
	"vpn/internal/tui/page/users"
	"vpn/internal/tui/tuitest"
	"vpn/internal/vpn"
)

// real opens the screen over a control plane with a store, and a server that
// nobody runs, with some users.
func real(t *testing.T, people ...vpn.NewUser) (*tuitest.Driver, *client.Client) {
	t.Helper()
	run := t.TempDir()
	l, err := daemon.Open(t.Context(), daemon.Options{
		Config: config.Config{DataDir: t.TempDir(), PublicHost: "vpn.example.org"}, Log: slog.New(slog.DiscardHandler), Version: "test",
		Environ: func(k string) string { return map[string]string{"XDG_RUNTIME_DIR": run}[k] },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	c := client.InProcess(l.Handler())
	for _, name := range []string{"main", "other"} {
		l, err := net.Listen("tcp", "[::1]:0") // a port that is free
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		_ = l.Close()
		if _, err := c.Servers.Create(t.Context(), vpn.NewServer{Name: name, Protocol: "shadowsocks", Listen: netip.IPv6Loopback(), Port: uint16(port)}); err != nil {
			t.Fatal(err)
		}
	}
	for _, in := range people {
		if _, err := c.Users.Create(t.Context(), in); err != nil {
			t.Fatal(err)
		}
	}
	o, _ := tuitest.Options(t)
	o.Source, o.Now = tui.SourceOf(c), time.Now
	a := tuitest.Alone(o, key.Users, func(f page.Frame) page.Page {
		return users.New(f, users.API{Users: c.Users, Devices: c.Devices, Usage: c.Usage}, users.Options{After: atOnce})
	})
	return tuitest.Drive(t, a, 120, 44).Press("2"), c
}

func show(t *testing.T, c *client.Client, name string) vpn.UserDetail {
	t.Helper()
	u, err := c.Users.Show(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// fill goes to the field of that label, from the first on, and writes there.
func fill(d *tuitest.Driver, label, text string) *tuitest.Driver {
	for range 40 {
		if strings.Contains(d.Text(), "▌ "+label) {
			return d.Press("ctrl+u", "end", "ctrl+u").Type(text)
		}
		d.Press("tab")
	}
	return d.Want("▌ " + label)
}

func TestCreateEditUndoDeleteForReal(t *testing.T) {
	d, c := real(t)
	d.Want("There are no users yet.").Press("n").Press("enter").Want("use 1 to 63 of a-z, 0-9")
	fill(d, "Name", "alice")
	fill(d, "Quota", "fifty").Press("enter").Want("✗ write it like 50GB")
	fill(d, "Quota", "50GB")
	fill(d, "Period", "").Press("right", "right", "right")
	fill(d, "Resets on", "32").Press("enter").Want("✗ write a day from 1 to 31")
	fill(d, "Resets on", "15")
	fill(d, "Time zone", "Europe/Berlin")
	fill(d, "After quota", "throttle:1mbit")
	fill(d, "Valid for", "30d")
	fill(d, "Rate down", "20mbit")
	fill(d, "Devices", "2")
	fill(d, "Servers", "").Press("space", "right", "space")
	fill(d, "Tags", "family vip")
	fill(d, "Note", "pays in cash")
	d.Want("= vpn users create alice --quota 50GB --quota-period month --resets-on 15", "throttle:1mbit", "--note 'pays in cash' --server main", "family --tag vip")
	d.Press("enter").Want("alice is created: r shows the QR code", "▌ alice", "on hold", "throttled to 125 kB/s", "month, from 15")
	u := show(t, c, "alice")
	want := vpn.Limits{Quota: 50e9, Period: vpn.Period{Every: "month", ResetsOn: "15", TimeZone: "Europe/Berlin"}, Throttle: 125000, RateDown: 2_500_000, Devices: 2}
	if u.Limits != want || u.ValidFor != 30*24*3600 || u.Note != "pays in cash" || len(u.Tags) != 2 || len(u.AllowedServers) != 1 {
		t.Errorf("alice is %+v", u.User)
	}

	// A change of two things changes these two, and can be taken back.
	d.Press("esc", "e").Want("Edit alice", "throttle:125kB/s")
	fill(d, "Quota", "100GB")
	fill(d, "Tags", "family paid").Want("= vpn users update alice --quota 100GB --add-tag paid --remove-tag vip ").Press("enter").Want("alice is changed", "takes it back")
	v := show(t, c, "alice")
	if want.Quota = 100e9; v.Limits != want || strings.Join(v.Tags, " ") != "family paid" || v.ValidFor != u.ValidFor || !v.HeldSince.Equal(u.HeldSince) {
		t.Errorf("alice is %+v", v.User)
	}
	d.Press("u").Want("alice is as before")
	if v = show(t, c, "alice"); v.Limits != u.Limits || strings.Join(v.Tags, " ") != "family vip" {
		t.Errorf("alice is %+v", v.User)
	}

	// All of it, at once, and back.
	d.Press("esc", "e")
	fill(d, "Period", "").Press("left", "left", "left").Want("none")
	fill(d, "After quota", "cut")
	fill(d, "Valid for", "")
	fill(d, "Rate down", "none")
	fill(d, "Servers", "").Press("space", "right", "space")
	fill(d, "Note", "").Want("= vpn users update alice --quota-period none --after-quota cut --expires ", "never --rate-down none --note '' --all-servers").Press("enter").Want("alice is changed")
	if v = show(t, c, "alice"); v.Limits != (vpn.Limits{Quota: 50e9, Devices: 2}) || v.Note != "" || v.AllowedServers != nil || v.Holds() || !v.ExpiresAt.IsZero() {
		t.Errorf("alice is %+v", v.User)
	}
	d.Press("u").Want("alice is as before")
	if v = show(t, c, "alice"); v.Limits != u.Limits || v.Note != u.Note || len(v.AllowedServers) != 1 || v.ValidFor != u.ValidFor {
		t.Errorf("alice is %+v", v.User)
	}

	// The API's refusals are in the form.
	if _, err := c.Users.Create(t.Context(), vpn.NewUser{Name: "bob"}); err != nil {
		t.Fatal(err)
	}
	d.Press("esc", "e")
	fill(d, "Name", "bob").Press("enter").Want("already exists", "Edit alice").Press("esc", "esc")
	d.Press("e", "enter").Want("nothing is changed").Press("esc")

	link := access(t, c, "alice")
	d.Press("d", "y").Want("alice is deleted", "takes it back").WantNot("▌ alice")
	d.Press("u").Want("alice is back")
	if again := access(t, c, "alice"); again != link {
		t.Errorf("the link is %s, was %s", again, link)
	}
}

func access(t *testing.T, c *client.Client, name string) string {
	t.Helper()
	a, err := c.Users.Access(t.Context(), name)
	if err != nil || len(a) == 0 {
		t.Fatalf("no link: %v", err)
	}
	return a[0].Link
}

func TestManyAreChangedForReal(t *testing.T) {
	end := time.Now().Add(240 * time.Hour).UTC().Truncate(time.Second)
	d, c := real(t, vpn.NewUser{Name: "ann", Tags: []string{"old"}, ExpiresAt: end}, vpn.NewUser{Name: "ben", Limits: vpn.Limits{Devices: 4}}, vpn.NewUser{Name: "cid"})
	d.Press("space").Press("space", "e").Want("Edit 2 users", "ann, ben", "as it is")
	fill(d, "Quota", "5GB")
	fill(d, "Add tags", "new")
	d.Want(`= for u in ann ben; do vpn users update "$u" --quota 5GB --add-tag new; done`).Press("enter").Want("2 users are changed", "u takes it back")
	ann, ben, cid := show(t, c, "ann"), show(t, c, "ben"), show(t, c, "cid")
	if ann.Limits.Quota != 5e9 || ben.Limits.Quota != 5e9 || ben.Limits.Devices != 4 || cid.Limits.Quota != 0 || strings.Join(ann.Tags, " ") != "new old" || !ann.ExpiresAt.Equal(end) {
		t.Errorf("they are %+v, %+v, %+v", ann.User, ben.User, cid.User)
	}
	d.Press("u").Want("2 users are as before")
	if ann, ben = show(t, c, "ann"), show(t, c, "ben"); ann.Limits.Quota != 0 || ben.Limits.Quota != 0 || len(ben.Tags) != 0 || strings.Join(ann.Tags, " ") != "old" {
		t.Errorf("they are %+v, %+v", ann.User, ben.User)
	}
	d.Press("esc", "e").Want("Edit 2 users")
	fill(d, "Remove tags", "older").Want("some of them have: old").Press("enter").Want("✗ none of them has the tag older")
	fill(d, "Add tags", "vip")
	fill(d, "Remove tags", "old").Want("--add-tag vip --remove-tag old;").Press("enter").Want("2 users are changed")
	if ann, ben = show(t, c, "ann"), show(t, c, "ben"); strings.Join(ann.Tags, " ") != "vip" || strings.Join(ben.Tags, " ") != "vip" {
		t.Errorf("their tags are %v, %v", ann.Tags, ben.Tags)
	}
	d.Press("u").Want("2 users are as before")
	if ann, ben = show(t, c, "ann"), show(t, c, "ben"); strings.Join(ann.Tags, " ") != "old" || len(ben.Tags) != 0 {
		t.Errorf("their tags are %v, %v", ann.Tags, ben.Tags)
	}
	d.Press("esc", "E").Want("Extend ann by 30 days?", "1 more of the marked never expire").Press("y")
	if ann = show(t, c, "ann"); !ann.ExpiresAt.Equal(end.AddDate(0, 0, 30)) {
		t.Errorf("ann expires %v, was %v", ann.ExpiresAt, end)
	}
	d.Press("t").Want("Disable 2 users?").Press("y").Want("2 users are disabled")
	if ann = show(t, c, "ann"); ann.Enabled {
		t.Error("ann is enabled")
	}
	d.Press("t").Want("Enable 2 users?").Press("y").Want("2 users are enabled")
	if ann = show(t, c, "ann"); !ann.Enabled {
		t.Error("ann is disabled")
	}
}

func TestDevicesAndKeysForReal(t *testing.T) {
	d, c := real(t, vpn.NewUser{Name: "ann"})
	d.Press("D", "enter").Type("phone").Press("enter").Want("device phone of ann is added", "ss://").Press("esc", "esc")
	list, err := c.Devices.List(t.Context(), "ann")
	if err != nil || len(list) != 1 || list[0].Name != "phone" || len(list[0].Servers) != 2 {
		t.Fatalf("the devices are %+v, %v", list, err)
	}
	old := access(t, c, "ann")
	d.Press("R", "left").Want("end at once").Press("enter").Want("made anew", "ss://").Press("esc", "esc")
	if access(t, c, "ann") == old {
		t.Error("the link is the old one")
	}
	d.Press("y").Type("main").Press("down", "enter")
	if !strings.HasPrefix(d.Clipboard, "ss://") {
		t.Errorf("the clipboard has %q", d.Clipboard)
	}
	d.Press("esc", "Z", "y").Want("what ann used is reset").Press("esc")
	d.Press("D", "down", "enter").Type("remove").Press("enter", "y").Want("device phone of ann is removed")
	if list, err = c.Devices.List(t.Context(), "ann"); err != nil || len(list) != 0 {
		t.Errorf("the devices are %+v, %v", list, err)
	}
}
