package cli

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"vpn/internal/vpn"
)

func sortedNames[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// TestOutput is what people see.
func TestOutput(t *testing.T) {
	for _, c := range []struct {
		args   string
		status int
		out    string
		err    string
	}{
		{"users create carol --quota 50GB", 0, "vless://main?a=1&b=2\n", "created user carol\n"},
		{"users create carol -q", 0, "vless://main?a=1&b=2\n", ""},
		{"users create alice", 5, "", `vpn: user "alice" already exists
hint: choose another name
`},
		{"users list", 0, `
NAME   STATUS      USED  QUOTA  EXPIRES               ONLINE      UP      DOWN
alice  active    1.2 GB  50 GB  2026-12-31 15:00 UTC       2  3 kB/s  1.2 MB/s
bob    disabled     0 B   none  never                      0       -         -
`, ""},
		{"users list -q", 0, "alice\nbob\n", ""},
		{"users show alice", 0, `
name         alice
status       active
used         1.2 GB (200 MB up, 1 GB down)
quota        50 GB
expires      2026-12-31 15:00 UTC
rate up      none
rate down    2.5 MB/s
devices      2
connections  none
online       2 connections, 3 kB/s up, 1.2 MB/s down
created      2026-11-22 10:00 UTC
id           aliceid

SERVER  PROTOCOL  ALLOWED    USED
main    vless     yes      1.2 GB

SESSION FROM    SERVER  NETWORK  SINCE                   UP  DOWN
192.0.2.7:5000  main    tcp      2026-11-23 10:00 UTC  1 kB  1 MB
`, ""},
		{"users show bob", 0, `
name         bob
status       disabled
used         0 B (0 B up, 0 B down)
quota        none
expires      never
rate up      none
rate down    none
devices      none
connections  none
online       0 connections
created      2026-11-23 10:00 UTC
id           bobid

SERVER  PROTOCOL  ALLOWED  USED
main    vless     yes       0 B

KEYS TO  DEVICE  MADE                  WORK UNTIL            ONLINE
main     -       2026-11-23 10:00 UTC  -                          0
main     -       2026-11-23 09:00 UTC  2026-11-23 11:00 UTC       1
main     phone   2026-11-23 10:00 UTC  -                          0
`, "some keys are old, and work beside the new ones; to end them now: vpn users rotate bob --end-old\n"},
		{"users rotate bob --end-old --yes", 0, "", "ended the old links of user bob\n"},
		{"users rotate bob --end-old", 2, "", "vpn: this needs to be confirmed: End the old links that user bob has, and the connections made with them?\nhint: add --yes\n"},
		{"users rotate bob --end-old --keep-old 1d", 2, "", "vpn: --keep-old and --end-old exclude each other\nhint: leave one of them out\n"},
		{"users show nobody", 3, "", "vpn: there is no user \"nobody\"\nhint: see: vpn users list\n"},
		{"users update alice --quota none", 0, "", "updated user alice\n"},
		{"users update alice", 2, "", "vpn: there is nothing to change\nhint: say what: vpn users update alice --quota 100GB\n"},
		{"users enable bob", 0, "", "enabled user bob\n"},
		{"users disable alice", 0, "", "disabled user alice, and closed 2 connections\n"},
		{"users delete alice", 2, "", "vpn: this needs to be confirmed: Delete user alice?\nhint: add --yes\n"},
		{"users delete alice --yes", 0, "", "deleted user alice, and closed 2 connections\n"},
		{"users list --deleted", 0, `
NAME  DELETED               USED  QUOTA  ID
gone  2026-11-23 09:00 UTC  1 GB   none  goneid
`, ""},
		{"users list --deleted -q", 0, "gone\n", ""},
		{"users restore gone", 0, "vless://main?a=1&b=2\n", "restored user gone\n"},
		{"users restore gone --as old", 0, "vless://main?a=1&b=2\n", "restored user old\n"},
		{"users restore alice", 3, "", "vpn: no user deleted within the last 24 hours is named \"alice\"\n"},
		{"users reset alice", 0, "", "reset the usage of user alice\n"},
		{"users reset bob", 0, "", "reset the usage of user bob, who is kept out all the same: disabled\n"},
		{"users reset nobody", 3, "", "vpn: there is no user \"nobody\"\nhint: see: vpn users list\n"},
		{"users kick alice", 0, "", "closed 2 connections of user alice\n"},
		{"users link alice", 0, "vless://main?a=1&b=2\n", ""},
		{"users link alice --server paris", 3, "", "vpn: user \"alice\" has no link to a server \"paris\"\nhint: there is: main\n"},
		{"server create paris", 0, "203.0.113.5:8443\n", "created server paris (vless)\nwarning: the address is private\n"},
		{"server create paris -q", 0, "paris\n", ""},
		{"server list", 0, `
NAME  STATE    PROTOCOL  ENDPOINT         ONLINE  UP  DOWN  USED
main  running  vless     203.0.113.5:443       2   -     -  1 GB
`, ""},
		{"server list -q", 0, "main\n", ""},
		{"server show main", 0, `
name        main
state       running
protocol    vless
endpoint    203.0.113.5:443
listens on  [::]:443
network     tcp
users       2
online      2 connections
used        1 GB (0 B up, 1 GB down)
target      www.example.com:443
runtime     process
worker      pid 7, uid 900, since 2026-11-23 10:00 UTC
confined    yes: the kernel keeps it from other files
cpu         3.5 % of all cores
memory      20 MB
restarts    0
created     2026-11-23 10:00 UTC
id          mainid

SESSION FROM    USER   NETWORK  SINCE                  UP  DOWN
192.0.2.7:5000  alice  udp      2026-11-23 10:00 UTC  0 B   0 B
`, ""},
		{"server status", 0, `
NAME  STATE    PID  MEMORY  RESTARTS  CONFINED  SINCE                 PROBLEM
main  running    7   20 MB         0  yes       2026-11-23 10:00 UTC
`, ""},
		{"server update main --allow 10.0.0.0/8", 0, "", "updated server main\n"},
		{"server update main --public-host a.example.org", 0, "", "updated server main\nlinks look different from now on; those that clients have work on\n"},
		{"server update main --port 8443", 2, "", `warning: the links that clients have will work no more: every user needs a new one
vpn: this needs to be confirmed: Update server main?
hint: add --yes
`},
		{"server update main --port 443", 2, "", `warning: the links that clients have will work no more: every user needs a new one
warning: 2 live connections will end: the server has to start anew for this
vpn: this needs to be confirmed: Update server main?
hint: add --yes
`},
		{"server update main --port 8443 --yes", 0, "", "updated server main\nclients need new links; print them, for each user: vpn users link NAME --server main\n"},
		{"server update nope --port 8443 --yes", 3, "", "vpn: there is no server \"nope\"\n"},
		{"server start main", 0, "", "started server main\n"},
		{"server stop main --yes", 0, "", "stopped server main, and closed 2 connections\n"},
		{"server stop main", 2, "", "vpn: this needs to be confirmed: Stop server main, and close 2 connections?\nhint: add --yes\n"},
		{"server restart main --yes", 0, "", "restarted server main, and closed 2 connections\n"},
		{"server stop nope", 3, "", "vpn: there is no server \"nope\"\n"},
		{"server delete main -y", 0, "", "deleted server main, and closed 2 connections\n"},
		{"status", 0, `
daemon    running since 2026-11-23 10:00 UTC, pid 42
version   1.2.3
data      /var/lib/vpn
users     2: 1 active, 1 disabled
expiring  5 within 7 days: alice 2026-11-23 10:00 UTC, bob 2026-11-23 11:00 UTC, …
quota     1 at 90% or more: alice 97%
online    2 connections of 1 user
confined  1 of 1 worker

NAME  STATE    PROTOCOL  ENDPOINT         ONLINE  UP  DOWN  USED
main  running  vless     203.0.113.5:443       2   -     -  1 GB
`, "warning: the address is private\n"},
	} {
		t.Run(c.args, func(t *testing.T) {
			got := newRunner().run(t, strings.Fields(c.args)...)
			if d := cmp.Diff(result{c.status, strings.TrimPrefix(c.out, "\n"), c.err}, got, cmp.AllowUnexported(result{})); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestMistakes: what was typed wrongly ends with status 2 and says what to
// type instead, and nothing is done.
func TestMistakes(t *testing.T) {
	for args, want := range map[string]string{
		"usrs":                                  "unknown command \"usrs\"\nhint: did you mean users?",
		"users lst":                             "unknown command \"lst\"\nhint: did you mean list?",
		"add":                                   "unknown command \"add\"\nhint: did you mean vpn users create, or vpn server create?",
		"traffic":                               "unknown command \"traffic\"\nhint: did you mean vpn monitor traffic?",
		"users lock alice":                      "unknown command \"lock\"\nhint: did you mean vpn users disable?",
		"users rename alice al":                 "unknown command \"rename\"\nhint: did you mean vpn users update NAME --name NEW?",
		"server reload main":                    "unknown command \"reload\"\nhint: did you mean vpn server restart?",
		"users device lock":                     "unknown command \"lock\"\nhint: there is: add, list, remove",
		"users create carol --days 30":          "unknown flag \"--days\"\nhint: did you mean --expires?",
		"users list --days 30":                  "unknown flag \"--days\"\nhint: there is: --status",
		"users list --force":                    "unknown flag \"--force\"\nhint: did you mean --yes?",
		"help users lst":                        "unknown command \"lst\"\nhint: did you mean list?",
		"users create":                          "NAME is missing\nhint: usage: vpn users create NAME [flags]; as in: vpn users create alice",
		"users create carol dave":               "\"dave\" is one argument too many\nhint: usage: vpn users create NAME [flags]",
		"users create carol --quoat 5GB":        "unknown flag \"--quoat\"\nhint: did you mean --quota?",
		"users create carol -z":                 "unknown flag -z\nhint: usage: vpn users create NAME [flags]",
		"users create carol --quota":            "--quota needs a value\nhint: usage: vpn users create NAME [flags]",
		"users create carol --quota 5XB":        "--quota: size \"5XB\" is not valid\nhint: write it like",
		"users create carol --rate-up 5":        "--rate-up: rate \"5\" is not valid\nhint: write it like",
		"users create carol --expires 1999":     "--expires: time \"1999\" is not valid\nhint: write it like",
		"users create carol --devices -1":       "--devices: \"-1\" is not a number from 1 on\nhint: write it like 3",
		"users create carol --devices 0":        "--devices: \"0\" is not a number from 1 on\nhint: write it like 3",
		"users create carol --connections x":    "--connections: \"x\" is not a number from 1 on\nhint: write it like 3",
		"users create Carol":                    "name \"Carol\" is not valid\nhint: use 1 to 63",
		"server update main":                    "there is nothing to change\nhint: say what: vpn server update main --public-host",
		"server update main --no-check":         "there is nothing to change\nhint: say what",
		"server update main --port 0":           "--port: \"0\" is not a port\nhint: a port is a number",
		"server update main --listen here":      "--listen: \"here\" is not an IP address\nhint: write it like",
		"server update main --allow 10/40":      "--allow: \"10/40\" is not a network\nhint: write it like",
		"server update":                         "NAME is missing\nhint: usage: vpn server update NAME [flags]",
		"server create --port 0":                "--port: \"0\" is not a port\nhint: a port is a number from 1 to 65535",
		"server create --port 65536":            "--port: \"65536\" is not a port\nhint: a port is",
		"server create --listen here":           "--listen: \"here\" is not an IP address\nhint: write it like",
		"server create --allow 10.0.0.0/40":     "--allow: \"10.0.0.0/40\" is not a network\nhint: write it like",
		"server create --protocol carrier":      "unknown protocol \"carrier\"\nhint: there is: vless",
		"server logs main --tail -1":            "--tail cannot be -1\nhint: it is a number of lines",
		"server logs main --tail x":             "--tail cannot be \"x\"\nhint: usage: vpn server logs NAME [flags]",
		"status -o xml":                         "--output: unknown format \"xml\"\nhint: there is: table, wide, json, yaml, name, plain",
		"status --quiet=maybe":                  "--quiet cannot be \"maybe\"\nhint: usage:",
		"server delete main":                    "this needs to be confirmed: Deleting server main",
		"users update alice --expires 12h30":    "--expires: time \"12h30\" is not valid\nhint: write it like",
		"users update alice --quota 1GB --name": "--name needs a value\nhint: usage:",
	} {
		r := newRunner()
		got := r.run(t, strings.Fields(args)...)
		if got.status != 2 || got.out != "" || !strings.HasPrefix(got.err, "vpn: "+want) {
			t.Errorf("vpn %s: got status %d, out %q, err\n%s", args, got.status, got.out, got.err)
		}
		if len(r.plane.users) != 2 || r.plane.created.Port != 0 {
			t.Errorf("vpn %s: something was done", args)
		}
	}
}

func TestExitStatuses(t *testing.T) {
	for kind, want := range map[vpn.Kind]int{
		vpn.Internal: 1, vpn.Invalid: 2, vpn.NotFound: 3, vpn.Denied: 4, vpn.Conflict: 5, vpn.Unavailable: 6,
	} {
		r := newRunner()
		r.plane.failure = vpn.Errorf(kind, "no")
		if got := r.run(t, "users", "list"); got.status != want || got.out != "" {
			t.Errorf("%s: got %+v", kind, got)
		}
	}
}

// TestJSON: what is printed is what the API answered, and nothing else.
func TestJSON(t *testing.T) {
	f := newFakePlane()
	ctx := t.Context()
	must := func(v any, err error) any {
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	users, servers := fakeUsers{f}, fakeServers{f}
	for args, want := range map[string]any{
		"users list":                        must(users.List(ctx, vpn.UserFilter{})),
		"users show alice":                  must(users.Show(ctx, "alice")),
		"users disable alice":               must(users.Update(ctx, "alice", vpn.UserPatch{Enabled: new(bool)})),
		"users list --deleted":              must(users.Deleted(ctx)),
		"users restore gone":                must(users.Restore(ctx, "gone", vpn.UserRestore{})),
		"users reset alice":                 must(users.Reset(ctx, "alice")),
		"users rotate alice -y":             must(fakeDevices{users}.Rotate(ctx, "alice", vpn.Rotation{})),
		"users device list alice":           must(fakeDevices{users}.List(ctx, "alice")),
		"users kick alice":                  must(users.Kick(ctx, "alice")),
		"users link alice":                  must(users.Access(ctx, "alice")),
		"users qr alice":                    must(users.Access(ctx, "alice")),
		"server list":                       must(servers.List(ctx)),
		"server status":                     must(servers.List(ctx)),
		"server show main":                  must(servers.Show(ctx, "main")),
		"server status main":                must(servers.Show(ctx, "main")),
		"server start main":                 must(servers.Start(ctx, "main")),
		"server update main --port 8443 -y": must(servers.Update(ctx, "main", vpn.ServerPatch{Port: new(uint16(8443))})),
		"status":                            must(fakeSystem{f}.Status(ctx)),
		"users create dave":                 must(fakeUsers{newFakePlane()}.Create(ctx, vpn.NewUser{Name: "dave"})),
		"users delete bob -y":               must(fakeUsers{newFakePlane()}.Delete(ctx, "bob")),
		"server create paris":               must(fakeServers{newFakePlane()}.Create(ctx, vpn.NewServer{Name: "paris"})),
		"server delete main  -y":            must(fakeServers{newFakePlane()}.Delete(ctx, "main")),
	} {
		got := newRunner().run(t, append(strings.Fields(args), "-o", "json")...)
		var b strings.Builder
		enc := json.NewEncoder(&b)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		if err := enc.Encode(want); err != nil {
			t.Fatal(err)
		}
		// The API has no null lists.
		text := strings.ReplaceAll(b.String(), `"sessions": null`, `"sessions": []`)
		if d := cmp.Diff(result{out: text}, got, cmp.AllowUnexported(result{})); d != "" {
			t.Errorf("vpn %s: %s", args, d)
		}
	}
}

// TestBehind: a change that is stored but not in force is told apart, if
// there is a daemon that should have put it in force.
func TestBehind(t *testing.T) {
	for _, args := range []string{"users create carol", "users disable alice", "users delete bob -y", "users restore gone", "users reset alice", "server stop main --yes", "server create x"} {
		r := newRunner()
		r.plane.synced = false
		got := r.run(t, strings.Fields(args)...)
		if got.status != 7 || !strings.Contains(got.err, "vpn: the change is stored, but not every server follows yet\nhint: ") {
			t.Errorf("vpn %s: got %+v", args, got)
		}
		if strings.Contains(args, "create") && got.out == "" {
			t.Errorf("vpn %s: the data is missing", args)
		}

		r = newRunner()
		r.plane.synced, r.plane.daemon = false, false
		got = r.run(t, strings.Fields(args)...)
		if got.status != 0 || !strings.Contains(got.err, "no daemon is running; it takes effect with: vpn serve\n") {
			t.Errorf("vpn %s without a daemon: got %+v", args, got)
		}
	}
}

// TestPatch: only what was given is changed, and none and never are changes.
func TestPatch(t *testing.T) {
	r := newRunner()
	if got := r.run(t, strings.Fields("users update alice --quota none --expires never --rate-down 20mbit --name al --devices none")...); got.status != 0 {
		t.Fatalf("%+v", got)
	}
	want := vpn.UserPatch{
		Name: new("al"), Quota: new(uint64(0)), ExpiresAt: new(time.Time{}),
		RateDown: new(uint64(2_500_000)), Devices: new(0),
	}
	if d := cmp.Diff(want, r.plane.patched); d != "" {
		t.Error(d)
	}
}

func TestServerSettings(t *testing.T) {
	r := newRunner()
	got := r.run(t, "server", "create", "paris", "--port", "8443", "--target", "www.example.com:443", "--server-name", "a.example.com",
		"--server-name", "b.example.com", "--allow", "10.1.2.3", "--allow", "192.168.7.9/16", "--no-check", "--listen", "::1")
	if got.status != 0 {
		t.Fatalf("%+v", got)
	}
	b, err := json.Marshal(r.plane.created)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"name":"paris","listen":"::1","port":8443,"allow":["10.1.2.3/32","192.168.0.0/16"],` +
		`"settings":{"server_names":["a.example.com","b.example.com"],"target":"www.example.com:443"},"no_check":true}`
	if d := cmp.Diff(want, string(b)); d != "" {
		t.Error(d)
	}
}

// TestServerPatch: only what was given is changed, and it is asked about first.
func TestServerPatch(t *testing.T) {
	r := newRunner()
	got := r.run(t, "server", "update", "main", "--name", "paris", "--listen", "::1", "--public-host", "", "--allow", "none",
		"--short-id", "aa", "--short-id", "bb", "--fingerprint", "firefox", "--no-check")
	if got.status != 0 || len(*r.plane.revised) != 2 {
		t.Fatalf("%+v, %+v", got, *r.plane.revised)
	}
	for i, dry := range []bool{true, false} {
		revised := (*r.plane.revised)[i]
		b, err := json.Marshal(revised.ServerPatch)
		if err != nil || revised.dry != dry {
			t.Fatalf("revision %d: %+v, %v", i, revised, err)
		}
		want := `{"name":"paris","listen":"::1","public_host":"","allow":[],` +
			`"settings":{"fingerprint":"firefox","short_ids":["aa","bb"]},"no_check":true}`
		if d := cmp.Diff(want, string(b)); d != "" {
			t.Error(d)
		}
	}
	r = newRunner()
	r.tty, r.input = true, "n\n"
	if got := r.run(t, "server", "update", "main", "--port", "8443"); got.status != 2 || len(*r.plane.revised) != 1 || !(*r.plane.revised)[0].dry {
		t.Errorf("refused by its asker: %+v, %+v", got, *r.plane.revised)
	}
}

func TestEnvironment(t *testing.T) {
	r := newRunner()
	r.env = map[string]string{"VPN_OUTPUT": "json", "VPN_YES": "1"}
	if got := r.run(t, "users", "delete", "bob"); got.status != 0 || !strings.HasPrefix(got.out, "{") {
		t.Errorf("got %+v", got)
	}
	if got := r.run(t, "users", "list", "-o", "table"); !strings.HasPrefix(got.out, "NAME") {
		t.Errorf("a flag rules: got %+v", got)
	}
	r.env = map[string]string{"VPN_QUIET": "true"}
	if got := r.run(t, "server", "list"); got.out != "main\n" {
		t.Errorf("got %+v", got)
	}
	r.env = map[string]string{"VPN_OUTPUT": "xml"}
	got := r.run(t, "status")
	if got.status != 2 || !strings.HasPrefix(got.err, `vpn: VPN_OUTPUT="xml" is not valid`) || !strings.Contains(got.err, "\nhint: ") {
		t.Errorf("got %+v", got)
	}
}

func TestEmptyLists(t *testing.T) {
	r := newRunner()
	clear(r.plane.users)
	clear(r.plane.servers)
	for args, want := range map[string]result{
		"users list":         {err: "there are no users yet; make one: vpn users create NAME\n"},
		"users list -q":      {},
		"users list -o json": {out: "[]\n"},
		"server list":        {err: "there are no servers yet; make one: vpn server create\n"},
		"server status -q":   {},
		"users create zoe":   {err: "created user zoe\nthere is no server yet, and so no link; make one: vpn server create\n"},
		"users link zoe":     {status: 3, err: "vpn: there is no server that lets the user in, and so no link\nhint: make one: vpn server create; or see: vpn users show zoe\n"},
	} {
		if strings.Contains(args, "link") {
			r.run(t, "users", "create", "zoe")
		} else {
			delete(r.plane.users, "zoe")
		}
		if got := r.run(t, strings.Fields(args)...); got != want {
			t.Errorf("vpn %s: got %+v", args, got)
		}
	}
}

func TestQR(t *testing.T) {
	r := newRunner()
	if got := r.run(t, "users", "qr", "alice"); got.status != 0 || !strings.ContainsAny(got.out, "█▀▄") {
		t.Errorf("got %+v", got)
	}
	r.run(t, "server", "create", "paris")
	got := r.run(t, "users", "qr", "alice")
	if got.status != 2 || got.err != "vpn: user \"alice\" has 2 links\nhint: choose one with --server: main, paris\n" {
		t.Errorf("got %+v", got)
	}
	if got := r.run(t, "users", "qr", "alice", "--server", "paris"); got.status != 0 {
		t.Errorf("got %+v", got)
	}
}

func TestLogs(t *testing.T) {
	const evil = "plain\n\x1b]0;title\x07\x1b[31mred\x9b31m\tä\n"
	for name, c := range map[string]struct {
		tty  bool
		want string
	}{
		"pipe":     {false, evil},
		"terminal": {true, "plain\n?]0;title??[31mred?31m\t"},
	} {
		r := newRunner()
		r.tty, r.plane.logs = c.tty, strings.NewReader(evil)
		got := r.run(t, "server", "logs", "main")
		if got.status != 0 || !strings.HasPrefix(got.out, c.want) {
			t.Errorf("%s: got %q", name, got.out)
		}
	}
	r := newRunner()
	r.plane.logs = iotest.ErrReader(errors.New("disk"))
	if got := r.run(t, "server", "logs", "nope"); got.status != 3 {
		t.Errorf("got %+v", got)
	}
}

// TestInterrupt: ^C ends what waits, with status 130.
func TestInterrupt(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := newRunner()
	if got := r.runIn(ctx, "server", "logs", "main", "-f"); got.status != 130 || got.err != "vpn: interrupted\n" {
		t.Errorf("got %+v", got)
	}
	if got := r.runIn(ctx, "users", "list"); got.status != 130 {
		t.Errorf("got %+v", got)
	}
}

func TestPanicIsReported(t *testing.T) {
	var errs strings.Builder
	p := newProgram(IO{Out: &strings.Builder{}, Err: &errs, Getenv: func(string) string { return "" }})
	p.dial = func(context.Context, intent) (*connection, error) { panic("boom") }
	if status := p.run(t.Context(), []string{"status"}); status != 1 || !strings.HasPrefix(errs.String(), "vpn: internal error: boom\nhint: ") {
		t.Errorf("got %d %s", status, &errs)
	}
	if strings.Contains(errs.String(), "goroutine") {
		t.Errorf("the stack is shown: %s", &errs)
	}
}

// TestFullDisk: output that is lost is a failure.
func TestFullDisk(t *testing.T) {
	r := newRunner()
	for _, args := range [][]string{
		{"users", "list"},
		{"users", "list", "-q"},
		{"users", "show", "alice"},
		{"status"},
		{"status", "-o", "json"},
		{"users", "create", "x"},
		{"version"},
		{"users", "qr", "alice"},
	} {
		var errs strings.Builder
		p := newProgram(IO{Out: fullDisk{}, Err: &errs, Getenv: func(string) string { return "" }, Now: r.now})
		p.dial = r.dial
		if status := p.run(t.Context(), args); status != 1 || !strings.HasPrefix(errs.String(), "vpn: write output: no space left") &&
			!strings.Contains(errs.String(), "\nvpn: write output: no space left") {
			t.Errorf("%v: got %d %s", args, status, &errs)
		}
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

// TestHarmless: nothing that comes from elsewhere can steer the terminal.
func TestHarmless(t *testing.T) {
	const evil = "a\x1b]52;c;aGk=\x07\x1b[2J\u009bb\nc"
	r := newRunner()
	u := r.plane.users["bob"]
	u.Name = evil
	r.plane.users["bob"] = u
	r.plane.failure = nil
	for _, args := range [][]string{
		{"users", "list"},
		{"users", "show", evil},
		{"users", "show", "bob"},
		{evil},
		{"users", "list", "--" + evil},
		{"users", "create", "x", "--quota", evil},
		{"users", "update", evil},
		{"users", "disable", "bob"},
		{"server", "logs", "main", "--tail", evil},
		{"-o", evil, "status"},
		{"users", "create", "a", evil},
	} {
		got := r.run(t, args...)
		for _, c := range got.out + got.err {
			if c != '\n' && unicode.IsControl(c) {
				t.Errorf("%q: got %q %q", args, got.out, got.err)
				break
			}
		}
	}
}

func TestColours(t *testing.T) {
	for name, c := range map[string]struct {
		tty  bool
		env  map[string]string
		want bool
	}{
		"terminal":   {true, nil, true},
		"pipe":       {false, nil, false},
		"NO_COLOR":   {true, map[string]string{"NO_COLOR": "1"}, false},
		"dumb":       {true, map[string]string{"TERM": "dumb"}, false},
		"forced":     {false, map[string]string{"CLICOLOR_FORCE": "1"}, true},
		"both":       {false, map[string]string{"CLICOLOR_FORCE": "1", "NO_COLOR": "1"}, false},
		"not forced": {false, map[string]string{"CLICOLOR_FORCE": "0"}, false},
	} {
		r := newRunner()
		r.tty, r.env = c.tty, c.env
		got := r.run(t, "users", "list")
		if strings.Contains(got.out, "\x1b[32mactive\x1b[0m  ") != c.want {
			t.Errorf("%s: got %q", name, got.out)
		}
		if plain := stripColours(got.out); !strings.Contains(plain, "alice  active    1.2 GB") {
			t.Errorf("%s: colours move the columns: %q", name, plain)
		}
		if got := r.run(t, "users", "show", "nobody"); strings.Contains(got.err, "\x1b[") != c.want {
			t.Errorf("%s: got %q", name, got.err)
		}
	}
}

func stripColours(s string) string {
	for _, c := range []colour{red, green, yellow, grey, "0"} {
		s = strings.ReplaceAll(s, "\x1b["+string(c)+"m", "")
	}
	return s
}

// TestEveryCommandExplainsItself walks the tree: each has a line, a usage and
// an example that begins with its own name.
func TestEveryCommandExplainsItself(t *testing.T) {
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		if cmd.Hidden { // and what is below it
			return
		}
		for _, c := range cmd.Commands() {
			walk(c)
		}
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s: %q", cmd.CommandPath(), cmd.Short)
		}
		if cmd.Example == "" {
			t.Errorf("%s has no example", cmd.CommandPath())
		}
		for line := range strings.Lines(cmd.Example) {
			if !strings.HasPrefix(line, "  "+cmd.CommandPath()) {
				t.Errorf("%s: this is no example of it: %q", cmd.CommandPath(), line)
			}
		}
		got := newRunner().run(t, append(strings.Fields(cmd.CommandPath())[1:], "--help")...)
		examples, usage := strings.Index(got.out, "\nExamples:\n  vpn"), strings.Index(got.out, "\nUsage:\n  "+cmd.CommandPath())
		if got.status != 0 || got.err != "" || examples < 0 || usage < examples {
			t.Errorf("%s --help: got %+v", cmd.CommandPath(), got)
		}
		if aliases := "\nAlso called: " + strings.Join(cmd.Aliases, ", ") + "\n"; strings.Contains(got.out, aliases) != (len(cmd.Aliases) > 0) {
			t.Errorf("%s --help does not tell its other names: %s", cmd.CommandPath(), got.out)
		}
		for line := range strings.Lines(got.out) {
			if len(line) > 160 {
				t.Errorf("%s --help has a line of %d: %s", cmd.CommandPath(), len(line), line)
			}
		}
	}
	p := newProgram(IO{Getenv: func(string) string { return "" }})
	walk(rootCommand(p))
}

func TestHelpIsOneText(t *testing.T) {
	r := newRunner()
	want := r.run(t, "users", "create", "--help")
	for _, args := range [][]string{{"help", "users", "create"}, {"users", "create", "-h"}, {"user", "create", "--quota", "1GB", "-h"}} {
		if got := r.run(t, args...); got != want {
			t.Errorf("%v: got %+v", args, got)
		}
	}
	if got := r.run(t); got != r.run(t, "--help") || got.status != 0 {
		t.Errorf("got %+v", got)
	}
}

// TestAliases: what people type who come from elsewhere does the same.
func TestAliases(t *testing.T) {
	for alias, canonical := range map[string]string{
		"user ls":                          "users list",
		"users add carol":                  "users create carol",
		"users rm bob --yes":               "users delete bob --yes",
		"users remove bob --yes":           "users delete bob --yes",
		"users edit bob --quota 1GB":       "users update bob --quota 1GB",
		"users links alice":                "users link alice",
		"servers ls":                       "server list",
		"server ps":                        "server list",
		"server install -p vless -n paris": "server create paris --protocol vless",
		"server add paris":                 "server create paris",
		"server install --name paris":      "server create paris",
		"server uninstall main --yes":      "server delete main --yes",
		"server remove main --yes":         "server delete main --yes",
	} {
		got, want := newRunner().run(t, strings.Fields(alias)...), newRunner().run(t, strings.Fields(canonical)...)
		if got != want || got.status != 0 {
			t.Errorf("vpn %s: got %+v, want %+v", alias, got, want)
		}
	}
	for args, hint := range map[string]string{
		"useradd alice":                  "did you mean vpn users create?",
		"list":                           "did you mean vpn users list, or vpn server list?",
		"ps":                             "did you mean vpn server list?",
		"install":                        "did you mean vpn up, or vpn server create?",
		"users list --format json":       "did you mean --output?",
		"users delete alice --force":     "did you mean --yes?",
		"server create a --name b":       "usage: vpn server create [NAME] [flags]",
		"status -o jsn":                  "did you mean json?",
		"server create --protocol vles":  "did you mean vless?",
		"users link alice --server mian": "did you mean \"main\"?",
	} {
		got := newRunner().run(t, strings.Fields(args)...)
		if got.status == 0 || !strings.HasSuffix(got.err, "\nhint: "+hint+"\n") {
			t.Errorf("vpn %s: got %+v", args, got)
		}
	}
}

func TestVersion(t *testing.T) {
	r := newRunner()
	got := r.run(t, "version")
	if got.status != 0 || !strings.HasPrefix(got.out, "vpn ") || got != r.run(t, "--version") {
		t.Errorf("got %+v", got)
	}
	var v versionInfo
	if err := json.Unmarshal([]byte(r.run(t, "version", "-o", "json").out), &v); err != nil || v.Go == "" || v.Version == "" {
		t.Errorf("got %+v, %v", v, err)
	}
}

// TestAKindOfAnotherVersion: what failed for a reason that only a newer daemon
// has a word for has failed.
func TestAKindOfAnotherVersion(t *testing.T) {
	p := newRunner().program()
	if got := p.report(&vpn.Error{Kind: "overdue", Message: "x"}); got != 1 {
		t.Errorf("status %d", got)
	}
}
