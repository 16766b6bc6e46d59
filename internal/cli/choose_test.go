package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"vpn/internal/vpn"
)

// naming is every command that takes the NAME of something that is there.
var naming = []string{
	"users show", "users update --quota 1GB", "users delete --yes", "users enable", "users disable", "users kick",
	"users link", "users qr", "server show", "server start", "server stop --yes", "server restart --yes",
	"server delete --yes", "server logs", "users reset", "users restore", "server update --port 8443 --yes",
	"proxy test", "proxy access list", "proxy access add", "proxy access remove",
	"users rotate --yes", "users device list", "users device add", "users device remove --yes", "server test",
}

// TestMissingName: nobody can be asked, so it is an error that shows the way.
func TestMissingName(t *testing.T) {
	p := testProgram()
	for _, cmd := range commandsOf(p) {
		takes := cmd.HasParent() && strings.Contains(cmd.Use, " NAME") && cmd.Name() != "create" && !cmd.Hidden && !cmd.Parent().Hidden
		if tried := slices.ContainsFunc(naming, func(s string) bool {
			return strings.HasPrefix(s+" ", strings.TrimPrefix(cmd.CommandPath(), "vpn ")+" ")
		}); takes && !tried {
			t.Errorf("%s takes a NAME, and is not tried without one", cmd.CommandPath())
		}
	}
	for _, args := range append(naming, "users create") {
		words := strings.Fields(args)
		path, _, _ := strings.Cut("vpn "+args, " --")
		for _, more := range [][]string{nil, {"--no-input"}} {
			r := newRunner()
			r.tty = more != nil
			r.env = map[string]string{"NO_COLOR": "1"}
			got := r.run(t, append(words, more...)...)
			want := "vpn: NAME is missing\nhint: usage: " + path + " NAME"
			if got.status != 2 || got.out != "" || !strings.HasPrefix(got.err, want) || !strings.Contains(got.err, "; as in: "+path+" ") {
				t.Errorf("vpn %s %v: got %+v", args, more, got)
			}
		}
	}
}

// TestChosenName: somebody can be asked, so the command goes on with what was
// chosen: a number, a name, or its beginning.
func TestChosenName(t *testing.T) {
	for _, args := range naming {
		if args == "users device add" || args == "users device remove --yes" || strings.HasPrefix(args, "proxy") || args == "server test" {
			continue // they want more: TestChosenDevice, TestChosenProxy, TestServerTest
		}
		answers := []string{"1", "alice", "al", "AL"}
		name := "alice"
		if strings.HasPrefix(args, "server") {
			answers, name = []string{"1", "main", "m"}, "main"
		}
		if args == "users restore" {
			answers, name = []string{"1", "gone", "go"}, "gone"
		}
		for _, answer := range answers {
			r := newRunner()
			r.tty, r.env, r.plane.logs = true, map[string]string{"NO_COLOR": "1"}, strings.NewReader("")
			want := r.run(t, append(strings.Fields(args), name)...)
			r = newRunner()
			r.tty, r.env, r.plane.logs = true, map[string]string{"NO_COLOR": "1"}, strings.NewReader("")
			r.input = answer + "\n"
			got := r.run(t, strings.Fields(args)...)
			if want.status != 0 || got.status != 0 || got.out != want.out || !strings.HasSuffix(got.err, "Which one? "+want.err) {
				t.Errorf("vpn %s, answered %q: got %+v, want %+v", args, answer, got, want)
			}
		}
	}
	r := newRunner()
	r.tty, r.env, r.input = true, map[string]string{"NO_COLOR": "1"}, "1\n"
	if got := r.run(t, "users", "link"); !strings.HasPrefix(got.err, "Users:\n1  alice  active\n2  bob    disabled\nWhich one? ") {
		t.Errorf("got %q", got.err)
	}
	r.input = "dave\n"
	if got := r.run(t, "users", "create"); got.status != 0 || got.err != "The new user's name: created user dave\n" {
		t.Errorf("got %+v", got)
	}
}

// TestChosenWords: what is none of a server's or a user's names is chosen too,
// where there is somebody to choose, and is missing elsewhere.
func TestChosenWords(t *testing.T) {
	for _, c := range []struct{ args, input, word, asks, out, err string }{
		{"config get", "log_l\n", "KEY", "Keys:\n1  data_dir     the directory that holds everything", "info\n", ""},
		{"config set --dry-run", "2\nvpn.example.org\n", "KEY", "Which one? The value of public_host: ", "", "would set public_host in "},
		{"config set log_level --dry-run", "2\ndebug\n", "VALUE", "Values:\n1  debug\n2  info\n3  warn\n4  error\nWhich one? ", "", "would set log_level in "},
		{"config unset --dry-run", "log_level\n", "KEY", "Keys:\n", "", "log_level is not set in "},
		{"completions", "fish\n", "SHELL", "Shells:\n1  bash\n2  zsh\n", "# fish completion for vpn", ""},
	} {
		r := newRunner()
		r.env = map[string]string{"NO_COLOR": "1", "HOME": t.TempDir()}
		got := r.run(t, strings.Fields(c.args)...)
		if got.status != 2 || got.out != "" || !strings.HasPrefix(got.err, "vpn: "+c.word+" is missing\nhint: usage: vpn ") {
			t.Errorf("vpn %s: got %+v", c.args, got)
		}
		r.tty, r.input = true, c.input
		got = r.run(t, strings.Fields(c.args)...)
		if got.status != 0 || !strings.HasPrefix(got.out, c.out) || !strings.Contains(got.err, c.asks) || !strings.Contains(got.err, c.err) {
			t.Errorf("vpn %s on a terminal: got %+v", c.args, got)
		}
	}
	r := newRunner()
	r.tty, r.env, r.input = true, map[string]string{"NO_COLOR": "1", "HOME": t.TempDir()}, "\n"
	for args, says := range map[string]string{
		"config set colour":      "unknown key \"colour\"",
		"config set public_host": "VALUE is missing",
		"config set":             "no key was chosen",
	} {
		if got := r.run(t, strings.Fields(args)...); got.status != 2 || !strings.Contains(got.err, says) {
			t.Errorf("vpn %s: got %+v", args, got)
		}
	}
}

// TestChosenLink: a code is of one link, which may be to any server.
func TestChosenLink(t *testing.T) {
	r := newRunner()
	paris := r.plane.servers["main"]
	paris.Name = "paris"
	r.plane.servers["paris"] = paris
	r.tty, r.env, r.input = true, map[string]string{"NO_COLOR": "1"}, "2\n"
	got := r.run(t, "users", "qr", "alice")
	if got.status != 0 || got.err != "Links:\n1  main   vless\n2  paris  vless\nWhich one? " {
		t.Errorf("got %+v", got)
	}
	r.input = ""
	if want := r.run(t, "users", "qr", "alice", "--server", "paris"); got.out != want.out {
		t.Errorf("got the code of another link: %s", got.out)
	}
	if got := r.run(t, "users", "qr", "alice", "--no-input"); got.status != 2 || !strings.Contains(got.err, "--server: main, paris") {
		t.Errorf("got %+v", got)
	}
}

func TestWrongChoices(t *testing.T) {
	for input, want := range map[string]struct {
		status int
		says   string
	}{
		"":                  {2, "the input ended before an answer"},
		"\n":                {2, "no user was chosen\nhint: name it on the command line"},
		"9\n0\n-1\nalice\n": {2, "There is no number 9.\nWhich one? There is no number 0."},
		"zoe\nb\n":          {0, "None is called that.\nWhich one? "},
		"a\x1b[2J\nb\n":     {0, "None is called that."},
		"alice":             {0, "Which one? "},
	} {
		r := newRunner()
		r.tty, r.env, r.input = true, map[string]string{"NO_COLOR": "1"}, input
		got := r.run(t, "users", "show")
		if got.status != want.status || !strings.Contains(got.err, want.says) || (got.out == "") != (want.status != 0) {
			t.Errorf("%q: got %+v", input, got)
		}
	}
	r := newRunner()
	r.tty, r.env, r.input = true, map[string]string{"NO_COLOR": "1"}, "al\nalf\n"
	alf := r.plane.users["bob"]
	alf.Name = "alf"
	r.plane.users["alf"] = alf
	if got := r.run(t, "users", "show"); got.status != 0 || !strings.Contains(got.err, "That may be alf, alice.\n") {
		t.Errorf("got %+v", got)
	}
	clear(r.plane.users)
	if got := r.run(t, "users", "show"); got.status != 3 || got.err != "vpn: there are no users yet\nhint: make one: vpn users create NAME\n" {
		t.Errorf("got %+v", got)
	}
}

// TestNumbersThatAreNames: where a user is called 2, a number could mean two
// things, so there are no numbers.
func TestNumbersThatAreNames(t *testing.T) {
	r := newRunner()
	r.tty, r.env, r.input = true, map[string]string{"NO_COLOR": "1"}, "2\n"
	for _, name := range []string{"1", "2"} {
		u := r.plane.users["bob"]
		u.Name = name
		r.plane.users[name] = u
	}
	got := r.run(t, "users", "disable")
	if got.status != 0 || !strings.HasPrefix(got.err, "Users:\n1      disabled\n2      disabled\nalice  active\n") ||
		!strings.HasSuffix(got.err, "disabled user 2\n") {
		t.Errorf("got %+v", got)
	}
}

// TestManyNames: nobody reads a list of hundreds.
func TestManyNames(t *testing.T) {
	many := func() *runner {
		r := newRunner()
		r.tty, r.env = true, map[string]string{"NO_COLOR": "1"}
		for i := range 200 {
			u := r.plane.users["bob"]
			u.Name = fmt.Sprintf("user%03d", i)
			r.plane.users[u.Name] = u
		}
		return r
	}
	r := many()
	r.input = "zz\nuser\nr10\n3\n"
	got := r.run(t, "users", "disable")
	want := "Which user? There are 202. A part of the name: No user has that in its name.\n" +
		"Which user? There are 202. A part of the name: Which user? There are 200. A part of the name: Users:\n 1  user100  disabled\n"
	if got.status != 0 || !strings.HasPrefix(got.err, want) || !strings.HasSuffix(got.err, "disabled user user102\n") {
		t.Errorf("got %+v", got)
	}
	r = many()
	r.input = "u\nu\nu\nu\n"
	if got := r.run(t, "users", "disable"); got.status != 2 || !strings.Contains(got.err, "no user was chosen") {
		t.Errorf("got %+v", got)
	}
}

// TestChooseInterrupted: ^C works while the list stands there.
func TestChooseInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	in, keyboard := io.Pipe()
	defer keyboard.Close()
	asked := &waitFor{text: "Which one?", seen: make(chan struct{})}
	p := newProgram(IO{
		In: in, Out: io.Discard, Err: asked, Getenv: func(string) string { return "" },
		InTerminal: true, OutTerminal: true, ErrTerminal: true,
	})
	p.dial = newRunner().dial
	done := make(chan int)
	go func() { done <- p.run(ctx, []string{"users", "show"}) }()
	<-asked.seen
	cancel()
	if status := <-done; status != 130 {
		t.Errorf("got status %d", status)
	}
}

// waitFor tells when a text has been written.
type waitFor struct {
	text string
	seen chan struct{}
	all  strings.Builder
}

func (w *waitFor) Write(b []byte) (int, error) {
	before := strings.Contains(w.all.String(), w.text)
	w.all.Write(b)
	if !before && strings.Contains(w.all.String(), w.text) {
		close(w.seen)
	}
	return len(b), nil
}

// TestConfirmByWeight: what is asked, and how.
func TestConfirmByWeight(t *testing.T) {
	idle := func(r *runner) {
		s := r.plane.servers["main"]
		s.Online = 0
		r.plane.servers["main"] = s
	}
	for _, c := range []struct {
		args, input, asks string
		status            int
		set               func(*runner)
	}{
		{args: "users disable alice"},
		{args: "users kick alice"},
		{args: "users update alice --quota 1"},
		{args: "server start main"},
		{args: "users delete", input: "bob\ny\n", asks: "Delete user bob? [y/N] deleted user bob\n"},
		{args: "users delete bob", input: "y\n", asks: "Delete user bob? [y/N] "},
		{args: "users delete nobody", input: "y\n", status: 3},
		{args: "server stop main", input: "y\n", asks: "Stop server main, and close 2 connections? [y/N] "},
		{args: "server restart main", input: "n\n", asks: "Restart server main, and close 2 connections? [y/N] ", status: 2},
		{args: "server stop main --no-input", status: 2},
		{args: "server stop nope", status: 3},
		{args: "server delete main", input: "main\n", asks: "the links of 2 users to it die, for good. It closes 2 connections. Type main to go on: "},
		{args: "server delete main", input: "paris\n", asks: "Type main to go on: ", status: 2},
		{args: "server delete nope", status: 3},
		{args: "server delete main", input: "main\n", asks: "the links of 2 users to it die, for good. Type main", set: idle},
	} {
		r := newRunner()
		r.tty, r.env, r.input = true, map[string]string{"NO_COLOR": "1"}, c.input
		if c.set != nil {
			c.set(r)
		}
		got := r.run(t, strings.Fields(c.args)...)
		if got.status != c.status || !strings.Contains(got.err, c.asks) || c.asks == "" && strings.Contains(got.err, "?") && c.status == 0 {
			t.Errorf("vpn %s: got %+v", c.args, got)
		}
	}
	r := newRunner()
	s := r.plane.servers["main"]
	s.Online = 0
	r.plane.servers["main"] = s
	r.plane.idle = true
	if got := r.run(t, "server", "stop", "main"); got.status != 0 {
		t.Errorf("nobody is connected, and nobody need be asked: got %+v", got)
	}
}

// TestChosenDevice: a device is of the user who was chosen before.
func TestChosenDevice(t *testing.T) {
	for args, c := range map[string]struct{ input, err string }{
		"users device add alice":          {"tablet\n", "The new device's name: added device tablet of user alice\n"},
		"users device add":                {"alice\ntablet\n", "Which one? The new device's name: added device tablet of user alice\n"},
		"users device remove alice --yes": {"ph\n", "Devices:\n1  phone\nWhich one? removed device phone of user alice, and closed 1 connection\n"},
		"users device remove --yes":       {"1\n1\n", "Which one? Devices:\n1  phone\nWhich one? removed device phone of user alice, and closed 1 connection\n"},
	} {
		r := newRunner()
		r.tty, r.env, r.input = true, map[string]string{"NO_COLOR": "1"}, c.input
		if got := r.run(t, strings.Fields(args)...); got.status != 0 || !strings.HasSuffix(got.err, c.err) {
			t.Errorf("vpn %s: got %+v", args, got)
		}
		words := strings.Fields(args)
		if len(words) < 4 || words[3] != "alice" {
			continue
		}
		r.tty = false
		if got := r.run(t, words...); got.status != 2 || !strings.HasPrefix(got.err, "vpn: DEVICE is missing\nhint: usage: vpn "+strings.Join(words[:3], " ")+" NAME DEVICE") {
			t.Errorf("vpn %s: got %+v", args, got)
		}
	}
	r := newRunner()
	r.tty, r.env, r.input = true, map[string]string{"NO_COLOR": "1"}, "1\n"
	if got := r.run(t, "users", "device", "remove", "bob", "--yes"); got.status != 3 || !strings.Contains(got.err, "there are no devices yet") {
		t.Errorf("got %+v", got)
	}
}

// TestChosenProxy: of all servers those are offered that are proxies.
func TestChosenProxy(t *testing.T) {
	r := newRunner()
	office := r.plane.servers["main"]
	office.Name, office.Protocol, office.Settings = "office", "http", []byte(`{"sources":[]}`)
	r.plane.servers["office"] = office
	r.tty, r.env, r.input = true, map[string]string{"NO_COLOR": "1"}, "1\n192.0.2.9\n"
	got := r.run(t, "proxy", "access", "add")
	if got.status != 0 || got.err != "Proxies:\n1  office  http\nWhich one? The network: updated proxy office; new clients may come from 192.0.2.9/32\n" {
		t.Errorf("got %+v", got)
	}
	if p := (*r.plane.revised)[0].Settings; string(p) != `{"sources":["192.0.2.9/32"]}` {
		t.Errorf("the patch is %s", p)
	}
	r.tty = false
	for args, says := range map[string]string{
		"proxy access add office":              "CIDR is missing",
		"proxy access add office nonsense":     `"nonsense" is not a network`,
		"proxy access list main":               `server "main" is no proxy: it speaks vless`,
		"proxy access add main 192.0.2.0/24":   `server "main" is no proxy: it speaks vless`,
		"proxy access remove office 192.0.2.9": "192.0.2.9/32 is not on the list",
		"proxy access add web 198.51.100.0/24": "clients may come from 198.51.100.0/24 already",
		"proxy create other --protocol vless":  `unknown protocol "vless"`,
		"proxy create other --target self":     "unknown flag",
		"proxy test main":                      `server "main" is no proxy: it speaks vless`,
		"monitor traffic --since tomorrow":     "is not valid",
		"monitor traffic --step 7m":            "is not valid",
		"monitor traffic --by colour":          `unknown grouping "colour"`,
		"monitor top -n some":                  "is not a number",
	} {
		if got := r.run(t, strings.Fields(args)...); got.status == 0 || !strings.Contains(got.err, says) {
			t.Errorf("vpn %s: got %+v", args, got)
		}
	}
}

// TestLinkOfADevice: a link is chosen by its server, its device or both.
func TestLinkOfADevice(t *testing.T) {
	all := []vpn.Access{
		{Server: "main", Link: "a"}, {Server: "main", Device: "phone", Link: "b"}, {Server: "wg", Device: "phone", Link: "c"},
	}
	for _, c := range []struct{ server, device, want, err, hint string }{
		{"", "", "a b c", "", ""},
		{"main", "", "a b", "", ""},
		{"", "phone", "b c", "", ""},
		{"wg", "phone", "c", "", ""},
		{"mian", "", "", `user "alice" has no link to a server "mian"`, `did you mean "main"?`},
		{"", "tablet", "", `user "alice" has no link for a device "tablet"`, "there is: phone"},
	} {
		got, err := accessTo(t.Context(), accessOf(all), "alice", c.server, c.device)
		if text := strings.Join(links(got), " "); text != c.want {
			t.Errorf("%s %s: got %q, want %q", c.server, c.device, text, c.want)
		}
		e, ok := errors.AsType[*vpn.Error](err)
		if ok != (c.err != "") || ok && (e.Message != c.err || e.Hint != c.hint || e.Kind != vpn.NotFound) {
			t.Errorf("%s %s: got %+v", c.server, c.device, e)
		}
	}
}

type accessOf []vpn.Access

func (a accessOf) Access(context.Context, string) ([]vpn.Access, error) { return a, nil }

// TestQRThatDoesNotFit says whose link to print instead.
func TestQRThatDoesNotFit(t *testing.T) {
	r := newRunner()
	r.tty, r.width = true, 20
	got := r.run(t, "users", "qr", "alice")
	if got.status != 2 || !strings.Contains(got.err, "or print the link: vpn users link alice") {
		t.Errorf("got %+v", got)
	}
}
