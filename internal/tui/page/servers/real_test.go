package servers_test

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"vpn/internal/client"
	"vpn/internal/daemon"
	"vpn/internal/protocol/all"
	"vpn/internal/tui/page/servers"
	"vpn/internal/tui/tuitest"
	"vpn/internal/vpn"
)

// source asks a real control plane.
type source struct{ *client.Client }

func (s source) Status(ctx context.Context) (vpn.Status, error) { return s.System.Status(ctx) }

func (s source) Online(ctx context.Context) ([]vpn.UserInfo, error) {
	return tuitest.Online(s.Users(ctx))
}

func (s source) Users(ctx context.Context) ([]vpn.UserInfo, error) {
	return s.Client.Users.List(ctx, vpn.UserFilter{})
}

func (s source) Sessions(ctx context.Context) ([]vpn.Session, error) {
	return s.Usage.Sessions(ctx, vpn.SessionFilter{})
}
func (source) Host(context.Context) (vpn.Host, error) { return vpn.Host{}, nil }
func (source) Rates(context.Context, vpn.RatesQuery) (vpn.Rates, error) {
	return vpn.Rates{}, nil
}

// plane is a control plane with a store of its own. It starts no workers.
func plane(t *testing.T) (*client.Client, *tuitest.Driver) {
	t.Helper()
	t.Setenv("TMPDIR", t.TempDir())
	l, err := daemon.OpenNothing(t.Context(), daemon.Options{Log: slog.New(slog.DiscardHandler), Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	c := client.InProcess(l.Handler())
	o, _ := tuitest.Options(t)
	none := tester(func() (string, error) { return "", vpn.Errorf(vpn.Unavailable, "nothing answers") })
	so := servers.Options{Tester: none, API: c.Servers, Dry: c.DryRun().Servers, Protocols: all.Protocols().All(), Read: func(path string) (string, error) {
		b, err := os.ReadFile(path)
		return string(b), err
	}}
	return c, tuitest.Drive(t, screen(o, source{c}, so), 120, 44).Press("3")
}

// freePort returns a port on which nothing listens.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// A person makes a server, changes it, takes that back, starts it and deletes
// it, and the control plane follows.
func TestAServersLife(t *testing.T) {
	c, d := plane(t)
	show := func() vpn.ServerInfo {
		t.Helper()
		s, err := c.Servers.Show(t.Context(), "paris")
		if err != nil {
			t.Fatal(err)
		}
		return s.ServerInfo
	}
	port := freePort(t)
	d.Want("There is no server yet.")
	d.Press("n").Want("vless", "recommended", "wireguard").Press("enter").Want("New vless server")
	d.Type("paris").Press("tab").Type(port).Press("tab").Type("vpn.example.org").Press("tab", "tab").Type("self")
	d.Want("= vpn server create paris --port "+port+" --public-host vpn.example.org", "│  --target self")
	d.Press("enter").Want("paris", port, "self", "vpn.example.org:"+port).WantNot("New vless server")
	s := show()
	if strconv.Itoa(int(s.Port)) != port || s.PublicHost != "vpn.example.org" || !strings.Contains(string(s.Settings), `"self"`) {
		t.Errorf("got %+v, %s", s.Server, s.Settings)
	}

	// What is wrong stands in the form, and nothing is changed.
	d.Press("e").Want("Edit server paris")
	for range 6 { // to the short ids
		d.Press("tab")
	}
	d.Press("ctrl+u").Type("xyz").Press("enter").Want("short id", "is not valid", "Edit server paris").Press("ctrl+u").Type("0a1b, 2c3d")
	d.Want("--short-id 0a1b --short-id 2c3d")
	d.Press("enter").Want("Save the changes to server paris?", "links that clients have work no more", "vpn server update paris --short-id 0a1b --short-id 2c3d")
	before := string(s.Settings)
	if now := string(show().Settings); now != before {
		t.Fatalf("the question has changed it: %s", now)
	}
	d.Press("enter").Want("Edit server paris") // no: the form is there, as it was written
	d.Press("enter", "y").Want("paris is changed").WantNot("Edit server")
	if now := string(show().Settings); !strings.Contains(now, `"short_ids":["0a1b","2c3d"]`) {
		t.Fatalf("it was not changed: %s", now)
	}
	d.Press("u")
	if now := string(show().Settings); now != before {
		t.Errorf("it was not taken back:\n%s\n%s", now, before)
	}

	// A new name, no change of links, and a private network.
	d.Press("e", "ctrl+u").Type("rome").Press("shift+tab", "shift+tab").Type("10.1.0.0/16").Press("enter").Want("Links look different", "Live connections go on")
	d.Press("y").Want("rome is changed", "rome")
	if list, _ := c.Servers.List(t.Context()); len(list) != 1 || list[0].Name != "rome" || len(list[0].Allow) != 1 || list[0].Allow[0] != netip.MustParsePrefix("10.1.0.0/16") {
		t.Errorf("got %+v", list)
	}
	d.Press("e", "enter").Want("nothing was changed").Press("esc").WantNot("Edit server")

	d.Press("t").Want("Stop server rome?").Press("y").Want("rome is stopped", "○ stopped").Press("t").Want("rome is to run, and will as soon as there is a daemon")
	d.Press("T").Want("rome: ") // there is no worker
	d.Press("d").Type("rome").Press("enter").Want("rome is deleted", "There is no server yet.")
	if list, _ := c.Servers.List(t.Context()); len(list) != 0 {
		t.Errorf("it is still there: %+v", list)
	}
}

// Each protocol can be made with nothing but a name, and shows its settings.
func TestEachProtocolIsMade(t *testing.T) {
	for _, p := range all.Protocols().All() {
		t.Run(string(p.Name()), func(t *testing.T) {
			c, d := plane(t)
			d.Press("n").Type(string(p.Name())).Press("enter").Want("New " + string(p.Name()) + " server").Type("one")
			if p.Name() == "vless" { // whose target would be looked for in the internet
				d.Press("tab", "tab", "tab", "tab").Type("self")
			}
			d.Press("enter").Want("one is", "one").WantNot("New " + string(p.Name()))
			s, err := c.Servers.Show(t.Context(), "one")
			if err != nil || s.Protocol != p.Name() {
				t.Fatalf("got %+v, %v", s, err)
			}
			d.Press("e").Want("Edit server one", p.Fields()[0].Flag()[:4])
			// As it was made it is no change.
			d.Press("enter").Want("nothing was changed")
		})
	}
}

// A certificate is read from a person's own file.
func TestFileOfAPersonsOwn(t *testing.T) {
	c, d := plane(t)
	file := filepath.Join(t.TempDir(), "c.pem")
	if err := os.WriteFile(file, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	d.Press("n").Type("http").Press("enter").Type("web")
	for range 13 {
		d.Press("tab")
	}
	d.Type(file).Press("enter").Want("New http server", "✗")
	if list, _ := c.Servers.List(t.Context()); len(list) != 0 {
		t.Errorf("half of it was done: %+v", list)
	}
}

// A server in a container is refused in the form where there is no engine.
func TestServerInAContainer(t *testing.T) {
	t.Setenv("DOCKER_HOST", "unix://"+t.TempDir()+"/nowhere.sock")
	c, d := plane(t)
	d.Press("n", "enter").Want("New vless server").Type("box").Press("shift+tab", "shift+tab", "shift+tab").Want("runtime", "default is as configured")
	d.Press("right", "right").Want("= vpn server create box --runtime docker")
	d.Press("shift+tab").Press("enter").Want("New vless server", "no Docker engine")
	if list, err := c.Servers.List(t.Context()); err != nil || len(list) > 0 {
		t.Errorf("there are %v, %v", list, err)
	}
}
