//go:build linux && e2e

package e2e

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"vpn/test/e2e/rig"
)

// serviceStatus is what "vpn service status -o json" prints, as far as it is
// looked at.
type serviceStatus struct {
	Init, File, State, Exposure, Binary string
	Enabled                             bool
	PID                                 int
	Since                               time.Time
	DataDir                             string   `json:"data_dir"`
	DropIns                             []string `json:"drop_ins"`
}

func statusOf(t *testing.T, c *rig.Container, exit int) (s serviceStatus) {
	t.Helper()
	r := c.Run("vpn", "service", "status", "-o", "json")
	if r.Status != exit {
		t.Fatalf("vpn service status: exit %d, not %d: %s", r.Status, exit, r.Err)
	}
	decode(t, r.Out, &s)
	return s
}

// refused checks that a command fails in one way and says so.
func refused(t *testing.T, c *rig.Container, status int, says []string, args ...string) {
	t.Helper()
	r := c.Run(args...)
	if r.Status != status {
		t.Errorf("%v: exit %d, not %d: %s", args, r.Status, status, r.Err)
	}
	for _, want := range says {
		if !strings.Contains(r.Err, want) {
			t.Errorf("%v: %q is not in: %s", args, want, r.Err)
		}
	}
}

// Installing gives a service that runs in a tight sandbox and that its group
// may use; installing again changes nothing; and uninstalling leaves the
// machine as it was.
func TestServiceSystemd(t *testing.T) {
	t.Parallel()
	c := rig.Boot(t)
	installed := lifecycle(t, c, "/etc/systemd/system/vpn.service", "# mine\n[Service]\nExecStart=/bin/true\n")

	s := installed()
	exposure, err := strconv.ParseFloat(s.Exposure, 64)
	if err != nil || exposure > 2.8 {
		t.Errorf("systemd-analyze security says %q", s.Exposure)
	}
	if out := c.Must("systemd-analyze", "verify", "/etc/systemd/system/vpn.service"); strings.Contains(out, "vpn.service") {
		t.Errorf("systemd-analyze verify: %s", out)
	}
	if s.Init != "systemd" {
		t.Errorf("status: %+v", s)
	}

	// A newer program takes over from the one that runs; servers go on.
	c.Must("vpn", "server", "create", "main", "--target", "self", "--port", strconv.Itoa(port), "--public-host", rig.ServerAddr)
	worker := oneWorker(t, c)
	c.Must("sh", "-c", "{ cat "+rig.Download+"; echo; } >/root/newer && chmod 755 /root/newer")
	c.Must("/root/newer", "service", "install", "--yes")
	c.Must("rm", "/root/newer")
	if now := statusOf(t, c, 0); now.PID == s.PID {
		t.Errorf("the older program runs on: process %d", now.PID)
	}
	if now := oneWorker(t, c); now != worker {
		t.Errorf("an upgrade: worker %d, it was %d", now, worker)
	}
	if out := c.Must("vpn", "service", "status"); !strings.Contains(out, "running since ") || !strings.Contains(out, "journalctl -u vpn") {
		t.Errorf("vpn service status:\n%s", out)
	}

	stopsAnyway(t, c, func(verb string) []string { return []string{"systemctl", verb, "vpn"} })

	// No server outlives the service, even if the unit lets it.
	c.Write("/etc/systemd/system/vpn.service.d/careless.conf", "[Service]\nExecStopPost=\n")
	c.Must("systemctl", "daemon-reload")
	c.Must("systemctl", "stop", "vpn")
	if left := c.Workers(); len(left) != 1 {
		t.Errorf("a stop that ends no servers has left the workers %v", left)
	}
	if r := c.Run("vpn", "service", "uninstall", "--yes"); r.Status != 0 || !strings.Contains(r.Err, "ended the servers that were left") {
		t.Errorf("vpn service uninstall: %+v", r)
	}
	if left := c.Workers(); len(left) > 0 {
		t.Errorf("the service's end: workers %v", left)
	}
	c.Must("rm", "-r", "/etc/systemd/system/vpn.service.d")
	installed()
	oneWorker(t, c)

	// One that cannot start says why.
	c.Must("vpn", "service", "uninstall", "--yes")
	if left := c.Workers(); len(left) > 0 {
		t.Errorf("the service's end: workers %v", left)
	}
	c.Must("sh", "-c", "cd /var/lib/vpn && mv vpn.db good && rm -f vpn.db-seal && head -c 8192 /dev/urandom >vpn.db")
	refused(t, c, 6, []string{"does not start: ", "vpn.db", "journalctl -u vpn"}, rig.Download, "service", "install", "--yes")
	endsAgain(t, c, "journalctl -u vpn")
	c.Must("vpn", "service", "uninstall", "--yes")
	c.Must("sh", "-c", "cd /var/lib/vpn && rm -f vpn.db* && mv good vpn.db")
	installed()
	oneWorker(t, c)

	// A unit of the same name that comes with a package.
	c.Must("vpn", "service", "uninstall", "--yes")
	c.Write("/usr/lib/systemd/system/vpn.service", "[Service]\nExecStart=/bin/true\n")
	c.Must("systemctl", "daemon-reload")
	refused(t, c, 5, []string{"/lib/systemd/system/vpn.service", "hint: "}, rig.Download, "service", "install", "--yes")
	c.Must("rm", "/usr/lib/systemd/system/vpn.service")
	c.Must("systemctl", "daemon-reload")
	installed()

	// Drop-ins are the administrator's: only the removal of everything takes them.
	c.Write("/etc/systemd/system/vpn.service.d/more.conf", "[Service]\nNice=1\n")
	c.Must("systemctl", "daemon-reload")
	if s := statusOf(t, c, 0); s.File != "current" || len(s.DropIns) != 1 {
		t.Errorf("with a drop-in: %+v", s)
	}
	c.Must("vpn", "service", "uninstall", "--yes")
	c.Must("test", "-e", "/etc/systemd/system/vpn.service.d/more.conf")

	// The removal of everything ends servers that nobody looks after.
	byHand(t, c, "serve", "--supervised")
	oneWorker(t, c)
	c.Must("sh", "-c", "kill -KILL "+daemonPID)
	if left := c.Workers(); len(left) != 1 {
		t.Errorf("a daemon that was killed has left the workers %v", left)
	}
}

// A service may have its data elsewhere. What others keep there stays.
func TestServiceElsewhere(t *testing.T) {
	t.Parallel()
	c := rig.Boot(t)
	before := c.Files()
	install := []string{rig.Download, "service", "install", "--yes", "--data-dir", "/srv/vpn"}
	c.Must(install...)
	if s := statusOf(t, c, 0); s.DataDir != "/srv/vpn" || s.State != "running" {
		t.Errorf("status: %+v", s)
	}
	c.Must("vpn", "--data-dir", "/srv/vpn", "users", "create", "carol")
	if r := c.Run("test", "-e", "/var/lib/vpn"); r.Status == 0 {
		t.Error("there is a second data directory")
	}

	// Servers are not left alone for another data directory.
	c.Must("vpn", "--data-dir", "/srv/vpn", "server", "create", "main", "--target", "self", "--port", strconv.Itoa(port), "--public-host", rig.ServerAddr)
	runs := func(want int) []int {
		t.Helper()
		rig.Until(t, 10*time.Second, func() error {
			if all := c.Workers(); len(all) != want {
				return fmt.Errorf("workers %v", all)
			}
			return nil
		})
		return c.Workers()
	}
	worker := runs(1)
	elsewhere := []string{rig.Download, "service", "install", "--yes", "--data-dir", "/srv/two"}
	refused(t, c, 5, []string{"1 server", "/srv/vpn", "vpn service uninstall; then: vpn service install --data-dir /srv/two", "--force"}, elsewhere...)
	if now := runs(1); now[0] != worker[0] {
		t.Errorf("a refusal: workers %v, it was %v", now, worker)
	}
	c.Must(append(elsewhere, "--force")...)
	runs(0)
	if s := statusOf(t, c, 0); s.DataDir != "/srv/two" || s.State != "running" {
		t.Errorf("status: %+v", s)
	}
	c.Must(install...) // nothing runs there: back
	runs(1)
	if s := statusOf(t, c, 0); s.DataDir != "/srv/vpn" || s.State != "running" {
		t.Errorf("status: %+v", s)
	}
	c.Must("rm", "-r", "/srv/two")
	refused(t, c, 5, []string{"/srv/vpn", "hint: vpn uninstall --data-dir /srv/vpn"}, "vpn", "uninstall", "--yes")
	c.Write("/srv/vpn/photo.jpg", "mine\n")
	refused(t, c, 6, []string{"photo.jpg"}, "vpn", "uninstall", "--yes", "--data-dir", "/srv/vpn")
	if left := c.Must("ls", "/srv/vpn"); left != "photo.jpg\n" {
		t.Errorf("left with what somebody else put there: %q", left)
	}
	c.Must("rm", "-r", "/srv/vpn")
	same(t, before, c.Files(), "after the removal")
}

// daemonPID is, in a shell, the process that answers.
const daemonPID = `$(vpn status -o json | sed -n 's/^  "pid": \([0-9]*\).*/\1/p')`

// byHand starts a daemon as somebody does in a shell, and waits until it
// answers.
func byHand(t *testing.T, c *rig.Container, args ...string) {
	t.Helper()
	c.Must("sh", "-c", "setsid vpn "+strings.Join(args, " ")+" </dev/null >/dev/null 2>&1 &")
	rig.Until(t, 10*time.Second, func() error {
		if r := c.Run("vpn", "status"); !strings.Contains(r.Out, "running since") {
			return fmt.Errorf("no daemon: %s%s", r.Out, r.Err)
		}
		return nil
	})
}

// oneWorker waits until the one server runs, and returns its worker.
func oneWorker(t *testing.T, c *rig.Container) (pid int) {
	t.Helper()
	rig.Until(t, 10*time.Second, func() error {
		if err := serves(t, c); err != nil {
			return err
		}
		all := c.Workers()
		if len(all) != 1 {
			return fmt.Errorf("workers %v", all)
		}
		pid = all[0]
		return nil
	})
	return pid
}

func TestServiceOpenRC(t *testing.T) {
	t.Parallel()
	c := rig.BootOpenRC(t)
	installed := lifecycle(t, c, "/etc/init.d/vpn", "#!/sbin/openrc-run\ncommand=/bin/true\n")
	s := installed()
	if s.Init != "openrc" {
		t.Errorf("status: %+v", s)
	}
	c.Must("vpn", "server", "create", "main", "--target", "self", "--port", strconv.Itoa(port), "--public-host", rig.ServerAddr)
	worker := oneWorker(t, c)

	c.Must("rc-service", "vpn", "restart")
	if now := oneWorker(t, c); now != worker {
		t.Errorf("a restart: worker %d, it was %d", now, worker)
	}
	if now := statusOf(t, c, 0); now.PID == s.PID {
		t.Errorf("a restart: the daemon is process %d still", now.PID)
	}
	s = statusOf(t, c, 0)
	c.Must("sh", "-c", "kill -KILL "+strconv.Itoa(s.PID))
	rig.Until(t, 10*time.Second, func() error {
		if r := c.Run("vpn", "service", "status", "-o", "json"); r.Status != 0 || strings.Contains(r.Out, `"pid": `+strconv.Itoa(s.PID)+",") {
			return fmt.Errorf("OpenRC has not started another control plane")
		}
		return nil
	})
	if now := oneWorker(t, c); now != worker {
		t.Errorf("a kill: worker %d, it was %d", now, worker)
	}
	c.Must("rc-service", "vpn", "reload")
	if now := oneWorker(t, c); now != worker {
		t.Errorf("a reload: worker %d, it was %d", now, worker)
	}
	c.Must("rc-service", "vpn", "stop")
	if left := c.Workers(); len(left) > 0 {
		t.Errorf("a stop: workers %v", left)
	}
	if s := statusOf(t, c, 6); s.State != "stopped" {
		t.Errorf("a stop: %+v", s)
	}
	c.Must("rc-service", "vpn", "start")
	oneWorker(t, c)
	stopsAnyway(t, c, func(verb string) []string { return []string{"rc-service", "vpn", verb} })

	c.Must("rc-service", "vpn", "stop")
	c.Must("sh", "-c", "cd /var/lib/vpn && mkdir good && mv vpn.db* good/ && head -c 8192 /dev/urandom >vpn.db")
	c.Must("rc-service", "vpn", "start")
	endsAgain(t, c, "/var/log/vpn.log")
	c.Must("rc-service", "vpn", "stop")
	c.Must("sh", "-c", "cd /var/lib/vpn && rm vpn.db* && mv good/* . && rmdir good")
}

// lifecycle installs and uninstalls in every way, and returns how to install
// once more. At the end of the test everything is removed, and nothing must be
// left.
func lifecycle(t *testing.T, c *rig.Container, definition, foreign string) (install func() serviceStatus) {
	t.Helper()
	c.Must("useradd", "--create-home", "alice")
	c.Must("useradd", "--create-home", "bob")
	before := c.Files()
	t.Cleanup(func() {
		if !t.Failed() {
			c.Must("vpn", "uninstall", "--yes")
			same(t, before, c.Files(), "after the removal")
			if left := c.Workers(); len(left) > 0 {
				t.Errorf("workers are left: %v", left)
			}
		}
	})

	// What is not ours is in the way, and stays as it is.
	refused(t, c, 3, []string{"not installed"}, rig.Download, "service", "status")
	refused(t, c, 3, []string{"not installed"}, rig.Download, "service", "uninstall")
	refused(t, c, 3, []string{"nothing of vpn"}, rig.Download, "uninstall", "--yes")
	c.Write(definition, foreign)
	refused(t, c, 5, []string{definition, "hint: "}, rig.Download, "service", "install", "--yes")
	refused(t, c, 5, []string{definition}, rig.Download, "service", "uninstall")
	if got := c.Must("cat", definition); got != foreign {
		t.Errorf("the foreign definition is now:\n%s", got)
	}
	c.Must("rm", definition)
	c.Write(rig.Installed, "another program\n")
	refused(t, c, 5, []string{rig.Installed, "--force"}, rig.Download, "service", "install", "--yes")
	c.Must("rm", rig.Installed)
	refused(t, c, 2, []string{"--yes"}, rig.Download, "service", "install") // nobody can be asked
	refused(t, c, 2, []string{"/home"}, rig.Download, "service", "install", "--yes", "--data-dir", "/home/alice/vpn")
	wouldDo(t, c, []string{"copy this program to " + rig.Installed, "make the group vpn", "write " + definition, "start the service"},
		rig.Download, "service", "install")
	same(t, before, c.Files(), "after refusals and a dry run")

	// Installed, it answers.
	install = func() serviceStatus {
		t.Helper()
		c.Must(rig.Download, "service", "install", "--yes")
		return statusOf(t, c, 0)
	}
	s := install()
	if s.State != "running" || !s.Enabled || s.File != "current" || s.DataDir != "/var/lib/vpn" || s.Binary != rig.Installed ||
		s.PID == 0 || time.Since(s.Since) > time.Minute {
		t.Errorf("status: %+v", s)
	}
	if again := install(); again.PID != s.PID {
		t.Errorf("installing again has restarted it: process %d, it was %d", again.PID, s.PID)
	}
	refused(t, c, 5, []string{"runs already"}, "vpn", "serve")
	wouldDo(t, c, nil, rig.Download, "service", "install")
	wouldDo(t, c, []string{"stop the service and its servers", "remove " + definition}, "vpn", "service", "uninstall")
	if all := c.Must("vpn", "uninstall", "--dry-run", "-o", "name"); !strings.Contains(all, definition+"\n") || !strings.Contains(all, "/var/lib/vpn\n") {
		t.Errorf("would be removed: %q", all)
	}
	// What another data directory has beside it is not named and not touched.
	c.Must("vpn", "--data-dir", "/srv/other", "server", "create", "main", "--target", "self", "--public-host", rig.ServerAddr)
	others := strings.TrimSpace(c.Must("readlink", "/srv/other/run"))
	all := c.Must("vpn", "uninstall", "--dry-run", "-o", "name")
	if own := strings.TrimSpace(c.Must("readlink", "/var/lib/vpn/run")); !strings.Contains(all, own+"\n") ||
		strings.Contains(all, others) || strings.Contains(all, "/run/vpn\n") {
		t.Errorf("beside %s, would be removed: %q", others, all)
	}
	c.Must("rm", "-r", "/srv/other")
	if tried := statusOf(t, c, 0); tried.PID != s.PID || tried.File != "current" {
		t.Errorf("after dry runs: %+v", tried)
	}

	// Who is in the group may; who is not, is told how.
	refused(t, c, 4, []string{"not open to you", "group vpn", "usermod"}, "runuser", "-u", "bob", "--", "vpn", "users", "list")
	refused(t, c, 4, []string{"sudo vpn service install"}, "runuser", "-u", "bob", "--", "vpn", "service", "install")
	refused(t, c, 4, []string{"sudo vpn uninstall"}, "runuser", "-u", "bob", "--", "vpn", "uninstall", "--yes")
	c.Must("usermod", "-aG", "vpn", "alice")
	c.Must("runuser", "-u", "alice", "--", "vpn", "users", "create", "carol")
	if list := c.Must("vpn", "users", "list", "-q"); strings.TrimSpace(list) != "carol" {
		t.Errorf("users: %q", list)
	}
	c.Must("runuser", "-u", "alice", "--", "vpn", "service", "status")

	// Changed by hand, it is not overwritten unless that is wanted.
	c.Write(definition, c.Must("cat", definition)+"# mine\n")
	if s := statusOf(t, c, 0); s.File != "edited" {
		t.Errorf("changed by hand: %+v", s)
	}
	refused(t, c, 5, []string{"changed by hand"}, rig.Download, "service", "install", "--yes")
	c.Must(rig.Download, "service", "install", "--yes", "--force")
	if s := statusOf(t, c, 0); s.File != "current" {
		t.Errorf("forced: %+v", s)
	}

	// Users and keys outlive the service, and the program.
	c.Must("vpn", "service", "uninstall", "--yes")
	refused(t, c, 3, []string{"not installed"}, "vpn", "service", "status")
	if list := c.Must("vpn", "users", "list", "-q"); strings.TrimSpace(list) != "carol" {
		t.Errorf("users after the service: %q", list)
	}
	install()
	c.Must("vpn", "uninstall", "--yes", "--keep-data")
	refused(t, c, 3, []string{"not installed"}, rig.Download, "service", "status")
	left := slices.DeleteFunc(c.Files().New(before), func(path string) bool { return strings.HasPrefix(path, "/var/lib/vpn") })
	if len(left) > 0 {
		t.Errorf("with the data kept, more is left: %v", left)
	}
	install()
	if list := c.Must("vpn", "users", "list", "-q"); strings.TrimSpace(list) != "carol" {
		t.Errorf("users after the program: %q", list)
	}

	// A daemon that somebody runs by hand is in the way of another.
	c.Must("vpn", "service", "uninstall", "--yes")
	byHand(t, c, "serve")
	refused(t, c, 5, []string{"by hand", "kill"}, rig.Download, "service", "install", "--yes")
	refused(t, c, 5, []string{"by hand"}, rig.Download, "uninstall", "--yes")
	c.Must("sh", "-c", "kill "+daemonPID)
	rig.Until(t, 10*time.Second, func() error {
		if r := c.Run("vpn", "status"); strings.Contains(r.Out, "running since") {
			return fmt.Errorf("the daemon runs still")
		}
		return nil
	})
	return install
}

// wouldDo checks what the dry run of a command says to programs.
func wouldDo(t *testing.T, c *rig.Container, want []string, args ...string) {
	t.Helper()
	var got struct {
		Would  []string
		DryRun bool `json:"dry_run"`
	}
	decode(t, c.Must(append(args, "--dry-run", "-o", "json")...), &got)
	if !got.DryRun || !slices.Equal(got.Would, want) {
		t.Errorf("%v --dry-run: %+v", args, got)
	}
}

// stopsAnyway checks that a stop ends the one server, whatever is wrong with
// the configuration and the store by then.
func stopsAnyway(t *testing.T, c *rig.Container, control func(verb string) []string) {
	t.Helper()
	stop := func(with string) {
		t.Helper()
		c.Must(control("stop")...)
		if left := c.Workers(); len(left) > 0 {
			t.Errorf("a stop with %s: workers %v", with, left)
		}
	}
	start := func() {
		t.Helper()
		c.Must(control("start")...)
		oneWorker(t, c)
	}
	c.Write("/etc/vpn/config.yaml", "log_levl: x\n")
	stop("a bad configuration")
	c.Must("rm", "/etc/vpn/config.yaml")
	start()

	set := c.Run("vpn", "config", "set", "data_dir", "/opt/x")
	if move := strings.Join(control("stop"), " ") + "; mv /var/lib/vpn /opt/x; vpn service install"; set.Status != 0 || !strings.Contains(set.Err, move) {
		t.Errorf("vpn config set data_dir: %q is not in: %+v", move, set)
	}
	stop("another data directory in the configuration")
	c.Must("rm", "-r", "/etc/vpn")
	start()

	c.Must("sh", "-c", "cd /var/lib/vpn && mkdir good && mv vpn.db* good/ && head -c 8192 /dev/urandom >vpn.db")
	stop("a damaged store")
	c.Must("sh", "-c", "test -s /run/vpn/*/*.final") // the last of what was counted
	c.Must("sh", "-c", "cd /var/lib/vpn && rm vpn.db* && mv good/* . && rmdir good")
	start()
}

// endsAgain checks what is said of a service that ends again and again because
// of its store.
func endsAgain(t *testing.T, c *rig.Container, log string) {
	t.Helper()
	rig.Until(t, 10*time.Second, func() error {
		r := c.Run("vpn", "service", "status")
		if r.Status != 6 || !strings.Contains(r.Err, "the service is starting, after ") || !strings.Contains(r.Err, "vpn.db") ||
			!strings.Contains(r.Err, log) || strings.Contains(r.Err, "start it") {
			return fmt.Errorf("vpn service status of what ends again and again: %+v", r)
		}
		return nil
	})
}

// same reports how two listings differ.
func same(t *testing.T, before, after rig.Listing, when string) {
	t.Helper()
	for _, path := range after.New(before) {
		t.Errorf("%s there is: %s %s", when, path, after[path])
	}
	for _, path := range before.New(after) {
		t.Errorf("%s there is no more: %s %s", when, path, before[path])
	}
	for path, was := range before {
		if is, ok := after[path]; ok && is != was {
			t.Errorf("%s %s is %s, it was %s", when, path, is, was)
		}
	}
}
