package process_test

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
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
			if got["Seccomp"] != "2" { // a filter
				t.Errorf("Seccomp is %s", got["Seccomp"])
			}
			score, err := os.ReadFile(fmt.Sprintf("/proc/%d/oom_score_adj", h.PID))
			if err != nil || strings.TrimSpace(string(score)) != "300" {
				t.Errorf("without memory the kernel would end it by the score %s (%v)", score, err)
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
			wantKeptFromOthers(t, b)
		})
	}
}

// wantKeptFromOthers fails the test unless the worker is kept from the control
// plane, which is this process, from other processes of its own uid, and from
// every way to more than it has.
func wantKeptFromOthers(t *testing.T, b *runtimetest.Bench) {
	t.Helper()
	other := exec.Command("sleep", "60")
	h := b.Health(b.Find())
	other.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(h.UID), Gid: uint32(h.UID)}}
	if os.Geteuid() != 0 {
		other.SysProcAttr = nil
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Process.Kill(); _ = other.Wait() }()
	socket := filepath.Join(b.Dir, "api")
	for _, name := range []string{socket, "@" + filepath.Base(b.Dir)} {
		l, err := net.Listen("unix", name)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
	}
	if err := os.Chmod(socket, 0o777); err != nil { // permissions shall not be what keeps it out
		t.Fatal(err)
	}
	for _, pid := range []int{os.Getpid(), other.Process.Pid} {
		for _, verb := range []string{"signal %d", "ptrace %d", "memory %d", "open /proc/%d/mem", "open /proc/%d/environ", "open /proc/%d/maps"} {
			wantRefused(t, b, fmt.Sprintf(verb, pid))
		}
	}
	if h.UID != 0 {
		wantRefused(t, b, "become root")
	}
	for _, command := range []string{
		"unix " + socket, "unix " + socketOf(b), "unix @" + filepath.Base(b.Dir), "write " + logOf(b),
		"capabilities all", "execute /usr/bin/su", "execute /bin/true", "mount /tmp", "write /etc/hosts", "write /dev/kmsg",
	} {
		wantRefused(t, b, command)
	}
}

func wantRefused(t *testing.T, b *runtimetest.Bench, command string) {
	t.Helper()
	err := b.Do("alice", command)
	if err == nil || !strings.Contains(err.Error(), "permission denied") && !strings.Contains(err.Error(), "not permitted") {
		t.Errorf("%s: %v, want it refused", command, err)
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

// The kernel decides anew whether a process may be dumped when a child that
// shares its memory changes its uid; fs.suid_dumpable, which is the machine's,
// says how. The test does in its place what it does where that is not 0.
func TestHidden(t *testing.T) {
	dumpable := func(v uintptr) {
		t.Helper()
		if err := unix.Prctl(unix.PR_SET_DUMPABLE, v, 0, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	for _, before := range []int{0, 1} {
		dumpable(uintptr(before))
		t.Cleanup(func() { dumpable(1) })
		b := runtimetest.NewBench(t, openAsSelf)
		dumpable(1)
		b.Start()
		if now, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0); err != nil || now != before {
			t.Errorf("made by a process that may be dumped: %d; after a start: %d (%v)", before, now, err)
		}
	}
}
