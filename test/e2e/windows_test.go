//go:build linux && e2e

package e2e

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"vpn/test/e2e/rig"
)

// The program for Windows, as far as Wine shows it: it starts, says what it is,
// refuses plainly what Windows has not got, and knows its files.
func TestWindows(t *testing.T) {
	t.Parallel()
	w := rig.NewWorld(t).Client.Windows(t)
	run := func(status int, args ...string) rig.Result {
		t.Helper()
		return onWindows(t, w, status, args...)
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(w.Drive(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	var version struct{ OS, Arch string }
	if err := json.Unmarshal([]byte(run(0, "version", "-o", "json").Out), &version); err != nil || version.OS != "windows" || version.Arch != "amd64" {
		t.Errorf("it says that it is %+v, %v", version, err)
	}
	if out := run(0, "--help").Out; !strings.HasPrefix(out, "Run VPN servers and manage their users\n") {
		t.Errorf("help is\n%s", out)
	}
	if r := run(0); !strings.Contains(r.Out, "Usage:") { // there is no terminal, so it opens none
		t.Errorf("without arguments: %+v", r)
	}
	if out := run(0, "completions", "powershell").Out; !strings.Contains(out, "Register-ArgumentCompleter") {
		t.Errorf("PowerShell is to complete by\n%s", out)
	}
	if r := run(0, "__completeNoDesc", "users", "show", ""); r.Out != ":4\n" || r.Err != "Completion ended with directive: ShellCompDirectiveNoFileComp\n" {
		t.Errorf("where there is no daemon, completion offers %+v", r)
	}

	// What cannot be here.
	const only = "vpn: servers run on Linux only; from Windows, vpn manages those that run elsewhere\nhint: name the machine: vpn --socket ssh://root@HOST status\n"
	for _, args := range []string{
		"serve", "serve --check", "up", "users list", "users create alice", "server list", "server logs main", "status", "monitor top", "logs", "reload", "proxy list",
		"service install", "service status", "service uninstall", "uninstall", "uninstall --yes", "upgrade", `upgrade C:\vpn.exe`, "upgrade --back",
		"compose generate", "compose up", "compose ps", "compose env production", "worker main",
	} {
		if r := run(6, strings.Fields(args)...); r.Out != "" || r.Err != only {
			t.Errorf("vpn.exe %s: %+v", args, r)
		}
	}
	for args, want := range map[string]string{
		"image save C:\\vpn.tar":     "vpn: an image is made of the program for Linux, and this is the one for windows\nhint: run this on Linux\n",
		`--socket C:\no.sock status`: "vpn: no daemon answers on C:\\no.sock\nhint: one on another machine is asked so: vpn --socket ssh://root@HOST status\n",
		"config path":                "vpn: servers run on Linux only; ",
		"config set log_level debug": "vpn: servers run on Linux only; ",
		"config validate":            "vpn: servers run on Linux only; ",
		"config show --origin":       "vpn: servers run on Linux only; ",
	} {
		if r := run(6, strings.Fields(args)...); r.Out != "" || !strings.HasPrefix(r.Err, want) {
			t.Errorf("vpn.exe %s: %+v", args, r)
		}
	}

	// What is wrong anywhere.
	write("no-socket", "")
	for args, want := range map[string]string{
		"users list --nonsense":              "vpn: unknown flag \"--nonsense\"\nhint: ",
		"users lst":                          "vpn: unknown command \"lst\"",
		`--socket C:\no-socket users list`:   "vpn: C:\\no-socket is not a socket\nhint: name the daemon's: ",
		"tui":                                "vpn: the terminal UI needs a terminal\n",
		`server create s --tls-cert C:\none`: "vpn: --tls-cert: read C:\\none: no such file\nhint: is it written right, and on this machine?\n",
		`--config X:\no\drive.yaml config set log_level info`: "vpn: write X:\\no\\drive.yaml: its directory is not there\nhint: make it: mkdir X:\\no\n",
		`--config C:\windows config set log_level info`:       "vpn: C:\\windows is not a file\n",
	} {
		if r := run(2, strings.Fields(args)...); r.Out != "" || !strings.HasPrefix(r.Err, want) {
			t.Errorf("vpn.exe %s: %+v", args, r)
		}
	}

	// A configuration file for a machine that has servers.
	const file = `C:\users\root\new\vpn.yaml`
	edit := func(args ...string) string { return run(0, append([]string{"--config", file}, args...)...).Err }
	if err := edit("config", "set", "data_dir", "/srv/vpn"); !strings.HasPrefix(err, "set data_dir in "+file+"\n") {
		t.Errorf("setting a value says %q", err)
	}
	edit("config", "set", "log_level", "debug")
	w.Env = []string{"VPN_CONFIG=" + file}
	if text := readFile(t, w.Drive("users/root/new/vpn.yaml")); text != "data_dir: /srv/vpn\nlog_level: debug\n" {
		t.Errorf("the file is %q", text)
	}
	if out := run(0, "config", "path").Out; out != file+"\n" {
		t.Errorf("VPN_CONFIG names %q", out)
	}
	if out := run(0, "config", "get", "data_dir").Out; out != "/srv/vpn\n" {
		t.Errorf("the data directory is %q", out)
	}
	if err := run(0, "config", "validate").Err; err != "the configuration is good: "+file+"\n" {
		t.Errorf("the file is %q", err)
	}
	write("wrong.yaml", "data_dir: C:\\vpn\n")
	if err := run(2, "config", "validate", `C:\wrong.yaml`).Err; !strings.HasPrefix(err, `vpn: C:\wrong.yaml:1: data_dir must be an absolute path`) {
		t.Errorf("of a path that no server can have it says %q", err)
	}
	if run(0, "man", `C:\pages`); !strings.HasPrefix(readFile(t, w.Drive("pages/vpn-users-list.1")), ".TH ") {
		t.Error("there are no man pages")
	}
}

// onWindows runs the command line, which has to end with status, and off a
// terminal says nothing that only one there understands.
func onWindows(t *testing.T, w *rig.Windows, status int, args ...string) rig.Result {
	t.Helper()
	r := w.Run(args...)
	if r.Status != status {
		t.Fatalf("vpn.exe %s: status %d, want %d\n%s%s", strings.Join(args, " "), r.Status, status, r.Out, r.Err)
	}
	if text := r.Out + r.Err; strings.ContainsAny(text, "\r\x1b") || strings.Contains(text, "goroutine ") {
		t.Errorf("vpn.exe %s says %q", strings.Join(args, " "), text)
	}
	return r
}

// From Windows, through a real ssh: one login for a command, what happens is
// told as it happens, files are written here, and nothing is left of ssh.
func TestWindowsAsksAnotherMachine(t *testing.T) {
	t.Parallel()
	i, _ := install(t, 1)
	ssh := rig.StartSSHD(t, i)
	w := i.World.Client.Windows(t)
	r := w.Run("--socket", there, "users", "list")
	if r.Status != 6 || !strings.HasPrefix(r.Err, `vpn: ssh cannot be started: exec: "ssh": executable file not found in %PATH%`+"\nhint: ") {
		t.Errorf("without ssh: %+v", r)
	}
	w.Offer("ssh", "/usr/bin/ssh")
	w.Env = []string{"VPN_SOCKET=" + there}
	far := func(status int, args ...string) rig.Result {
		t.Helper()
		return onWindows(t, w, status, args...)
	}
	asksOnce(t, i, ssh, far)
	if r := far(0, "users", "qr", "alice", "--png", `C:\alice.png`); !strings.Contains(r.Err, `wrote C:\alice.png; `) {
		t.Errorf("a QR code: %+v", r)
	}
	if r := far(5, "users", "qr", "alice", "--png", `C:\alice.png`); !strings.Contains(r.Err, "exists already") {
		t.Errorf("a QR code once more: %+v", r)
	}
	far(0, "users", "qr", "alice", "--png", `C:\alice.png`, "--yes")
	if png := readFile(t, w.Drive("alice.png")); !strings.HasPrefix(png, "\x89PNG") {
		t.Errorf("the picture begins with %q", png[:min(8, len(png))])
	}
	if r := far(3, "users", "show", "nobody"); !strings.HasPrefix(r.Err, "vpn: ") {
		t.Errorf("of a user that is not there: %+v", r)
	}
	if r := far(2, "service", "status"); !strings.Contains(r.Err, "--socket is for commands that ask a daemon") {
		t.Errorf("of what is of this machine: %+v", r)
	}
	if r := far(0, "config", "show", "--daemon"); !strings.Contains(r.Out, i.Data) {
		t.Errorf("the daemon's configuration: %+v", r)
	}

	events := w.Spawn("monitor", "events", "-f")
	rig.Until(t, 30*time.Second, func() error { return printed(events, "alice") })
	i.Must("users", "create", "bob")
	rig.Until(t, 30*time.Second, func() error { return printed(events, "bob") })
	i.Daemon().Kill()
	if status := events.Wait(t, 30*time.Second); status != 6 || !strings.Contains(events.Output(), "vpn: the connection to the daemon broke: ") {
		t.Errorf("when the daemon has gone, status %d: %s", status, events.Output())
	}
	i.Serve()
	// One that is killed takes its ssh along.
	events = w.Spawn("monitor", "events", "-f")
	rig.Until(t, 30*time.Second, func() error { return printed(events, "alice") })
	events.Kill()
	rig.Until(t, 30*time.Second, w.Idle)

	ssh.Use(t, "")
	if r := far(6, "users", "list"); !strings.Contains(r.Err, "Permission denied (publickey") {
		t.Errorf("without a key: %s", r.Err)
	}
}
