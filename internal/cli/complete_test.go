package cli

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vpn/internal/vpn"
)

// offered returns what a shell would offer after a command line; the last word
// is the one that is being typed. However slow the machine is, no time passes.
func offered(t *testing.T, r *runner, words ...string) []string {
	t.Helper()
	var got result
	synctest.Test(t, func(t *testing.T) { got = r.run(t, append([]string{"__completeNoDesc"}, words...)...) })
	if got.status != 0 {
		t.Errorf("%v: %+v", words, got)
	}
	lines := strings.Split(strings.TrimSuffix(got.out, "\n"), "\n")
	return lines[:len(lines)-1] // the last is a directive
}

func TestCompletions(t *testing.T) {
	for line, want := range map[string]string{
		"users sho|":                         "show",
		"users show |":                       "alice bob",
		"users show a|":                      "alice",
		"user show a|":                       "alice",
		"users show alice |":                 "",
		"users create |":                     "",
		"users delete --yes b|":              "bob",
		"users restore |":                    "gone",
		"users reset |":                      "alice bob",
		"users qr alice --server |":          "main",
		"users list |":                       "",
		"server show |":                      "main",
		"server status m|":                   "main",
		"server create |":                    "",
		"server update |":                    "main",
		"server logs |":                      "main",
		"server create --protocol |":         "vless shadowsocks wireguard mixed http socks5",
		"server create --fingerprint f|":     "firefox",
		"server update main --target |":      "auto self",
		"users list -o |":                    "table wide json yaml name plain",
		"users list --output=j|":             "json",
		"users create carol --quota |":       "",
		"config get log_|":                   "log_level log_format",
		"config set log_level |":             "debug info warn error",
		"config set public_host |":           "",
		"config set log_level info |":        "",
		"config unset worker|":               "worker_uids",
		"completions |":                      "bash zsh fish powershell",
		"usrs show |":                        "",
		"users show --config nowhere.yaml |": "alice bob",
	} {
		words := strings.Split(strings.TrimSuffix(line, "|"), " ")
		if got := strings.Join(offered(t, newRunner(), words...), " "); got != want {
			t.Errorf("vpn %s: offered are %q, want %q", line, got, want)
		}
	}
}

func TestEveryNameIsCompleted(t *testing.T) {
	r := newRunner()
	for _, group := range []string{"users", "server"} {
		for _, verb := range offered(t, newRunner(), group, "") {
			got := offered(t, newRunner(), group, verb, "")
			want := !slices.Contains([]string{"create", "list"}, verb)
			if (len(got) > 0) != want {
				t.Errorf("vpn %s %s: offered are %v", group, verb, got)
			}
		}
	}
	if len(r.plane.users) != 2 {
		t.Error("something was done")
	}
}

// Whoever pressed tab is told no error and waits for nobody.
func TestCompletionsOfWhatIsNotThere(t *testing.T) {
	r := newRunner()
	r.plane.failure = vpn.Errorf(vpn.Internal, "no")
	got := r.run(t, "__complete", "users", "show", "")
	if got.status != 0 || strings.Contains(got.out, "alice") || strings.Contains(got.err, "vpn:") {
		t.Errorf("a control plane that fails: %+v", got)
	}
	r = newRunner()
	r.env = map[string]string{"VPN_OUTPUT": "xml"}
	if got := r.run(t, "__complete", "users", "show", ""); strings.Contains(got.out, "vpn:") {
		t.Errorf("an environment that is not valid: %+v", got)
	}

	p := newRunner().program()
	p.dial = func(ctx context.Context, _ intent) (*connection, error) {
		select {} // does not even look at its context
	}
	start := time.Now()
	if status := p.run(t.Context(), []string{"__complete", "users", "show", ""}); status != 0 {
		t.Errorf("status %d", status)
	}
	if took := time.Since(start); took > 3*completionWait {
		t.Errorf("it took %v", took)
	}
}

// TestCompletionsOfAStranger: what a machine elsewhere answers goes into the
// command line of this one.
func TestCompletionsOfAStranger(t *testing.T) {
	r := newRunner()
	for _, name := range []string{"a$(touch x)", "a;reboot", "a\x1b]0;x\x07", "a\nb", "a b", "-y"} {
		r.plane.users[name] = vpn.UserInfo{User: vpn.User{Name: name, Tags: []string{name, "team/a"}}}
	}
	if got := offered(t, r, "users", "show", ""); !slices.Equal(got, []string{"alice", "bob"}) {
		t.Errorf("users: %q", got)
	}
	if got := offered(t, r, "users", "list", "--tag", ""); !slices.Equal(got, []string{"team/a"}) {
		t.Errorf("tags: %q", got)
	}
}

func TestCompletionScripts(t *testing.T) {
	for shell, want := range map[string]string{
		"bash": "-F __vpn_whole vpn", "zsh": "#compdef vpn", "fish": "complete -c vpn", "powershell": "Register-ArgumentCompleter -CommandName 'vpn'",
	} {
		got := newRunner().run(t, "completions", shell)
		if got.status != 0 || !strings.Contains(got.out, want) || got.err != "" {
			t.Errorf("%s: status %d, %s", shell, got.status, got.err)
		}
	}
	got := newRunner().run(t, "completions", "bsh")
	if got.status != 2 || got.out != "" || got.err != "vpn: unknown shell \"bsh\"\nhint: did you mean bash?\n" {
		t.Errorf("%+v", got)
	}
	if got := newRunner().run(t, "completions"); got.status != 2 {
		t.Errorf("%+v", got)
	}
}
