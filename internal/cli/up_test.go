package cli

import (
	"encoding/json"
	"strings"
	"testing"

	"vpn/internal/client"
	"vpn/internal/vpn"
)

// welcome runs what "vpn up" does once a control plane answers.
func (r *runner) welcome(t *testing.T, already bool, args ...string) result {
	t.Helper()
	var out, errs strings.Builder
	p := newProgram(IO{
		Out: &out, Err: &errs, Getenv: func(k string) string { return r.env[k] }, Now: r.now,
		InTerminal: r.tty, OutTerminal: r.tty, ErrTerminal: r.tty, Width: r.width,
	})
	u := newUp(p)
	p.global.add(u.cmd.Flags())
	if err := u.cmd.ParseFlags(args); err != nil {
		t.Fatal(err)
	}
	in := vpn.NewServer{Name: u.server}
	status := p.report(u.welcome(t.Context(), client.InProcess(r.plane.handler()), in, already))
	return result{status, out.String(), errs.String()}
}

func TestUpMakesWhatIsMissing(t *testing.T) {
	r := newRunner()
	clear(r.plane.users)
	clear(r.plane.servers)
	got := r.welcome(t, false)
	want := `server    main
state     running
endpoint  203.0.113.5:8443
user      me

vless://main?a=1&b=2

`
	if got.status != 0 || got.out != want {
		t.Errorf("got %+v", got)
	}
	for _, text := range []string{"making server main …\n", "warning: the address is private\n", "^C stops it all", "vpn users create NAME"} {
		if strings.Count(got.err, text) != 1 {
			t.Errorf("%q is not there once: %s", text, got.err)
		}
	}
}

// TestUpKeepsWhatIsThere: the second time nothing is made, and flags that
// would have made something else are not passed over in silence.
func TestUpKeepsWhatIsThere(t *testing.T) {
	r := newRunner()
	got := r.welcome(t, true, "--port", "8443", "--target", "self")
	if got.status != 0 || !strings.Contains(got.out, "user      alice\n") || !strings.Contains(got.out, "endpoint  203.0.113.5:443\n") {
		t.Errorf("got %+v", got)
	}
	for _, text := range []string{
		"warning: server main is there already, so --port, --target is ignored\n", "the daemon was running already, and goes on",
	} {
		if !strings.Contains(got.err, text) {
			t.Errorf("%q is missing: %s", text, got.err)
		}
	}
	if r.plane.created.Name != "" || len(r.plane.users) != 2 {
		t.Error("something was made")
	}
}

func TestUpWithNames(t *testing.T) {
	r := newRunner()
	got := r.welcome(t, false, "--name", "paris", "--user", "zoe")
	if got.status != 0 || !strings.Contains(got.out, "server    paris\n") || !strings.Contains(got.out, "user      zoe\n") ||
		!strings.Contains(got.out, "vless://paris") || strings.Contains(got.out, "vless://main") {
		t.Errorf("got %+v", got)
	}
	if got := r.welcome(t, false, "--user", "bob"); !strings.Contains(got.out, "user      bob\n") {
		t.Errorf("got %+v", got)
	}
	if got := r.welcome(t, false, "--user", "No One"); got.status != 2 {
		t.Errorf("got %+v", got)
	}
}

// TestUpWithAnotherServer: if the only server has another name than main, up
// does not make a second one that nobody asked for.
func TestUpWithAnotherServer(t *testing.T) {
	r := newRunner()
	s := r.plane.servers["main"]
	s.Name = "paris"
	delete(r.plane.servers, "main")
	r.plane.servers["paris"] = s
	if got := r.welcome(t, false); got.status != 0 || !strings.Contains(got.out, "server    paris\n") {
		t.Errorf("got %+v", got)
	}
}

func TestUpOnTerminalShowsQR(t *testing.T) {
	r := newRunner()
	r.tty = true
	if got := r.welcome(t, true); !strings.ContainsAny(got.out, "█▀▄") {
		t.Errorf("got %+v", got)
	}
	r.width = 20
	got := r.welcome(t, true)
	if strings.ContainsAny(got.out, "█▀▄") || !strings.Contains(got.err, "too narrow") {
		t.Errorf("a code that does not fit cannot be scanned: got %+v", got)
	}
}

func TestUpForPrograms(t *testing.T) {
	r := newRunner()
	got := r.welcome(t, false, "-o", "json")
	var v upResult
	if err := json.Unmarshal([]byte(got.out), &v); err != nil || v.Server.Name != "main" || v.User.Name != "alice" || len(v.Access) != 1 || got.err != "" {
		t.Errorf("got %+v, %v", got, err)
	}
	got = r.welcome(t, false, "-q")
	if got.out != "vless://main?a=1&b=2\n" || got.err != "warning: the address is private\n" {
		t.Errorf("got %+v", got)
	}
}

func TestUpTellsFailures(t *testing.T) {
	r := newRunner()
	s := r.plane.servers["main"]
	s.State, s.Problem = vpn.Failed, "port 443 is taken by nginx"
	r.plane.servers["main"] = s
	if got := r.welcome(t, false); !strings.Contains(got.err, "warning: server main is failed: port 443 is taken by nginx\n") {
		t.Errorf("got %+v", got)
	}
	s.State, s.Problem, s.Enabled = vpn.Stopped, "", false
	r.plane.servers["main"] = s
	if got := r.welcome(t, false); !strings.Contains(got.err, "warning: server main is stopped; start it: vpn server start main\n") {
		t.Errorf("got %+v", got)
	}
	r.plane.failure = vpn.Errorf(vpn.Conflict, "port 443 is taken")
	if got := r.welcome(t, false); got.status != 5 {
		t.Errorf("got %+v", got)
	}
}
