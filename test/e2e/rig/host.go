//go:build linux

package rig

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A Host is one machine: a network namespace and a mount namespace. Neither
// has a name that could be left behind; they end with the test's process and
// what it started in them.
type Host struct {
	Name string
	jobs chan func() // run on the host's own thread, from which processes inherit
	net  *os.File
	path string // of the network namespace, for programs
}

// newHost returns a host without links, or, for a pid, one that shares the
// network of that process.
func newHost(t testing.TB, name string, pid int) *Host {
	t.Helper()
	h := &Host{Name: name, jobs: make(chan func())}
	ready := make(chan error)
	go h.live(pid, ready)
	if err := <-ready; err != nil {
		t.Fatalf("make host %s: %v", name, err)
	}
	t.Cleanup(func() {
		close(h.jobs)
		h.net.Close()
	})
	if pid == 0 {
		h.IP(t, "link set lo up")
	}
	return h
}

// Network is where the host's network namespace is, for nsenter --net.
func (h *Host) Network() string { return h.path }

// Inside returns how args are run on the host by a program that is not of it.
func (h *Host) Inside(args ...string) []string {
	return append([]string{"nsenter", "--net=" + h.path, "--mount=" + strings.TrimSuffix(h.path, "net") + "mnt"}, args...)
}

// live makes the host's thread. The thread is never unlocked, so it ends with
// this goroutine, and the kernel then kills what was started from it.
func (h *Host) live(pid int, ready chan<- error) {
	runtime.LockOSThread()
	err := h.enter(pid)
	ready <- err
	if err != nil {
		return
	}
	for f := range h.jobs {
		f()
	}
}

func (h *Host) enter(pid int) error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("unshare mounts: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if pid == 0 {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("unshare network: %w", err)
		}
	} else if err := setNetwork(fmt.Sprintf("/proc/%d/ns/net", pid)); err != nil {
		return err
	}
	h.path = fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), unix.Gettid())
	var err error
	h.net, err = os.Open(h.path)
	return err
}

func setNetwork(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.Setns(int(f.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter network of %s: %w", path, err)
	}
	return nil
}

// Do runs f in the host's network. f must do its work on its own goroutine.
func (h *Host) Do(f func() error) error {
	runtime.LockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer home.Close()
	if err := unix.Setns(int(h.net.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("enter host %s: %w", h.Name, err)
	}
	ferr := f()
	// A thread that cannot go home stays locked, and dies with its goroutine.
	if err := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("leave host %s: %w", h.Name, err)
	}
	runtime.UnlockOSThread()
	return ferr
}

// do runs f on the host's own thread: in its network and with its mounts.
func (h *Host) do(f func() error) error {
	done := make(chan error)
	h.jobs <- func() { done <- f() }
	return <-done
}

// Bind shows the host's processes the file at from in place of the file at to.
func (h *Host) Bind(t testing.TB, from, to string) {
	t.Helper()
	if err := h.do(func() error { return unix.Mount(from, to, "", unix.MS_BIND, "") }); err != nil {
		t.Fatalf("bind %s over %s: %v", from, to, err)
	}
}

// Start starts cmd on the host. The kernel kills it when the host ends, or
// sends the signal that cmd wants then.
func (h *Host) Start(cmd *exec.Cmd) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &unix.SysProcAttr{}
	}
	if cmd.SysProcAttr.Pdeathsig == 0 {
		cmd.SysProcAttr.Pdeathsig = unix.SIGKILL
	}
	return h.do(cmd.Start)
}

// IP runs commands of ip(8), one each.
func (h *Host) IP(t testing.TB, commands ...string) {
	t.Helper()
	cmd := exec.Command("ip", "-batch", "-")
	cmd.Stdin = strings.NewReader(strings.Join(commands, "\n") + "\n")
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	err := h.Start(cmd)
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		t.Fatalf("ip on host %s: %v\n%s", h.Name, err, out.String())
	}
}

// link joins two hosts by a cable, whose ends carry these addresses.
func link(t testing.TB, a *Host, addrsA []string, b *Host, addrsB []string) {
	t.Helper()
	devA, devB := "to-"+b.Name, "to-"+a.Name
	a.IP(t, fmt.Sprintf("link add %s type veth peer name %s netns %s", devA, devB, b.path))
	up := func(h *Host, dev string, addrs []string) {
		var cs []string
		for _, addr := range addrs {
			c := fmt.Sprintf("addr add %s dev %s", addr, dev)
			if strings.Contains(addr, ":") {
				c += " nodad"
			}
			cs = append(cs, c)
		}
		h.IP(t, append(cs, "link set "+dev+" up")...)
	}
	up(a, devA, addrsA)
	up(b, devB, addrsB)
}

// forwardNothing makes the host no router, whatever the machine is.
func (h *Host) forwardNothing(t testing.TB) {
	t.Helper()
	err := h.Do(func() error {
		return errors.Join(
			os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("0"), 0),
			os.WriteFile("/proc/sys/net/ipv6/conf/all/forwarding", []byte("0"), 0))
	})
	if err != nil {
		t.Fatalf("host %s: %v", h.Name, err)
	}
}

// Listen listens on the host until the test ends.
func (h *Host) Listen(t testing.TB, addr string) net.Listener {
	t.Helper()
	var l net.Listener
	err := h.Do(func() (err error) {
		l, err = net.Listen("tcp", addr)
		return err
	})
	if err != nil {
		t.Fatalf("listen on host %s: %v", h.Name, err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// ListenPacket listens for datagrams on the host until the test ends.
func (h *Host) ListenPacket(t testing.TB, addr string) net.PacketConn {
	t.Helper()
	var c net.PacketConn
	err := h.Do(func() (err error) {
		c, err = net.ListenPacket("udp", addr)
		return err
	})
	if err != nil {
		t.Fatalf("listen on host %s: %v", h.Name, err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// Dial connects from the host. addr is an IP address and a port.
func (h *Host) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	var c net.Conn
	err := h.Do(func() (err error) {
		c, err = new(net.Dialer).DialContext(ctx, network, addr)
		return err
	})
	return c, err
}

// Listening returns how many sockets on the host listen, by TCP port.
func (h *Host) Listening() (map[int]int, error) {
	ports := map[int]int{}
	err := h.Do(func() error {
		for _, family := range []string{"tcp", "tcp6"} {
			b, err := os.ReadFile("/proc/thread-self/net/" + family)
			if err != nil {
				return err
			}
			for line := range strings.Lines(string(b)) {
				f := strings.Fields(line) // sl local_address rem_address st …
				const listening = "0A"
				if len(f) < 4 || f[3] != listening {
					continue
				}
				_, text, _ := strings.Cut(f[1], ":")
				port, err := strconv.ParseUint(text, 16, 16)
				if err != nil {
					return fmt.Errorf("read sockets: %w", err)
				}
				ports[int(port)]++
			}
		}
		return nil
	})
	return ports, err
}
