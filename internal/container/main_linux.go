package container

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"vpn/internal/vpn"
	"vpn/internal/worker"
)

// tunFile is where TUN devices are had.
const tunFile = "/dev/net/tun"

// Main makes what a worker finds open, gives up root if it was started as
// that, and executes the binary as the worker. It returns only if that fails.
//
// An engine of containers gives a process that does not start as root no
// capabilities at all, and takes file capabilities from it. So whoever needs
// one starts as root, with no other capabilities than that one and the two to
// become somebody else.
func Main(o Options) error {
	// What follows belongs to one thread, which executes the worker.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	tunnel := -1
	if o.Tunnel != "" {
		var err error
		if tunnel, err = attach(o.Tunnel); err != nil {
			return err
		}
	}
	if unix.Geteuid() == 0 {
		uid, gid, err := owner(o)
		if err == nil {
			err = dropRoot(uid, gid)
		}
		if err != nil {
			return err
		}
	}
	socket, err := listen(filepath.Join(o.RunDir, Socket))
	if err != nil {
		return err
	}
	null, err := unix.Open(os.DevNull, unix.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", os.DevNull, err)
	}
	env := append(os.Environ(), worker.StateEnv+"="+o.StateDir)
	if o.Anywhere {
		env = append(env, worker.AnywhereEnv+"=1")
	}
	return execute(socket, null, tunnel, []string{"vpn", worker.Command, o.Name}, env)
}

// execute puts the descriptors where the worker looks for them and executes
// it. These may be the Go runtime's own, which it needs no more.
func execute(socket, null, tunnel int, args, env []string) error {
	// Out of the way of each other first.
	from := []int{socket, null, tunnel}
	for i, fd := range from {
		if fd < 0 {
			continue
		}
		up, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 64)
		if err != nil {
			return fmt.Errorf("move a descriptor: %w", err)
		}
		from[i] = up
	}
	for i, to := range []int{worker.ListenerFD, worker.FinalFD, worker.TunnelFD} {
		if from[i] < 0 {
			continue
		}
		if err := unix.Dup3(from[i], to, 0); err != nil {
			return fmt.Errorf("move a descriptor: %w", err)
		}
	}
	if err := syscall.Exec("/proc/self/exe", args, env); err != nil {
		return fmt.Errorf("execute the worker: %w", err)
	}
	return nil
}

// attach opens a TUN device that exists: the kernel lets its owner do so
// without a capability. Its form is what router.Open gives a worker.
func attach(name string) (int, error) {
	fd, err := unix.Open(tunFile, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return -1, vpn.Errorf(vpn.Unavailable, "open %s: %w", tunFile, err)
	}
	request, err := unix.NewIfreq(name)
	if err == nil {
		request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, vpn.Errorf(vpn.Unavailable, "attach to the TUN device %s: %w", name, err).
			WithHint("restart the server: the daemon makes its device anew")
	}
	return fd, nil
}

// owner returns who is to serve.
func owner(o Options) (uid, gid int, err error) {
	var st unix.Stat_t
	if err := unix.Stat(o.StateDir, &st); err != nil {
		return 0, 0, fmt.Errorf("see whose %s is: %w", o.StateDir, err)
	}
	if st.Uid == 0 {
		return o.UID, o.UID, nil
	}
	return int(st.Uid), int(st.Gid), nil
}

// dropRoot makes this thread, and what it executes, another user who keeps
// the capability of binding low ports, if it is there.
func dropRoot(uid, gid int) error {
	if err := unix.Prctl(unix.PR_SET_KEEPCAPS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("keep capabilities: %w", err)
	}
	// The kernel's calls, about one thread: those of package syscall are
	// about all, and this program is about to be another.
	for _, c := range []struct {
		what             string
		call, a1, a2, a3 uintptr
	}{
		{"leave all groups", unix.SYS_SETGROUPS, 0, 0, 0},
		{"change the group", unix.SYS_SETRESGID, uintptr(gid), uintptr(gid), uintptr(gid)},
		{"change the user", unix.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid)},
	} {
		if _, _, errno := unix.RawSyscall(c.call, c.a1, c.a2, c.a3); errno != 0 {
			return fmt.Errorf("%s: %w", c.what, errno)
		}
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var caps [2]unix.CapUserData
	if err := unix.Capget(&header, &caps[0]); err != nil {
		return fmt.Errorf("read capabilities: %w", err)
	}
	keep := caps[0].Permitted & (1 << unix.CAP_NET_BIND_SERVICE)
	caps[0] = unix.CapUserData{Effective: keep, Permitted: keep, Inheritable: keep}
	caps[1] = unix.CapUserData{}
	if err := unix.Capset(&header, &caps[0]); err != nil {
		return fmt.Errorf("drop capabilities: %w", err)
	}
	if keep == 0 {
		return nil
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, unix.CAP_NET_BIND_SERVICE, 0, 0); err != nil {
		return fmt.Errorf("keep the capability to bind low ports: %w", err)
	}
	return nil
}

// listen makes the control socket, in place of one that an earlier worker has
// left, and returns its descriptor.
func listen(path string) (int, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return -1, fmt.Errorf("remove the last control socket: %w", err)
	}
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		// Before it is bound: the file is made with this mode.
		if e := c.Control(func(fd uintptr) { err = unix.Fchmod(int(fd), 0o600) }); e != nil {
			return e
		}
		return err
	}}
	l, err := lc.Listen(context.Background(), "unix", path)
	if err != nil {
		return -1, fmt.Errorf("make the control socket: %w", err)
	}
	ul := l.(*net.UnixListener)
	ul.SetUnlinkOnClose(false)
	f, err := ul.File()
	if err != nil {
		return -1, fmt.Errorf("make the control socket: %w", err)
	}
	defer ul.Close()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	return fd, errors.Join(err, f.Close())
}

// become makes this process, if it is root, the one whose socket it is to
// open: root without its capabilities may open nobody else's.
func become(o Options) error {
	if os.Geteuid() != 0 {
		return nil
	}
	uid, gid, err := owner(o)
	if err != nil {
		return err
	}
	if err := syscall.Setgroups(nil); err != nil {
		return fmt.Errorf("leave all groups: %w", err)
	}
	if err := syscall.Setresgid(gid, gid, gid); err != nil {
		return fmt.Errorf("change the group: %w", err)
	}
	if err := syscall.Setresuid(uid, uid, uid); err != nil {
		return fmt.Errorf("change the user: %w", err)
	}
	return nil
}
