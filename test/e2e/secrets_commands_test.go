//go:build linux && e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"vpn/test/e2e/rig"
)

var serverPorts = map[string]int{"ss": 8388, "ss22": 8389, "wg": 51820, "web": 8080, "socks": 1080, "boxed": 8390}

// Each command is run in so many forms: for people, and for programs with all
// that can be said of how it went.
const forms = 2

// typed is a command as somebody types it. What is told by those that have a
// reason is for who asked, and may hold users' secrets: never servers'.
type typed struct {
	line   string // # stands for the number of the form, DIR for a directory
	status []int  // one of which it ends with; none: 0
	tells  string // why it may tell users' secrets
	text   bool   // there is no JSON of it
}

const wayIn = "its purpose is a way in for the user"

// everything is every command that there is, as somebody types it.
var everything = map[string][]typed{
	"up":                  {{line: "up --no-input", tells: wayIn}, {line: "up --dry-run"}},
	"serve":               {{line: "serve --check"}, {line: "serve", status: []int{5}}},
	"status":              {{line: "status"}},
	"users create":        {{line: "users create c#", tells: wayIn}, {line: "users create e# --dry-run"}, {line: "users create u0", status: []int{5}}},
	"users list":          {{line: "users list"}, {line: "users list --deleted"}, {line: "users list --search u"}},
	"users show":          {{line: "users show u0"}},
	"users update":        {{line: "users update u0 --quota 5TB"}, {line: "users update u0 --quota 6TB --dry-run"}},
	"users disable":       {{line: "users disable u2"}},
	"users enable":        {{line: "users enable u2"}},
	"users kick":          {{line: "users kick u3"}},
	"users reset":         {{line: "users reset u3"}},
	"users delete":        {{line: "users delete d# --yes"}, {line: "users delete u0 --dry-run"}},
	"users restore":       {{line: "users restore d#", tells: wayIn}},
	"users link":          {{line: "users link u0", tells: wayIn}, {line: "users link nobody", status: []int{3}}},
	"users qr":            {{line: "users qr u0 --server main --device ''", tells: wayIn}},
	"users rotate":        {{line: "users rotate u4 --yes", tells: wayIn}, {line: "users rotate u4 --dry-run"}},
	"users device add":    {{line: "users device add u5 tablet#", tells: wayIn}},
	"users device list":   {{line: "users device list u5"}},
	"users device remove": {{line: "users device remove u5 tablet# --yes"}},
	"server create":       {{line: "server create s# --protocol socks5 --port 2000#"}, {line: "server create main", status: []int{5}}},
	"server list":         {{line: "server list"}},
	"server show": {
		{line: "server show main"},
		{line: "server show self"},
		{line: "server show ss"},
		{line: "server show ss22"},
		{line: "server show wg"},
		{line: "server show web"},
		{line: "server show socks"},
		{line: "server show boxed"},
	},
	"server status":  {{line: "server status"}, {line: "server status wg"}},
	"server start":   {{line: "server start d#"}},
	"server stop":    {{line: "server stop d# --yes"}},
	"server restart": {{line: "server restart self --yes"}},
	"server update":  {{line: "server update self --allow 10.9.0.0/16"}, {line: "server update main --port 8444 --dry-run"}},
	"server delete":  {{line: "server delete s# --yes"}, {line: "server delete main --dry-run"}},
	"server logs": {
		{line: "server logs main --tail 1000", text: true},
		{line: "server logs ss --tail 1000", text: true},
		{line: "server logs ss22 --tail 1000", text: true},
		{line: "server logs wg --tail 1000", text: true},
		{line: "server logs web --tail 1000", text: true},
		{line: "server logs socks --tail 1000", text: true},
		{line: "server logs boxed --tail 1000", text: true},
	},
	"server test":         {{line: "server test socks", status: []int{0, 2, 6, 7}}},
	"proxy create":        {{line: "proxy create p# --port 2010#"}},
	"proxy list":          {{line: "proxy list"}},
	"proxy status":        {{line: "proxy status"}},
	"proxy test":          {{line: "proxy test socks --user u0 --url https://" + rig.SiteName + "/"}},
	"proxy access add":    {{line: "proxy access add d# 198.51.100.0/24"}},
	"proxy access list":   {{line: "proxy access list d#"}},
	"proxy access remove": {{line: "proxy access remove d# 198.51.100.0/24"}},
	"monitor traffic":     {{line: "monitor traffic"}, {line: "monitor traffic --by user"}},
	"monitor connections": {{line: "monitor connections"}},
	"monitor top":         {{line: "monitor top"}},
	"monitor events":      {{line: "monitor events -n 1000"}},
	"monitor host":        {{line: "monitor host"}},
	"monitor rates":       {{line: "monitor rates"}},
	"logs":                {{line: "logs --tail 2000 --level debug"}},
	"tui":                 {{line: "tui", status: []int{2}}},
	"config show":         {{line: "config show --origin"}, {line: "config show --daemon"}},
	"config get":          {{line: "config get log_level"}},
	"config set":          {{line: "config set log_format text"}},
	"config unset":        {{line: "config unset log_format"}},
	"config validate":     {{line: "config validate"}},
	"config path":         {{line: "config path"}},
	"reload":              {{line: "reload"}},
	"service install":     {{line: "service install --dry-run", status: []int{0, 5, 6}}}, // as the machine is
	"service status":      {{line: "service status", status: []int{0, 3, 6}}},
	"service uninstall":   {{line: "service uninstall --dry-run", status: []int{0, 3, 6}}},
	"compose generate":    {{line: "compose generate DIR/compose --data-dir DIR/other"}},
	"compose config":      {{line: "compose config --dir DIR/compose --data-dir DIR/other"}},
	"compose env":         {{line: "compose env staging --dir DIR/compose --data-dir DIR/other"}},
	"compose up":          {{line: "compose up --dir DIR/compose --data-dir DIR/other --dry-run"}},
	"compose ps":          {{line: "compose ps --dir DIR/compose --data-dir DIR/other"}},
	"compose logs":        {{line: "compose logs --dir DIR/compose --data-dir DIR/other"}},
	"compose restart":     {{line: "compose restart --dir DIR/compose --data-dir DIR/other --dry-run"}},
	"compose down":        {{line: "compose down --dir DIR/compose --data-dir DIR/other --dry-run"}},
	"image build":         {{line: "image build"}},
	"image save":          {{line: "image save DIR/image#.tar"}},
	"upgrade":             {{line: "upgrade /bin/true", status: []int{2}}, {line: "upgrade --back", status: []int{3}}},
	"uninstall":           {{line: "uninstall --dry-run", status: []int{5}}},
	"completions":         {{line: "completions bash", text: true}},
	"version":             {{line: "version"}},
	// What help does not list.
	"help":   {{line: "help users create", text: true}},
	"man":    {{line: "man DIR/man", text: true}},
	"worker": {{line: "worker main", status: []int{1, 2}}},
}

var listed = regexp.MustCompile(`(?m)^  ([a-z]+) {2,}`)

// commandsOf returns all commands that the program's help leads to.
func commandsOf(t *testing.T, i *rig.Instance, path ...string) (out []string) {
	t.Helper()
	_, list, group := strings.Cut(i.Must(append(path, "--help")...), "\nCommands:\n")
	if !group {
		return []string{strings.Join(path, " ")}
	}
	list, _, _ = strings.Cut(list, "\n\n")
	for _, m := range listed.FindAllStringSubmatch(list, -1) {
		out = append(out, commandsOf(t, i, append(slices.Clone(path), m[1])...)...)
	}
	return out
}

// everyCommand runs all commands there are, in every form. It returns the
// secrets of another store, which no daemon has.
func everyCommand(t *testing.T, i *rig.Instance, seen *watch, all []string) []secret {
	t.Helper()
	for _, command := range all {
		if len(everything[command]) == 0 {
			t.Errorf("nobody has looked what vpn %s tells: see everything", command)
		}
	}
	if len(all) < 50 {
		t.Errorf("help leads to %d commands only: %q", len(all), all)
	}
	dir := t.TempDir()
	i.Must("--data-dir", dir+"/other", "server", "create", "other", "--protocol", "shadowsocks", "--public-host", rig.ServerAddr)
	i.Must("--data-dir", dir+"/other", "users", "create", "other", "-q")
	all = slices.DeleteFunc(all, func(command string) bool { return command == "compose generate" })
	order := append([]string{"compose generate"}, all...) // the others need a project
	for _, command := range append(order, "help", "man", "worker") {
		for _, c := range everything[command] {
			for form := range forms {
				c.run(t, i, seen, dir, form)
			}
		}
	}
	files, err := filepath.Glob(dir + "/compose/*")
	if err != nil || len(files) == 0 {
		t.Fatal("there is no Compose project", err)
	}
	for _, f := range append(files, dir+"/compose/.env") {
		seen.file(t, f)
	}
	return plant(t, dir+"/other/vpn.db")
}

func (c typed) run(t *testing.T, i *rig.Instance, seen *watch, dir string, form int) {
	t.Helper()
	line := strings.NewReplacer("#", fmt.Sprint(form), "DIR", dir).Replace(c.line)
	var args []string
	for word := range strings.FieldsSeq(line) {
		args = append(args, strings.Trim(word, "'"))
	}
	if form > 0 && !c.text {
		args = append(args, "-o", "json")
	}
	if form > 0 {
		args = append(args, "--verbose")
	}
	r := i.Run(args...)
	place := "vpn " + strings.Join(args, " ")
	if want := append([]int{}, c.status...); len(want) == 0 && r.Status != 0 || len(want) > 0 && !slices.Contains(want, r.Status) {
		t.Errorf("%s: exit status %d, want one of %v\n%s%s", place, r.Status, want, r.Out, r.Err)
	}
	seen.note(place+": standard error", r.Err)
	seen.note(place+": standard output", r.Out)
	if c.tells != "" {
		seen.may[place+": standard output"] = c.tells
	}
}

// everyError makes what can go wrong do so, with a secret in places where
// people leave one.
func everyError(t *testing.T, i *rig.Instance, seen *watch, secret string) {
	t.Helper()
	for _, body := range []any{
		map[string]any{"limits": map[string]any{"quota": secret}},
		map[string]any{"name": []string{secret}},
		map[string]any{"name": "x", "expires_at": secret},
		[]string{secret},
		secret, 7,
	} {
		err := i.API(t.Context(), "POST", "/v1/users", body, nil)
		if err == nil {
			t.Errorf("%v makes a user", body)
			continue
		}
		seen.note(fmt.Sprintf("the answer to %T", body), err.Error())
	}
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	wrong := func(status int, args ...string) {
		t.Helper()
		r := i.Run(args...)
		if r.Status != status {
			t.Errorf("vpn %v: exit status %d, want %d\n%s", args, r.Status, status, r.Err)
		}
		seen.note("vpn "+strings.Join(args, " "), r.Out+r.Err)
	}
	for k, text := range []string{
		"log_level: " + secret, "log_format: [" + secret + "]", "public_host: 'a b " + secret + "'", "{" + secret,
		"data_dir: postgres://vpn:" + secret + "@db.example.org/vpn", "postgres://vpn:" + secret + "@db.example.org/vpn",
	} {
		path := file(fmt.Sprint("config", k), text)
		wrong(2, "serve", "--check", "--config", path)
		wrong(2, "config", "validate", "--config", path)
		wrong(2, "config", "get", "log_level", "--config", path)
	}
	for k, text := range []string{secret, "-----BEGIN PRIVATE KEY-----\n" + secret + "\n-----END PRIVATE KEY-----\n"} {
		path := file(fmt.Sprint("key", k), text)
		wrong(2, "server", "create", "y", "--protocol", "http", "--tls", "--tls-cert", path, "--tls-key", path, "--no-check")
	}
	// Somebody pastes a secret where a name belongs. Their terminal has it;
	// what is logged must not.
	for _, args := range [][]string{
		{"users", "show", secret}, {"users", "create", "a " + secret}, {"server", "show", secret}, {"users", "list", "--search", secret},
	} {
		seen.typed(i.Bin, args)
		i.Run(args...)
	}
	_ = i.API(context.WithoutCancel(t.Context()), "GET", "/v1/users/"+secret+"?x="+secret, nil, nil)
}
