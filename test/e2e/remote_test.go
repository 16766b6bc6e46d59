//go:build linux && e2e

package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"vpn/test/e2e/rig"
)

const there = "ssh://root@" + rig.ServerAddr

// From another machine, through a real ssh: whatever is done there is done
// here, one login carries all of it, and nobody is let in whom ssh does not
// let in.
func TestFromAnotherMachine(t *testing.T) {
	t.Parallel()
	i, _ := install(t, 1)
	ssh := rig.StartSSHD(t, i)
	env := []string{"HOME=/root", "VPN_DATA_DIR=" + filepath.Join(t.TempDir(), "none"), "GORACE=" + os.Getenv("GORACE")}
	far := func(status int, args ...string) rig.Result {
		t.Helper()
		r := i.World.Client.Run(t, env, i.Bin, append(args, "--socket", there)...)
		if r.Status != status {
			t.Fatalf("vpn %s: status %d, want %d\n%s%s", strings.Join(args, " "), r.Status, status, r.Out, r.Err)
		}
		return r
	}

	asksOnce(t, i, ssh, far)

	// As README says it.
	script := readmeRemote(t)
	tour := i.World.Client.Run(t, append([]string{"TERM=dumb"}, env...), "sh", "-ec", "vpn() { "+i.Bin+` "$@"; }`+"\n"+strings.Replace(script, "vpn tui", `echo "$VPN_SOCKET"`, 1))
	if tour.Status != 0 || !strings.Contains(tour.Out, "running since") || !strings.Contains(tour.Out, "\nu0 ") || !strings.HasSuffix(tour.Out, there+"\n") {
		t.Errorf("README's commands: %+v", tour)
	}

	// What happens is told as it happens, and the end of the daemon too.
	events := i.World.Client.Spawn(t, env, i.Bin, "monitor", "events", "-f", "--socket", there)
	rig.Until(t, 20*time.Second, func() error { return printed(events, "alice") })
	i.Must("users", "create", "bob")
	rig.Until(t, 20*time.Second, func() error { return printed(events, "bob") })

	// A screen takes one login, and stays through a new daemon and a new ssh.
	before := ssh.Logins()
	tm := rig.OpenTerminal(t, 120, 40, append([]string{"XDG_CONFIG_HOME="}, env...), i.World.Client.Inside(i.Bin, "tui", "--socket", there)...)
	tm.Want("1 Dashboard", "1/1 up", "main").Press("2").Want("alice")
	i.Daemon().Kill()
	i.Serve()
	events.Wait(t, 20*time.Second)
	if !strings.Contains(events.Output(), "vpn: the connection to the daemon broke: unexpected EOF\nhint: ") {
		t.Errorf("whoever follows what happens is told: %s", events.Output())
	}
	i.Must("users", "create", "carol")
	tm.Want("carol")
	if n := ssh.Logins() - before; n != 1 {
		t.Errorf("the screen has taken %d logins", n)
	}
	for _, pid := range rig.Descendants(t, tm.PID()) {
		rig.Signal(t, pid, syscall.SIGKILL)
	}
	i.Must("users", "create", "dora")
	tm.Want("dora")
	tm.Press("q")
	if n := ssh.Logins() - before; n != 2 {
		t.Errorf("with a connection that was lost the screen has taken %d logins", n)
	}

	// ^C goes to ssh as well, which may be the first that ends of it.
	tm = rig.OpenTerminal(t, 120, 40, env, i.World.Client.Inside("sh", "-c", "trap : INT; "+i.Bin+` monitor events -f --socket `+there+`; echo "status $?"`)...)
	tm.Want("dora").Press("C-c").Want("status 130")

	// A key that has to be opened is asked for by ssh itself, before there is
	// a screen; and by nobody where nobody answers.
	ssh.Use(t, "locked")
	tm = rig.OpenTerminal(t, 120, 40, append([]string{"XDG_CONFIG_HOME="}, env...), i.World.Client.Inside(i.Bin, "tui", "--socket", there)...)
	tm.Want("Enter passphrase for key").Type(ssh.Passphrase()).Press("Enter").Want("1 Dashboard", "1/1 up").Press("q")
	tm = rig.OpenTerminal(t, 120, 40, env, i.World.Client.Inside("sh", "-c", "trap : INT; "+i.Bin+` users list --socket `+there+`; echo "status $?"; stty -a`)...)
	tm.Want("Enter passphrase for key").Press("C-c").Want("status 130", " echo echoe")
	if r := far(6, "users", "list"); !strings.Contains(r.Err, "vpn: ssh does not get to root@"+rig.ServerAddr+": ") || !strings.Contains(r.Err, "Permission denied (publickey") {
		t.Errorf("with a key that is locked: %s", r.Err)
	}

	ssh.Use(t, "")
	if r := far(6, "users", "list"); !strings.Contains(r.Err, "Permission denied (publickey") {
		t.Errorf("without a key: %s", r.Err)
	}
	ssh.Use(t, "plain")
	i.Daemon().Stop(t)
	if r := far(6, "users", "list"); !strings.Contains(r.Err, "vpn: root@"+rig.ServerAddr+": no daemon answers on ") || !strings.Contains(r.Err, "hint: over there: start it: vpn up") {
		t.Errorf("without a daemon: %s", r.Err)
	}
	ssh.Distrust(t)
	if r := far(6, "users", "list"); !strings.Contains(r.Err, "Host key verification failed.") {
		t.Errorf("of a machine that is another: %s", r.Err)
	}
}

// As docs/guide/remote.md says it, and what else may be configured at both
// ends.
func TestRemoteGuide(t *testing.T) {
	t.Parallel()
	i, _ := install(t, 1)
	ssh := rig.StartSSHD(t, i)
	from := fromAfar{t, i}
	for _, b := range readGuide(t, "remote.md") {
		for _, s := range b.steps {
			s.run(t, from)
		}
	}
	if n := ssh.Logins(); n != 4 {
		t.Errorf("the guide has taken %d logins; three commands through a master take one", n)
	}

	users := func(what string, more ...string) {
		t.Helper()
		r := from.Run(append([]string{i.Bin, "users", "list", "-q", "--socket", there}, more...)...)
		if r.Status != 0 || !strings.HasSuffix(r.Out, "f2\nf3\nu0\n") {
			t.Errorf("%s: status %d\n%s", what, r.Status, r.Out)
		}
	}
	ssh.Use(t, "plain", "RequestTTY force", "RemoteCommand echo hello", "ForwardAgent yes", "LocalForward 9999 localhost:22")
	users("a configuration for whoever works there")
	ssh.Use(t, "plain")
	ssh.Home(t, i, "echo Welcome", `printf '\033]0;a title, and no newline\007'`)
	users("a shell that talks at each login")

	_, options, _ := strings.Cut(readFile(t, "../../docs/guide/remote.md"), "`restrict,")
	options, _, _ = strings.Cut(options, " ssh-ed25519")
	ssh.Authorize(t, "restrict,"+options)
	users("a key for that alone")
	if r := from.Run("ssh", "root@"+rig.ServerAddr, "echo", "a shell"); strings.Contains(r.Out, "a shell") {
		t.Errorf("who may ask the daemon only has a shell: %s", r.Out)
	}
	ssh.Authorize(t, "")

	// Who may not ask is not told to use a sudo that is nowhere near.
	as := []string{"--reuid=65534", "--regid=65534", "--clear-groups", i.Bin, "--socket", filepath.Join(i.Data, "run", "api.sock"), "dial-stdio"}
	if r := i.World.Server.Run(t, nil, "setpriv", as...); r.Status != 4 || !strings.Contains(r.Err, "is not open to you\nhint: root may ask it, and ") {
		t.Errorf("nobody asks: %+v", r)
	}

	// Whoever looks on is killed, and leaves nothing at either end.
	look := i.World.Client.Spawn(t, from.env(), i.Bin, "logs", "-f", "--socket", there)
	rig.Until(t, 20*time.Second, func() error { return printed(look, "worker runs") })
	left := append(rig.Descendants(t, look.PID()), rig.Descendants(t, ssh.PID())...)
	if len(left) < 3 { // ssh; sshd's for the session, vpn dial-stdio
		t.Fatalf("while somebody looks on, there are only %v", left)
	}
	look.Kill()
	rig.Until(t, 20*time.Second, func() error {
		for _, pid := range left {
			if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("process %d is still there: %w", pid, err)
			}
		}
		return nil
	})
}

// fromAfar is the client host as a person has it: with the program in PATH.
type fromAfar struct {
	t *testing.T
	i *rig.Instance
}

func (f fromAfar) env() []string {
	return []string{"PATH=" + filepath.Dir(f.i.Bin) + ":" + os.Getenv("PATH"), "HOME=/root", "VPN_DATA_DIR=/nonexistent", "GORACE=" + os.Getenv("GORACE")}
}

// Run implements [typist].
func (f fromAfar) Run(command ...string) rig.Result {
	f.t.Helper()
	return f.i.World.Client.Run(f.t, f.env(), command[0], command[1:]...)
}

// readmeRemote returns what README tells somebody to type at another machine.
func readmeRemote(t *testing.T) string {
	t.Helper()
	_, text, _ := strings.Cut(readFile(t, "../../README.md"), "**From your own computer**")
	_, text, _ = strings.Cut(text, "```sh\n")
	script, _, found := strings.Cut(text, "```")
	if !found || !strings.Contains(script, "vpn tui\n") {
		t.Fatal("README no longer says how another machine is asked")
	}
	return strings.ReplaceAll(script, "root@HOST", "root@"+rig.ServerAddr)
}

// asksOnce lets a machine that has not asked yet look at the users and create
// alice, by far, which runs a command there that has to end with a status.
func asksOnce(t *testing.T, i *rig.Instance, ssh *rig.SSHD, far func(status int, args ...string) rig.Result) {
	t.Helper()
	if got := far(0, "users", "list", "-q").Out; got != "u0\n" {
		t.Errorf("users are %q", got)
	}
	if n := ssh.Logins(); n != 1 {
		t.Errorf("a command takes %d logins", n)
	}
	link := strings.TrimSpace(far(0, "users", "create", "alice", "-q").Out)
	if want := strings.TrimSpace(i.Must("users", "link", "alice", "-q")); link != want {
		t.Errorf("the link is %q over there and %q here", want, link)
	}
}
