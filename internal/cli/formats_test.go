package cli

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"vpn/internal/vpn"
)

// updates reports whether golden files are to be rewritten: -update is the flag
// of a library that the terminal UI's tests take.
func updates() bool { return flag.Lookup("update").Value.String() == "true" }

// answering is every command that answers with data, once.
var answering = []string{
	"users create carol", "users list", "users show alice", "users update alice --quota 1GB", "users delete bob --yes",
	"users enable bob", "users disable alice", "users kick alice", "users link alice", "users qr alice",
	"users list --deleted", "users restore gone", "users reset alice", "server update main --port 8443 --yes",
	"server create paris", "server list", "server show main", "server start main", "server stop main --yes",
	"server restart main --yes", "server delete main --yes", "server status", "server status main",
	"status", "version", "reload",
	"users rotate alice --yes", "users device add alice tablet", "users device list alice", "users device remove alice phone --yes",
	"monitor host", "monitor events", "logs", "monitor rates", "monitor rates --by user", "monitor traffic", "monitor traffic --by user --since 7d", "monitor connections", "monitor top", "monitor top --since 24h --by server",
	"proxy create office", "proxy list", "proxy status", "proxy access list web", "proxy access add web 192.0.2.0/24",
	"proxy access remove web 198.51.100.0/24",
}

// commandsOf walks the tree of a new program.
func commandsOf(p *program) []*cobra.Command {
	var out []*cobra.Command
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		out = append(out, cmd)
		for _, c := range cmd.Commands() {
			walk(c)
		}
	}
	walk(rootCommand(p))
	return out
}

func testProgram() *program {
	return newProgram(IO{Out: io.Discard, Err: io.Discard, Getenv: func(string) string { return "" }})
}

// ofTheMachine are commands that act on the init system, on the
// configuration's file, on the Docker engine or on the daemon as a program, not
// on a control plane: they are tried where these are, in
// test/e2e/service_test.go, upgrade_test.go, docker_test.go and test/script.
var ofTheMachine = map[string]bool{
	"serve": true, "upgrade": true,
	"config show": true, "config get": true, "config set": true, "config unset": true, "config path": true, "config validate": true,
	"image build": true, "image save": true,
	"compose generate": true, "compose up": true, "compose down": true, "compose ps": true, "compose logs": true, "compose restart": true,
	"compose config": true, "compose env": true,
	"service install": true, "service status": true, "service uninstall": true, "uninstall": true,
}

// TestEveryAnswerIsTried: a command that is new is in the list above.
func TestEveryAnswerIsTried(t *testing.T) {
	p := testProgram()
	for _, cmd := range commandsOf(p) {
		path := strings.TrimPrefix(cmd.CommandPath(), "vpn ")
		tried := ofTheMachine[path] || slices.ContainsFunc(answering, func(args string) bool { return strings.HasPrefix(args+" ", path+" ") })
		// These have tests of their own, that of proxies in test/e2e/proxies_test.go.
		if p.shapes[cmd] != nil && !tried && path != "up" && path != "proxy test" && path != "server test" {
			t.Errorf("vpn %s answers with data, and is not tried in any form", path)
		}
		if _, has := map[string]bool{"server logs": true, "help": true, "worker": true, "completions": true, "man": true, "tui": true, "dial-stdio": true}[path]; !has &&
			p.shapes[cmd] == nil && !cmd.HasSubCommands() && !strings.HasPrefix(path, "container ") {
			t.Errorf("vpn %s does not declare what it answers with", path)
		}
	}
}

// TestForms: whatever is asked, each form is what it promises to be.
func TestForms(t *testing.T) {
	for _, args := range answering {
		run := func(more ...string) string {
			t.Helper()
			r := newRunner()
			if strings.HasPrefix(args, "proxy") {
				r.plane.servers["web"], _ = fakeServers{r.plane}.find("web")
			}
			got := r.run(t, append(strings.Fields(args), more...)...)
			if got.status != 0 {
				t.Fatalf("vpn %s %v: got %+v", args, more, got)
			}
			return got.out
		}
		var fromJSON, fromYAML any
		text := run("-o", "json")
		if err := json.Unmarshal([]byte(text), &fromJSON); err != nil {
			t.Errorf("vpn %s: %v", args, err)
		}
		doc := run("-o", "yaml")
		if err := yaml.Unmarshal([]byte(doc), &fromYAML); err != nil {
			t.Errorf("vpn %s: %v\n%s", args, err, doc)
		}
		again, err := json.Marshal(fromYAML)
		if err != nil {
			t.Fatal(err)
		}
		fromYAML = nil
		if err := json.Unmarshal(again, &fromYAML); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(fromJSON, fromYAML); d != "" {
			t.Errorf("vpn %s: YAML says something else than JSON (-json +yaml):\n%s", args, d)
		}
		if a, b := keys(text, `"`, `":`), keys(doc, "", ":"); !slices.Equal(a, b) {
			t.Errorf("vpn %s: the keys are in another order:\n%v\n%v", args, a, b)
		}
		for name := range strings.Lines(run("-o", "name")) {
			if strings.ContainsAny(strings.TrimSuffix(name, "\n"), " \t") || name == "\n" {
				t.Errorf("vpn %s -o name: got %q", args, name)
			}
		}
		if run("-o", "name") == "" {
			t.Errorf("vpn %s -o name says nothing", args)
		}
		plain := run("-o", "plain")
		if plain == "" || strings.Contains(plain, "NAME") || strings.Contains(plain, " GB") {
			t.Errorf("vpn %s -o plain: got %q", args, plain)
		}
		tabs := strings.Count(strings.SplitN(plain, "\n", 2)[0], "\t")
		for line := range strings.Lines(plain) {
			if strings.Count(line, "\t") != tabs {
				t.Errorf("vpn %s -o plain: not every line has %d tabs: %q", args, tabs, plain)
			}
		}
		run("-o", "wide")
	}
}

// keys are the keys of a document as they stand in it.
func keys(doc, before, after string) []string {
	var out []string
	for line := range strings.Lines(doc) {
		line = strings.TrimLeft(line, " -")
		if key, _, ok := strings.Cut(line, after); ok && strings.HasPrefix(key, before) {
			out = append(out, strings.TrimPrefix(key, before))
		}
	}
	return out
}

// TestPlainAndWide are what scripts cut at their tabs, and what a broad
// terminal shows.
func TestPlainAndWide(t *testing.T) {
	for args, want := range map[string]string{
		"users list -o plain": "alice\tactive\t1200000000\t50000000000\t2026-12-31T15:00:00Z\t2\t3000\t1200000\t2\t0\t0\t2500000\t2026-11-22T10:00:00Z\taliceid\t\t\t0\t\t\t\n" +
			"bob\tdisabled\t0\t0\t\t0\t0\t0\t0\t0\t0\t0\t2026-11-23T10:00:00Z\tbobid\t\t\t0\t\t\t\n",
		"server list -o plain":        "main\trunning\tvless\t203.0.113.5:443\t2\t0\t0\t1000000000\t[::]:443\tprocess\t7\tyes\t2026-11-23T10:00:00Z\tmainid\ttcp\t3.5\t20000000\t\t\n",
		"server status -o plain":      "main\trunning\t7\t20000000\t0\tyes\t2026-11-23T10:00:00Z\t\t900\t\t\t3.5\n",
		"users link alice -o plain":   "main\tvless\tvless://main?a=1&b=2\n",
		"users create carol -o plain": "main\tvless\tvless://main?a=1&b=2\n",
		"users kick alice -o plain":   "alice\t2\n",
		"users create carol -o name":  "carol\n",
		"users list -o name":          "alice\nbob\n",
		"server list -o wide": `NAME  STATE    PROTOCOL  ENDPOINT         ONLINE  UP  DOWN  USED  LISTENS ON  RUNTIME  PID  CONFINED  CREATED               ID      NETWORK    CPU  MEMORY  CONTAINER  IN NETWORK
main  running  vless     203.0.113.5:443       2   -     -  1 GB  [::]:443    process    7  yes       2026-11-23 10:00 UTC  mainid  tcp      3.5 %   20 MB  -          -
`,
	} {
		r := newRunner()
		r.tty = true // colours and prompts have no place in them even here
		r.env = map[string]string{"NO_COLOR": "1"}
		if got := r.run(t, strings.Fields(args)...); got.status != 0 || got.out != want {
			t.Errorf("vpn %s: got %d\n%s%s", args, got.status, got.out, got.err)
		}
	}
}

// TestShapes: what programs find in the JSON of every command. A field may
// come; none goes, and none becomes something else.
func TestShapes(t *testing.T) {
	p := testProgram()
	var b strings.Builder
	for _, cmd := range commandsOf(p) {
		if p.shapes[cmd] == nil {
			continue
		}
		shape := p.shapes[cmd](nil)
		fmt.Fprintf(&b, "%s\n", cmd.CommandPath())
		describe(&b, shape, "  ")
	}
	golden := filepath.Join("testdata", "shapes.golden")
	if updates() {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), b.String()); d != "" {
		t.Errorf("the JSON of a command changed; if it was meant to, run go test ./internal/cli -update (-want +got):\n%s", d)
	}
}

func describe(b *strings.Builder, t reflect.Type, indent string) {
	for _, f := range jsonFields(element(t)) {
		fmt.Fprintf(b, "%s%s %s\n", indent, f.key, jsonKind(f.typ))
		describe(b, f.typ, indent+"  ")
	}
}

func jsonKind(t reflect.Type) string {
	switch {
	case open(t):
		return "object"
	case marshals(t):
		return "string"
	case t.Kind() == reflect.Pointer:
		return jsonKind(t.Elem())
	case t.Kind() == reflect.Slice:
		return "list of " + jsonKind(t.Elem())
	case t.Kind() == reflect.Struct:
		return "object"
	case t.Kind() >= reflect.Int && t.Kind() <= reflect.Uint64:
		return "integer"
	}
	return t.Kind().String()
}

func TestPickedFields(t *testing.T) {
	for args, want := range map[string]string{
		"users list --json name":                         `[{"name":"alice"},{"name":"bob"}]`,
		"users list --json limits.quota,name":            `[{"name":"alice","limits":{"quota":50000000000}},{"name":"bob","limits":{"quota":0}}]`,
		"users list --json name,expires_at":              `[{"name":"alice","expires_at":"2026-12-31T15:00:00Z"},{"name":"bob","expires_at":null}]`,
		"users show bob --json sessions,servers.server":  `{"servers":[{"server":"main"}],"sessions":[]}`,
		"users create carol --json user.name,synced":     `{"user":{"name":"carol"},"synced":true}`,
		"server show main --json settings.target,worker": `{"settings":{"target":"www.example.com:443"},"worker":{"pid":7,"uid":900,"epoch":"","version":"","started_at":"2026-11-23T10:00:00Z","cpu":3.5,"memory":20000000,"confined":true,"restarts":0}}`,
		"server show main --json problem,allow":          `{"allow":[],"problem":""}`,
		"server show main --json sessions.up":            `{"sessions":[{"up":0}]}`,
		"server status main --json sessions.user_name":   `{"sessions":[{"user_name":"alice"}]}`,
		"status --json users.active,servers.name":        `{"users":{"active":1},"servers":[{"name":"main"}]}`,
		"status -o json --json pid":                      `{"pid":42}`,
	} {
		got := newRunner().run(t, strings.Fields(args)...)
		var b strings.Builder
		for line := range strings.Lines(got.out) {
			b.WriteString(strings.TrimSpace(line))
		}
		if text := strings.ReplaceAll(b.String(), `": `, `":`); got.status != 0 || text != want {
			t.Errorf("vpn %s: got %d %s%s", args, got.status, text, got.err)
		}
	}
	r := newRunner()
	clear(r.plane.users)
	if got := r.run(t, "users", "list", "--json", "name"); got.out != "[]\n" {
		t.Errorf("got %+v", got)
	}
	if got := newRunner().run(t, "users", "list", "--json", "name", "-o", "yaml"); got.out != "- name: alice\n- name: bob\n" {
		t.Errorf("got %+v", got)
	}
	r.env = map[string]string{"VPN_OUTPUT": "plain"}
	if got := r.run(t, "users", "list", "--json", "name"); got.out != "[]\n" {
		t.Errorf("--json rules over the environment: got %+v", got)
	}
}

// TestWrongFields are found before anything is done, and lists need not hold
// anything for it.
func TestWrongFields(t *testing.T) {
	for args, want := range map[string]string{
		"users create carol --json nam3":       "vpn users create has no field \"nam3\"\nhint: did you mean user.name? there is: user, user.id, user.name,",
		"users list --json nam3":               "vpn users list has no field \"nam3\"\nhint: did you mean name? there is: id, name, enabled,",
		"users list --json limits.quot":        "vpn users list has no field \"limits.quot\"\nhint: did you mean limits.quota?",
		"users list --json name.first":         "vpn users list has no field \"name.first\"",
		"users list --json created_at.year":    "vpn users list has no field \"created_at.year\"",
		"users list --json name,":              "vpn users list has no field \"\"\nhint: there is: id, name,",
		"users list --json":                    "--json needs a value\nhint: choose of: id, name, enabled,",
		"users list --json name -o plain":      "--json and -o plain exclude each other\nhint: ",
		"server logs main --json name":         "vpn server logs has no JSON\nhint: ",
		"server list --json sessions":          "vpn server list has no field \"sessions\"\nhint: ",
		"server show main --json pid":          "vpn server show has no field \"pid\"\nhint: did you mean worker.pid? ",
		"users delete alice --yes --json name": "vpn users delete has no field \"name\"\nhint: ",
	} {
		r := newRunner()
		if !strings.Contains(args, "delete") {
			clear(r.plane.users)
		}
		before := len(r.plane.users)
		got := r.run(t, strings.Fields(args)...)
		if got.status != 2 || got.out != "" || !strings.HasPrefix(got.err, "vpn: "+want) {
			t.Errorf("vpn %s: got %d %s%s", args, got.status, got.out, got.err)
		}
		if len(r.plane.users) != before {
			t.Errorf("vpn %s: something was done", args)
		}
	}
}

// TestHarmlessForms: no form lets a terminal be steered, and JSON and YAML
// lose nothing by it.
func TestHarmlessForms(t *testing.T) {
	const evil = "a\x1b]52;c;aGk=\x07\u009b2J\u202e\u2028\x7f\U000e0041b"
	for _, form := range formats() {
		r := newRunner()
		u := r.plane.users["bob"]
		u.Name = evil
		r.plane.users["bob"] = u
		got := r.run(t, "users", "list", "-o", form)
		for _, c := range got.out {
			if c != '\n' && !(c == '\t' && form == "plain") && !unicode.IsPrint(c) {
				t.Errorf("-o %s prints %q: %q", form, c, got.out)
				break
			}
		}
		var users []vpn.UserInfo
		switch form {
		case "json":
			if err := json.Unmarshal([]byte(got.out), &users); err != nil || users[1].Name != evil {
				t.Errorf("got %v, %q", err, got.out)
			}
		case "yaml":
			var v []struct{ Name string }
			if err := yaml.Unmarshal([]byte(got.out), &v); err != nil || v[1].Name != evil {
				t.Errorf("got %v, %q", err, got.out)
			}
		}
	}
}

// TestYAMLStrings: what looks like something else stays a string.
func TestYAMLStrings(t *testing.T) {
	for _, name := range []string{"true", "null", "1e3", "0x1f", "~", "- x", "a: b", "2026-01-02", "", "no", "#", "a\u202eb", "\u2028", "a\u00a0b"} {
		r := newRunner()
		u := r.plane.users["bob"]
		u.Name = name
		r.plane.users["bob"] = u
		var v []map[string]any
		got := r.run(t, "users", "list", "-o", "yaml")
		if err := yaml.Unmarshal([]byte(got.out), &v); err != nil || v[1]["name"] != name {
			t.Errorf("%q: got %v, %v", name, v, err)
		}
	}
}

// TestIntegersStayIntegers, beyond what a float holds too.
func TestIntegersStayIntegers(t *testing.T) {
	r := newRunner()
	u := r.plane.users["bob"]
	u.Limits.Quota = vpn.MaxTraffic
	r.plane.users["bob"] = u
	for _, form := range []string{"json", "yaml", "plain"} {
		if got := r.run(t, "users", "list", "-o", form); !strings.Contains(got.out, "9223372036854775807") {
			t.Errorf("-o %s: got %s", form, got.out)
		}
	}
	if got := r.run(t, "users", "list", "--json", "limits.quota"); !strings.Contains(got.out, `"quota": 9223372036854775807`) {
		t.Errorf("got %s", got.out)
	}
}

// TestWhyServersDoNotRun: a list says why those do not that are to, and a
// script that wants names is not bothered.
func TestWhyServersDoNotRun(t *testing.T) {
	r := newRunner()
	failed := r.plane.servers["main"]
	failed.Name, failed.State, failed.Problem = "web", vpn.Failed, "port 1080 is taken by nginx"
	waits := r.plane.servers["main"]
	waits.Name, waits.State, waits.Problem = "wg", vpn.Stopped, "no daemon is running"
	stopped := waits
	stopped.Name, stopped.Problem = "old", ""
	for _, s := range []vpn.ServerInfo{failed, waits, stopped} {
		r.plane.servers[s.Name] = s
	}
	want := "warning: server web is failed: port 1080 is taken by nginx\n" +
		"warning: no daemon is running, and so these do not that are to: wg; start it: vpn up; as a service: sudo vpn service install\n"
	for _, args := range []string{"server list", "server status", "server list -o wide"} {
		if got := r.run(t, strings.Fields(args)...); got.status != 0 || got.err != want {
			t.Errorf("vpn %s: got %+v", args, got)
		}
	}
	for _, args := range []string{"server list -q", "server list -o name", "server list -o plain"} {
		if got := r.run(t, strings.Fields(args)...); got.status != 0 || got.err != "" {
			t.Errorf("vpn %s: got %+v", args, got)
		}
	}
}
