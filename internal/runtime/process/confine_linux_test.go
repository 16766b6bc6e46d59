package process_test

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"vpn/internal/app"
	"vpn/internal/runtime/process"
	"vpn/internal/runtime/runtimetest"
	"vpn/internal/vpn"
)

// openAsSelf gives workers no uid of their own.
func openAsSelf(dir string) (app.Workers, error) {
	return process.New(process.Options{RunDir: dir, LogDir: dir})
}

// status returns the fields of a process's status file.
func status(t *testing.T, pid int) map[string]string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := map[string]string{}
	for line := range strings.Lines(string(b)) {
		name, value, _ := strings.Cut(line, ":")
		fields[name] = strings.Join(strings.Fields(value), " ")
	}
	return fields
}

const (
	noCapability = "0000000000000000"
	bindService  = "0000000000000400"
)

func TestPrivileges(t *testing.T) {
	for _, c := range []struct {
		name string
		open runtimetest.Open
		slot uint32
		port uint16 // 0: any
		root bool   // the test needs it
		want map[string]string
	}{
		{
			name: "own uid", open: open, slot: 3, root: true,
			want: map[string]string{
				"Uid": "200003 200003 200003 200003", "Gid": "200003 200003 200003 200003", "Groups": "",
				"CapEff": noCapability, "CapPrm": noCapability, "CapInh": noCapability, "CapAmb": noCapability,
			},
		},
		{
			name: "own uid and a low port", open: open, slot: 4, port: 81, root: true,
			want: map[string]string{
				"Uid": "200004 200004 200004 200004", "Groups": "", "CapEff": bindService, "CapPrm": bindService,
			},
		},
		{
			name: "root's uid and a low port", open: openAsSelf, port: 82, root: true,
			want: map[string]string{"CapEff": bindService, "CapPrm": bindService, "CapBnd": bindService},
		},
		{name: "same uid", open: openAsSelf},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.root {
				needRoot(t)
			}
			b := runtimetest.NewBench(t, c.open)
			b.Server.Slot = c.slot
			if c.port != 0 {
				b.Server.Listen, b.Server.Port = netip.MustParseAddr("127.86.80.78"), c.port
			}
			w := b.Start()
			b.Put(w, b.Spec(1, "alice"))
			if err := b.Do("alice", "echo"); err != nil {
				t.Fatal(err)
			}
			h := b.Health(w)
			got := status(t, h.PID)
			for field, want := range c.want {
				if got[field] != want {
					t.Errorf("%s is %q, want %q", field, got[field], want)
				}
			}
			if got["NoNewPrivs"] != "1" || got["Name"] != "vpn-worker" {
				t.Errorf("NoNewPrivs is %s, Name is %s", got["NoNewPrivs"], got["Name"])
			}
			limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", h.PID))
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(limits)) {
				if f := strings.Fields(line); f[1] == "core" && (f[4] != "0" || f[5] != "0") {
					t.Errorf("core dumps are limited to %s, %s", f[4], f[5])
				}
			}
		})
	}
}

func TestNoUIDLeft(t *testing.T) {
	needRoot(t)
	b := runtimetest.NewBench(t, open)
	b.Server.Slot = uids.Count
	_, err := b.Workers.Start(b.Context(), b.Server)
	if vpn.KindOf(err) != vpn.Unavailable {
		t.Errorf("got %v", err)
	}
}

// A worker must reach its network, its names and its certificates, and none
// of the files that are not its own, whatever their permissions.
func TestConfinement(t *testing.T) {
	for _, c := range []struct {
		name string
		open runtimetest.Open
	}{{"own uid", open}, {"same uid", openAsSelf}} {
		t.Run(c.name, func(t *testing.T) {
			b := runtimetest.NewBench(t, c.open)
			// Permissions shall not be what keeps the worker out.
			if err := os.Chmod(b.Dir, 0o777); err != nil {
				t.Fatal(err)
			}
			secret := filepath.Join(b.Dir, "secret")
			if err := os.WriteFile(secret, []byte("x"), 0o644); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(secret, 0o644); err != nil {
				t.Fatal(err)
			}
			w := b.Start()
			b.Put(w, b.Spec(1, "alice"))
			if !b.Health(w).Confined {
				needLandlock(t)
				t.Fatal("the kernel has Landlock and the worker is not confined")
			}
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			for _, command := range []string{
				"open /etc/resolv.conf", "open /etc/hosts", "open /etc/ssl/certs", "open /proc/sys/net/core/somaxconn",
				"dial " + l.Addr().String(), "resolve localhost",
			} {
				if err := b.Do("alice", command); err != nil {
					t.Errorf("%s: %v", command, err)
				}
			}
			for _, command := range []string{
				"open " + secret, "open " + b.Dir, "open /etc/shadow", "open /", "open /tmp", "open /proc/1/status",
				"open /root", "open /home", "open /var/log", "create " + filepath.Join(b.Dir, "new"), "create /tmp/vpn-new",
			} {
				if err := b.Do("alice", command); err == nil || !strings.Contains(err.Error(), "permission denied") {
					t.Errorf("%s: %v, want permission denied", command, err)
				}
			}
			sleeper := exec.Command("sleep", "60")
			if err := sleeper.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = sleeper.Process.Kill(); _ = sleeper.Wait() }()
			err = b.Do("alice", fmt.Sprintf("signal %d", sleeper.Process.Pid))
			if landlockABI() >= 6 && (err == nil || !strings.Contains(err.Error(), "not permitted")) {
				t.Errorf("signal to another process: %v", err)
			}
		})
	}
}

func landlockABI() int {
	v, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return 0
	}
	return int(v)
}

func needLandlock(t *testing.T) {
	t.Helper()
	if landlockABI() > 0 {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatal("this test needs a kernel with Landlock")
	}
	t.Skip("this test needs a kernel with Landlock")
}

// Other user ids are for workers that start from then on.
func TestSetUIDs(t *testing.T) {
	needRoot(t)
	b := runtimetest.NewBench(t, open)
	b.Server.Slot = 1
	for _, base := range []uint32{uids.Base, 300_000} {
		b.Workers.(*process.Workers).SetUIDs(vpn.UIDRange{Base: base, Count: 2})
		w := b.Start()
		if got := b.Health(w).UID; got != int(base+1) {
			t.Errorf("the worker's user id is %d, want %d", got, base+1)
		}
		kill(t, b, w)
	}
}
