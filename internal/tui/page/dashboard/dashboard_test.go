package dashboard_test

import (
	"context"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"vpn/internal/tui"
	"vpn/internal/tui/feed"
	"vpn/internal/tui/key"
	"vpn/internal/tui/page"
	"vpn/internal/tui/page/dashboard"
	"vpn/internal/tui/tuitest"
	"vpn/internal/vpn"
)

// fleet is the usual one, with a last touch.
type fleet struct {
	tuitest.Fleet
	status func(*vpn.Status)
	users  func([]vpn.UserInfo) []vpn.UserInfo
	host   error
}

func (f *fleet) Status(ctx context.Context) (vpn.Status, error) {
	s, err := f.Fleet.Status(ctx)
	if f.users != nil {
		users, _ := f.Fleet.Users(ctx)
		tuitest.Count(&s, f.users(users))
	}
	if f.status != nil {
		f.status(&s)
	}
	return s, err
}

func (f *fleet) Host(ctx context.Context) (vpn.Host, error) {
	if f.host != nil {
		return vpn.Host{}, f.host
	}
	return f.Fleet.Host(ctx)
}

func screen(o tui.Options, f feed.Source) *tui.App {
	o.Source = f
	return tuitest.Alone(o, key.Dashboard, func(f page.Frame) page.Page { return dashboard.New(f) })
}

func drive(t *testing.T, w, h int, f *fleet) (*tuitest.Driver, *tuitest.Clock) {
	t.Helper()
	o, clock := tuitest.Options(t)
	return tuitest.Drive(t, screen(o, f), w, h), clock
}

func fresh(s *vpn.Status) { s.Servers, s.Users, s.Warnings = nil, nil, nil }

// well is an installation of which nothing needs anybody.
func well() *fleet {
	return &fleet{
		status: func(s *vpn.Status) { s.Servers, s.Warnings = s.Servers[:1], nil; s.Users[vpn.Active] = 3 },
		users:  func([]vpn.UserInfo) []vpn.UserInfo { return nil },
		host:   vpn.Errorf(vpn.NotFound, "this system does not tell"),
	}
}

func TestPictures(t *testing.T) {
	for name, p := range map[string]struct {
		keys []string
		f    *fleet
	}{
		"many":     {nil, &fleet{Fleet: tuitest.Fleet{N: 400}}},
		"well":     {nil, well()},
		"fresh":    {nil, &fleet{status: fresh}},
		"expanded": {[]string{"!", "+"}, &fleet{Fleet: tuitest.Fleet{N: 40}}},
	} {
		t.Run(name, func(t *testing.T) {
			tuitest.Pictures(t, p.keys, func(o tui.Options) tea.Model { return screen(o, p.f) })
		})
	}
}

func TestLoading(t *testing.T) {
	tuitest.Loading(t, nil, func(o tui.Options) *tui.App { return screen(o, &fleet{}) })
}

func TestWhatIsShown(t *testing.T) {
	d, _ := drive(t, 120, 40, &fleet{Fleet: tuitest.Fleet{N: 400}})
	d.Want("active", "limited", "expired", "disabled", "CPU", "31%", "MEM", "44%", "DISK", "90%", "up 12 d", "load 0.42", "2/3 up",
		"● main", "240 on", "✗ outline", "failed: port 8388 is in use", "○ web", "last 2 min", "↓ 61.8 MB/s", "Top users now", "bob-0001")
}

func TestNeedsYou(t *testing.T) {
	// Two users near an end, each by name; a server that goes down and comes back.
	f := &fleet{Fleet: tuitest.Fleet{N: 2}}
	down, start := false, tuitest.Now()
	f.status = func(s *vpn.Status) {
		s.Servers, s.Warnings = s.Servers[:1], []string{"server main still runs version 0.9.0", "the clock has jumped", "its address is private. Set it: vpn server update main --public-host HOST"}
		if s.Servers[0].Since = start; down {
			s.Servers[0].Since = start.Add(time.Second)
			s.Servers[0].State, s.Servers[0].Problem, s.Servers[0].Worker = vpn.Failed, "its worker was killed", nil
			s.Warnings = append(s.Warnings, "server main is failed: its worker was killed")
		}
	}
	f.users = func(u []vpn.UserInfo) []vpn.UserInfo {
		for i := range u {
			u[i].Status, u[i].Limits.Quota, u[i].Used, u[i].ExpiresAt = vpn.Active, 0, vpn.Traffic{}, time.Time{}
		}
		u[0].ExpiresAt = tuitest.Now().Add(50 * time.Hour)
		u[1].Limits.Quota, u[1].Used = 100e9, vpn.Traffic{Down: 97e9}
		return u
	}
	d, clock := drive(t, 120, 40, f)
	d.Want("alice-0000 expires in 2 d", "bob-0001 has used 97% of 100 GB", "still runs version 0.9.0", "the clock has jumped", "main: its address is private", "the disk is 90% full").WantNot("is down")

	down = true
	d.Later(clock, time.Second).Want("✗ server main is down: its worker was killed", "for 0 s").WantNot("main is failed")
	d.Later(clock, 3*time.Minute).Want("for 3 min")

	// Each leads to where something can be done about it.
	d.Press("!", "enter").Want("Servers shows main").Press("esc")
	d.Press("j", "j", "enter").Want("Users shows alice-0000").Press("esc")
	d.ClickOn("bob-0001 has used", tea.MouseLeft).Want("Users shows bob-0001").Press("esc")
	d.ClickOn("main: its address", tea.MouseLeft).Want("Servers shows main").Press("esc")
	d.ClickOn("the clock has jumped", tea.MouseLeft).Want("Needs you", "esc close").Press("esc")

	down = false
	d.Later(clock, time.Second).WantNot("is down")
}

// Of a server that was down before one looked, the daemon knows since when.
func TestDownBefore(t *testing.T) {
	d, clock := drive(t, 120, 40, &fleet{Fleet: tuitest.Fleet{N: 2}})
	d.Want("server outline is down", "use by another program for 3 min")
	d.Later(clock, 2*time.Minute).Want("for 5 min")
}

func TestManyAreCounted(t *testing.T) {
	f := &fleet{Fleet: tuitest.Fleet{N: 400}}
	f.users = func(u []vpn.UserInfo) []vpn.UserInfo {
		for i := range u {
			u[i].Status, u[i].Limits.Quota = vpn.Active, 0
			u[i].ExpiresAt = tuitest.Now().Add(time.Duration(i+1) * 24 * time.Hour)
		}
		return u
	}
	d, _ := drive(t, 160, 40, f)
	d.Want("6 users expire within 7 days; first alice-0000", "6 expiring <7d").ClickOn("6 users expire", tea.MouseLeft).Want("Users shows /expires:<7d is:active")
}

func TestSyncingIsToldWhenItLasts(t *testing.T) {
	f := well()
	status := f.status
	f.status = func(s *vpn.Status) {
		status(s)
		s.Servers[0].State = vpn.Syncing
	}
	d, clock := drive(t, 120, 40, f)
	d.WantNot("behind the store").Later(clock, 6*time.Second).Want("server main is behind the store")
}

func TestPanes(t *testing.T) {
	d, _ := drive(t, 120, 40, &fleet{Fleet: tuitest.Fleet{N: 40}})
	d.Want("▸ Servers").Press("tab").Want("▸ Needs you").Press("tab").Want("▸ Users").Press("shift+tab", "shift+tab").Want("▸ Servers")
	d.Press("j", "enter").Want("Servers shows outline").Press("esc")
	d.Press("tab", "tab", "tab", "tab", "j", "enter").Want("Users shows").Press("esc")
	d.Press("!", "+").Want("▸ Needs you").WantNot("This host").Press("esc").Want("This host")
	d.Press("tab", "enter").Want("Users shows").Press("esc")
	d.Press("tab", "enter").Want("Monitor shows")
}

// Each row has the actions that are for it, by the key and by the right button.
func TestMenus(t *testing.T) {
	d, _ := drive(t, 120, 40, &fleet{Fleet: tuitest.Fleet{N: 40}})
	d.Press("j", "x").Want("▌ Its traffic", "Its logs", "Open").Press("L").Want("Logs shows server:outline").Press("esc")
	d.ClickOn("tunnel  ", tea.MouseRight).Want("Its traffic", "Its logs").Press("w").Want("Monitor shows server:tunnel").Press("esc")
	d.ClickOn("bob-0001", tea.MouseRight).Want("Its traffic", "Open").WantNot("Its logs").ClickOn("Its traffic", tea.MouseLeft).Want("Monitor shows user:bob-0001").Press("esc")
	d.ClickOn("the disk is", tea.MouseRight).Want("▌ Open").WantNot("Its traffic", "Its logs").Press("enter").Want("Monitor shows").Press("esc")
	// Where there is no row there is no menu, and the other button does nothing.
	d.ClickOn("online now", tea.MouseRight).WantNot("Its traffic", "Users shows").Press("x").Want("there is no row under the cursor").Press("esc")
	d.ClickOn("last 2 min", tea.MouseRight).WantNot("Its traffic")
	// What has no row of its own is about all.
	d.Press("w").Want("Monitor shows").Press("esc", "L").Want("Logs shows")
}

func TestFreshInstallation(t *testing.T) {
	d, _ := drive(t, 80, 24, &fleet{status: fresh})
	d.Want("Nobody can connect yet", "3 then n", "2 then n", "= vpn server create", "= vpn users create NAME")
	d.Press("enter").Want("Servers shows")
	// With a server and nobody to use it, that is what is missing.
	d, _ = drive(t, 80, 24, &fleet{status: func(s *vpn.Status) { s.Users = nil }})
	d.Want("there is no user yet")
}

// A small window says what needs somebody, first of all.
func TestSmallWindow(t *testing.T) {
	d, _ := drive(t, 60, 18, &fleet{Fleet: tuitest.Fleet{N: 400}})
	d.Want("server outline is down", "Needs you", "Servers", "main", "Users", "Traffic", "CPU", "MEM", "DISK")
}

func TestSizes(t *testing.T) {
	hostile := &fleet{Fleet: tuitest.Fleet{N: 20}, status: func(s *vpn.Status) {
		s.Servers[0].Name = "\x1b[31mred\x1b]0;title\a" + strings.Repeat("x", 200)
		s.Servers[1].Problem = "\x1b[2J" + strings.Repeat("مرحبا ", 40)
		s.Warnings = []string{strings.Repeat("漢字", 100) + "\u202eevil\x1b[0m"}
	}}
	for _, f := range []*fleet{{Fleet: tuitest.Fleet{N: 400}}, hostile, well(), {status: fresh}} {
		for _, keys := range [][]string{{"!"}, {"+"}} {
			o, _ := tuitest.Options(t)
			d := tuitest.Drive(t, screen(o, f), 120, 40).Press(keys...)
			for w := 1; w <= 200; w += 17 {
				for h := 1; h <= 70; h += 9 {
					d.Size(w, h).Fits()
				}
			}
			if strings.ContainsAny(d.Text(), "\x1b\a\u202e") {
				t.Error("control characters reached the screen")
			}
		}
	}
}

// ready has its answers at hand, so that what is measured is the screen.
type ready struct {
	feed.Source
	status vpn.Status
}

func (r ready) Status(context.Context) (vpn.Status, error) { return r.status, nil }

// BenchmarkTick is a tick with 10,000 users, and its frame.
func BenchmarkTick(b *testing.B) {
	o, clock := tuitest.Options(b)
	f := &tuitest.Fleet{N: 10_000}
	r := ready{Source: f}
	r.status, _ = f.Status(b.Context())
	d := tuitest.Drive(b, screen(o, r), 120, 40)
	for b.Loop() {
		d.Later(clock, time.Second).Fits()
	}
}

// BenchmarkFrame is a frame alone.
func BenchmarkFrame(b *testing.B) {
	o, _ := tuitest.Options(b)
	d := tuitest.Drive(b, screen(o, &fleet{Fleet: tuitest.Fleet{N: 10_000}}), 120, 40)
	for b.Loop() {
		d.Press("j").Fits()
	}
}

func TestASCII(t *testing.T) {
	tuitest.ASCII(t, func(o tui.Options) tea.Model { return screen(o, &fleet{Fleet: tuitest.Fleet{N: 400}}) }, nil, []string{"!", "+"})
}
