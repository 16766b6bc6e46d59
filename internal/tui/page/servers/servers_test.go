package servers_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"

	"vpn/internal/protocol/all"
	"vpn/internal/tui"
	"vpn/internal/tui/feed"
	"vpn/internal/tui/key"
	"vpn/internal/tui/page"
	"vpn/internal/tui/page/servers"
	"vpn/internal/tui/tuitest"
	"vpn/internal/vpn"
)

// fleet is the usual one, and more is known of its servers.
type fleet struct {
	tuitest.Fleet
	none  bool                     // there is no server
	alter func(s []vpn.ServerInfo) // the last touch
}

func (f *fleet) Status(ctx context.Context) (vpn.Status, error) {
	s, err := f.Fleet.Status(ctx)
	if err != nil {
		return s, err
	}
	busy := 3.4
	for i := range s.Servers {
		srv := &s.Servers[i]
		switch srv.Name {
		case "main":
			srv.Settings = []byte(`{"target":"www.example.com:443","server_names":["www.example.com"],"short_ids":["0a1b","2c3d4e5f"],"fingerprint":"chrome"}`)
			srv.PublicHost = "vpn.example.org"
			srv.Worker.CPU = &busy
		case "tunnel":
			srv.Settings = []byte(`{"subnet":"10.7.0.0/16","dns":["1.1.1.1","9.9.9.9"],"carrier":"auto"}`)
			srv.Worker.Carrier, srv.Worker.Why, srv.Worker.Restarts = "userspace", "a TUN device takes CAP_NET_ADMIN", 2
		}
	}
	if f.none {
		s.Servers = nil
	}
	if f.alter != nil {
		f.alter(s.Servers)
	}
	return s, nil
}

// api answers with the fleet's servers, and keeps what it was asked for.
type api struct {
	fleet *fleet
	dry   bool
	err   error
	asked []string
	in    vpn.NewServer
	patch vpn.ServerPatch
	after vpn.ServerEffects
}

func (a *api) find(name string) vpn.ServerInfo {
	s, _ := a.fleet.Status(context.Background())
	for _, srv := range s.Servers {
		if srv.Name == name {
			return srv
		}
	}
	return vpn.ServerInfo{}
}

func (a *api) Show(_ context.Context, server string) (vpn.ServerDetail, error) {
	d := vpn.ServerDetail{ServerInfo: a.find(server)}
	if server == "tunnel" {
		d.Warnings = []string{"IP forwarding is off: sysctl -w net.ipv4.ip_forward=1"}
	}
	return d, nil
}

func (a *api) did(what, server string) (vpn.ServerChange, error) {
	a.asked = append(a.asked, what+" "+server)
	return vpn.ServerChange{Server: a.find(server), Synced: true, DryRun: a.dry}, a.err
}

func (a *api) Create(_ context.Context, in vpn.NewServer) (vpn.ServerChange, error) {
	a.in = in
	return a.did("create", in.Name)
}

func (a *api) Update(_ context.Context, server string, p vpn.ServerPatch) (vpn.ServerChange, error) {
	a.patch = p
	c, err := a.did("update", server)
	c.Effects = &a.after
	return c, err
}

func (a *api) Start(_ context.Context, s string) (vpn.ServerChange, error) { return a.did("start", s) }

func (a *api) Stop(_ context.Context, s string) (vpn.ServerChange, error) { return a.did("stop", s) }

func (a *api) Restart(_ context.Context, s string) (vpn.ServerChange, error) {
	return a.did("restart", s)
}

func (a *api) Delete(_ context.Context, s string) (vpn.ServerChange, error) {
	return a.did("delete", s)
}

type tester func() (string, error)

func (t tester) Test(context.Context, vpn.ServerInfo) (string, error) { return t() }

func options(a *api) servers.Options {
	return servers.Options{
		API: a, Dry: &api{fleet: a.fleet, dry: true, after: a.after, err: a.err}, Protocols: all.Protocols().All(),
		Tester: tester(func() (string, error) { return "answers at vpn.example.org:443 in 1.2 ms over TCP", nil }),
		Read: func(string) (string, error) {
			return "", vpn.Errorf(vpn.Invalid, "open cert.pem: no such file or directory")
		},
	}
}

// screen is the UI with this screen alone.
func screen(o tui.Options, f feed.Source, so servers.Options) *tui.App {
	o.Source = f
	return tuitest.Alone(o, key.Servers, func(f page.Frame) page.Page { return servers.New(f, so) })
}

// drive opens the screen over the fleet.
func drive(t *testing.T, w, h int, a *api) *tuitest.Driver {
	t.Helper()
	o, _ := tuitest.Options(t)
	return tuitest.Drive(t, screen(o, a.fleet, options(a)), w, h).Press("3")
}

func newAPI() *api {
	return &api{fleet: &fleet{Fleet: tuitest.Fleet{N: 40}}, after: vpn.ServerEffects{Links: vpn.LinksSame}}
}

func TestPictures(t *testing.T) {
	replaced := func() *api {
		a := newAPI()
		a.after = vpn.ServerEffects{Links: vpn.LinksReplaced, Drops: true}
		return a
	}
	empty := func() *api {
		a := newAPI()
		a.fleet.none = true
		return a
	}
	// After a render it is known whether a server stands beside the list.
	for name, p := range map[string]struct {
		keys []string
		api  func() *api
	}{
		"list":    {[]string{"3", "down", "up"}, newAPI},
		"detail":  {[]string{"3", "enter", "2", "3"}, newAPI},
		"failed":  {[]string{"3", "down", "enter", "2", "3"}, newAPI},
		"tunnel":  {[]string{"3", "down", "down", "enter", "2", "3"}, newAPI},
		"filter":  {[]string{"3", "/", "o", "u", "t"}, newAPI},
		"empty":   {[]string{"3"}, empty},
		"pick":    {[]string{"3", "n"}, newAPI},
		"create":  {[]string{"3", "n", "enter"}, newAPI},
		"edit":    {[]string{"3", "e"}, newAPI},
		"confirm": {[]string{"3", "e", "tab", "8", "enter"}, replaced},
		"stop":    {[]string{"3", "t"}, newAPI},
		"delete":  {[]string{"3", "d"}, newAPI},
		"menu":    {[]string{"3", "x"}, newAPI},
	} {
		t.Run(name, func(t *testing.T) {
			tuitest.Pictures(t, p.keys, func(o tui.Options) tea.Model {
				a := p.api()
				return screen(o, a.fleet, options(a))
			})
		})
	}
}

func TestLoading(t *testing.T) {
	tuitest.Loading(t, []string{"3"}, func(o tui.Options) *tui.App {
		a := newAPI()
		return screen(o, a.fleet, options(a))
	})
}

func TestListAndDetail(t *testing.T) {
	d := drive(t, 120, 40, newAPI())
	d.Want("main", "● running", "✗ failed", "○ stopped", "3.4%", "target", "www.example.com:443", "0a1b, 2c3d4e5f", "pid 1443, uid 471000", "2 d 2 h")
	d.Press("j").Want("port 8388 is in use by", "another program", "e gives it another port")
	d.Press("j").Want("userspace: a TUN device", "restarts", "IP forwarding is off")
	// A narrow terminal shows one at a time.
	d.Size(80, 24).Want("SERVER", "PROTOCOL").WantNot("uid 471000")
	d.Press("enter").Want("uid 471000").WantNot("SERVER").Press("esc").Want("SERVER")
	d.Press("G", "enter").Want("web", "stopped").Press("esc", "g", "enter").Want("main", "running")
}

func TestFilterAndSort(t *testing.T) {
	d := drive(t, 100, 30, newAPI())
	d.Press("/").Type("is:fail").Want("outline", "1 of 4").WantNot("tunnel")
	d.Press("esc").Want("tunnel").Press("/").Type("proto:vless !main").Want("no server matches").Press("esc").Want("outline")
	d.Press("/").Type("port:8080").Press("enter").Want("web").WantNot("outline").Press("esc").Want("outline")
	d.Press("s").Want("STATE↑")
	if rows := strings.Split(d.Text(), "\n"); !strings.Contains(rows[3], "outline") {
		t.Errorf("what has failed is not the first:\n%s", d.Text())
	}
	d.ClickOn("PORT", tea.MouseLeft).Want("PORT↑").ClickOn("PORT", tea.MouseLeft).Want("PORT↓")
}

// The menu is of the row that was clicked, and of no other.
func TestMenu(t *testing.T) {
	a := newAPI()
	d := drive(t, 100, 30, a).ClickOn("tunnel", tea.MouseRight).Want("▌ tunnel", "Its logs").Press("R").Want("Restart server tunnel?").Press("esc")
	d.ClickOn("PORT", tea.MouseRight).WantNot("Its logs", "PORT↑").Click(10, 20, tea.MouseRight).WantNot("Its logs")
	d.Press("/").Type("web").Press("enter").ClickOn("web  ", tea.MouseRight).ClickOn("Delete…", tea.MouseLeft).Want("Delete server web?").Press("esc")
	d.ClickOn("/ web", tea.MouseRight).WantNot("Its logs").Press("esc")
	d.Press("g", "enter").ClickOn("uid 471000", tea.MouseRight).Want("Its logs").Press("t").Want("Stop server main?").Press("esc")
	d.Press("x").Want("Its logs").Press("esc", "esc", "/").Type("none").Press("enter", "x").Want("there is no row under the cursor")
}

func TestStartAndStop(t *testing.T) {
	a := newAPI()
	d := drive(t, 100, 30, a)
	d.Press("t").Want("Stop server main?", "It ends 240 connections.", "= vpn server stop main", "▸ Cancel").Press("enter").WantNot("Stop server")
	if len(a.asked) != 0 {
		t.Fatalf("enter has done %v", a.asked)
	}
	d.Press("t", "y").Want("main is stopped, u takes it back").Press("u")
	d.Press("G", "t").Want("web") // stopped: it is started without a question
	d.Press("g", "space", "G", "space", "R").Want("Restart 2 servers: main, web?", "= vpn server restart main; vpn server restart web").Press("y")
	want := "stop main|start main|start web|restart main|restart web"
	if got := strings.Join(a.asked, "|"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestAServerThatDoesNotStart(t *testing.T) {
	a := newAPI()
	a.fleet.alter = func(s []vpn.ServerInfo) { s[1].Enabled = false }
	drive(t, 100, 30, a).Press("j", "t").Want("outline is to run, and does not yet", "port 8388 is in use")
}

func TestRefusals(t *testing.T) {
	a := newAPI()
	a.err = vpn.Errorf(vpn.Denied, "you may not").WithHint("ask root")
	drive(t, 100, 30, a).Press("t", "y").Want("you may not", "hint: ask root")
	// One that names a field stands beside it, and the form stays.
	a.err = vpn.Errorf(vpn.Conflict, "port 443 is in use by another program").WithHint("choose another")
	d := drive(t, 100, 30, a).Press("n", "enter", "tab").Type("443").Press("enter")
	rows := strings.Split(d.Want("✗ port 443 is in use", "hint: choose another", "New vless server").Text(), "\n")
	for i, r := range rows {
		if strings.Contains(r, "  port") && !strings.Contains(rows[i+1], "✗ port 443 is in use") {
			t.Errorf("the fault is not beside its field:\n%s", strings.Join(rows, "\n"))
		}
	}
}

func TestDeleteByName(t *testing.T) {
	a := newAPI()
	d := drive(t, 100, 30, a).Press("d").Want("Delete server main?", "40 users", "240 connections", "Type main to go on", "= vpn server delete main")
	d.Press("enter").Want("that is not its name").Type("mai").Press("enter").Want("that is not its name")
	if len(a.asked) != 0 {
		t.Fatalf("it has done %v", a.asked)
	}
	d.Type("n").Press("enter").Want("main is deleted").WantNot("takes it back")
	if got := strings.Join(a.asked, "|"); got != "delete main" {
		t.Errorf("got %s", got)
	}
}

func TestWays(t *testing.T) {
	d := drive(t, 100, 30, newAPI())
	d.Press("L").Want("Logs shows server:main").Press("esc", "w").Want("Monitor shows server:main").Press("esc")
	d.Press("T").Want("main answers at vpn.example.org:443 in 1.2 ms over TCP").Press("enter").Want("✓ answers at")
}

func TestTestThatFails(t *testing.T) {
	a := newAPI()
	o, _ := tuitest.Options(t)
	so := options(a)
	so.Tester = tester(func() (string, error) { return "", vpn.Errorf(vpn.Unavailable, "nothing answers").WithHint("look") })
	tuitest.Drive(t, screen(o, a.fleet, so), 100, 30).Press("3", "T").Want("main: nothing answers", "hint: look")
}

func TestFileThatIsNotThere(t *testing.T) {
	d := drive(t, 100, 44, newAPI()).Press("n").Type("http").Press("enter")
	d.Want("New http server", "tls cert")
	for range 13 {
		d.Press("tab")
	}
	d.Type("cert.pem").Want("--tls-cert cert.pem").Press("enter").Want("tls cert: open cert.pem: no such file or directory")
}

func TestShow(t *testing.T) {
	a := newAPI()
	o, _ := tuitest.Options(t)
	app := screen(o, a.fleet, options(a))
	d := tuitest.Drive(t, app, 120, 30)
	d.Press(":").Type("go server tunnel").Press("enter").Want("10.7.0.0/16")
}

func TestSizes(t *testing.T) {
	hostile := newAPI()
	hostile.fleet.alter = func(s []vpn.ServerInfo) {
		s[0].Name = "\x1b[31mred\x1b]0;title\a" + strings.Repeat("x", 200)
		s[0].Endpoint = strings.Repeat("漢字", 60) + "\u202eevil"
		s[1].Problem = "\x1b[2J" + strings.Repeat("مرحبا ", 40)
	}
	for _, a := range []*api{newAPI(), hostile, {fleet: &fleet{none: true}}} {
		for _, keys := range [][]string{{"3", "enter"}, {"3", "j", "enter"}, {"3", "n"}, {"3", "n", "enter"}, {"3", "e"}, {"3", "t"}, {"3", "d"}, {"3", "+", "/"}} {
			o, _ := tuitest.Options(t)
			d := tuitest.Drive(t, screen(o, a.fleet, options(a)), 120, 40).Press(keys...).Size(1, 1).Fits()
			for w := 2; w <= 200; w += 29 {
				for h := 4; h <= 70; h += 14 {
					d.Size(w, h).Fits()
				}
			}
			if strings.ContainsAny(d.Text(), "\x1b\a\u202e") {
				t.Error("control characters reached the screen")
			}
		}
	}
}

// An error of a server's own page is told there, and the rest goes on.
func TestDetailThatFails(t *testing.T) {
	a := newAPI()
	o, _ := tuitest.Options(t)
	so := options(a)
	so.API = broken{a}
	tuitest.Drive(t, screen(o, a.fleet, so), 100, 60).Press("3", "enter").Want("is not known: the worker is away", "target")
}

type broken struct{ *api }

func (broken) Show(context.Context, string) (vpn.ServerDetail, error) {
	return vpn.ServerDetail{}, errors.New("the worker is away")
}

func TestASCII(t *testing.T) {
	tuitest.ASCII(t, func(o tui.Options) tea.Model {
		a := newAPI()
		return screen(o, a.fleet, options(a))
	}, []string{"3"}, []string{"3", "enter"}, []string{"3", "space", "x"}, []string{"3", "n"}, []string{"3", "n", "enter"}, []string{"3", "d"}, []string{"3", "t"})
}
