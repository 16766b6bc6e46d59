//go:build linux

package rig

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A Container is a small Debian which its init system has booted. The product
// lies there as somebody has just downloaded it, at [Download].
type Container struct {
	Root string // its file system, seen from here
	t    testing.TB
	init int
	pids string // its process namespace
}

// Paths in a container.
const (
	Download  = "/root/vpn"          // the product
	Installed = "/usr/local/bin/vpn" // where "service install" puts it
)

// Boot boots a container with systemd and a network of its own, which ends
// with the test.
func Boot(t testing.TB) *Container {
	t.Helper()
	c := unpack(t, "systemd-root.tar")
	// wait-online would wait for a network that comes later.
	c.boot(func() error {
		if state := strings.TrimSpace(c.Run("systemctl", "is-system-running").Out); state != "running" {
			return fmt.Errorf("systemd is %q: %s", state, c.Run("systemctl", "--failed", "--no-legend").Out)
		}
		return nil
	}, append([]string{"-b", "systemd.mask=systemd-networkd-wait-online.service"}, detector("systemd.setenv=")...)...)
	c.showIfFailed("journalctl", "-n", "80", "--no-pager")
	c.findRaces("journalctl", "-u", "vpn", "-o", "cat", "--no-pager")
	return c
}

// BootOpenRC is Boot with OpenRC.
func BootOpenRC(t testing.TB) *Container {
	t.Helper()
	c := unpack(t, "openrc-root.tar")
	c.boot(func() error {
		if level := strings.TrimSpace(c.Run("rc-status", "--runlevel").Out); level != "default" {
			return fmt.Errorf("the runlevel is %q", level)
		}
		return nil
	}, "/sbin/openrc-init")
	c.showIfFailed("tail", "-n", "80", "/var/log/vpn.log")
	c.findRaces("sh", "-c", "cat /var/log/vpn.log || :") // which is there once the service has run
	return c
}

// findRaces looks in the end for what the race detector says: in what a command
// prints, and in the product's own logs.
func (c *Container) findRaces(args ...string) {
	if !Slow() {
		return
	}
	c.t.Cleanup(func() {
		wantNoRaces(c.t, strings.Join(args, " "), c.Must(args...))
		logs, _ := filepath.Glob(filepath.Join(c.Root, "var/lib/*/logs/*"))
		for _, path := range logs {
			text, err := os.ReadFile(path)
			if err != nil {
				c.t.Error(err)
			}
			wantNoRaces(c.t, path, string(text))
		}
	})
}

func (c *Container) showIfFailed(args ...string) {
	c.t.Cleanup(func() {
		if c.t.Failed() {
			c.t.Logf("%s:\n%s", strings.Join(args, " "), c.Run(args...).Out)
		}
	})
}

func unpack(t testing.TB, archive string) *Container {
	t.Helper()
	c := &Container{Root: t.TempDir(), t: t}
	run(t, "tar", "-C", c.Root, "-xf", CacheFile(t, archive))
	c.install(os.Getenv(envBinary), Download, 0o755)
	return c
}

// boot boots the container with these arguments of systemd-nspawn and waits
// until it is up. No machined and no systemd are needed on this machine.
func (c *Container) boot(up func() error, args ...string) {
	c.t.Helper()
	t := c.t
	// Its name has to differ from those of others that run now.
	name := strings.ToLower(filepath.Base(filepath.Dir(c.Root)))
	nspawn := exec.Command("sh", append([]string{
		"-c", `for group in $0; do echo $$ >"$group/cgroup.procs"; done; exec systemd-nspawn "$@"`, strings.Join(ownGroups(t), " "),
		"-q", "--register=no", "--keep-unit", "-D", c.Root, "--machine=" + name,
		"--private-network", "--link-journal=no",
		// Which nspawn's own filter leaves out, and machines have.
		"--system-call-filter=landlock_create_ruleset landlock_add_rule landlock_restrict_self",
	}, append(coverage("--bind=", ":"+coverDir), args...)...)...)
	var out bytes.Buffer
	nspawn.Stdout, nspawn.Stderr = &out, &out
	if err := nspawn.Start(); err != nil {
		t.Fatalf("start systemd-nspawn: %v", err)
	}
	ended := make(chan struct{})
	go func() {
		_ = nspawn.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		if c.init > 0 {
			_ = unix.Kill(c.init, unix.SIGKILL) // it takes all others with it
		}
		select {
		case <-ended:
		case <-time.After(15 * time.Second):
			_ = nspawn.Process.Kill()
			<-ended
		}
	})
	Until(t, 30*time.Second, func() error {
		select {
		case <-ended:
			t.Fatalf("systemd-nspawn has ended:\n%s", out.String())
		default:
		}
		children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", nspawn.Process.Pid))
		if err != nil {
			return err
		}
		first, _, _ := strings.Cut(string(children), " ")
		if c.init, err = strconv.Atoi(first); err != nil {
			return fmt.Errorf("no init yet: %w", err)
		}
		return up()
	})
	c.pids, _ = os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", c.init))
}

// coverDir is where commands in a container write coverage.
const coverDir = "/cover"

// coverage returns the directory for coverage between two words, if coverage
// is wanted.
func coverage(before, after string) []string {
	if dir := os.Getenv(envCover); dir != "" {
		return []string{before + dir + after}
	}
	return nil
}

// detector returns the race detector's options behind a word, if there are any:
// a program that has it ends a second later without them, after each command.
func detector(before string) []string {
	if options := os.Getenv("GORACE"); options != "" {
		return []string{before + "GORACE=" + options}
	}
	return nil
}

// World returns a world around the container, which trusts its site.
func (c *Container) World() *World {
	c.t.Helper()
	w := worldAround(c.t, newHost(c.t, "server", c.init))
	c.install(w.Site.CAFile, "etc/ssl/certs/ca-certificates.crt", 0o644)
	return w
}

func (c *Container) install(from, to string, mode os.FileMode) {
	c.t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		c.t.Fatal(err)
	}
	to = filepath.Join(c.Root, to)
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(to, b, mode); err != nil {
		c.t.Fatal(err)
	}
}

// Run runs a program inside.
func (c *Container) Run(args ...string) Result {
	c.t.Helper()
	cmd := exec.Command("nsenter", append([]string{"-t", strconv.Itoa(c.init), "-a"}, args...)...)
	cmd.Env = append([]string{"PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"}, detector("")...)
	if len(coverage("", "")) > 0 {
		cmd.Env = append(cmd.Env, "GOCOVERDIR="+coverDir)
	}
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	start := time.Now()
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	timer := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	_ = cmd.Wait()
	timer.Stop()
	return Result{out.String(), errs.String(), cmd.ProcessState.ExitCode(), time.Since(start)}
}

// Must is Run for a program that has to succeed.
func (c *Container) Must(args ...string) string {
	c.t.Helper()
	r := c.Run(args...)
	if r.Status != 0 {
		c.t.Fatalf("%s: status %d\n%s%s", strings.Join(args, " "), r.Status, r.Out, r.Err)
	}
	return r.Out
}

// Workers returns the worker processes inside, by their ids outside.
func (c *Container) Workers() []int {
	var inside []int
	for _, pid := range processesOf(Installed, "worker") {
		if ns, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", pid)); err == nil && ns == c.pids {
			inside = append(inside, pid)
		}
	}
	return inside
}

func run(t testing.TB, program string, args ...string) {
	t.Helper()
	if out, err := exec.Command(program, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
}
