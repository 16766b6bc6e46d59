package worker

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// confinedEnv tells the second image what the first could give up.
const confinedEnv = "VPN_WORKER_CONFINED"

// processName is what ps and top show; the kernel would take it from the
// path, /proc/self/exe.
const processName = "vpn-worker"

// backlog bounds the control planes' connections that are not accepted yet.
// It is large so that a worker that hangs can still be connected to, and so
// be named by its socket, after many calls that it never took.
const backlog = 4096

// claim calls listen on a socket that listens already, so that the socket
// names this process as its peer and no longer the control plane that made it.
func claim(fd int) error {
	return os.NewSyscallError("listen", unix.Listen(fd, backlog))
}

// confine gives up, for good, what no worker needs: every capability but
// that of binding low ports, gaining new ones by executing a file, the file
// system but what name resolution and TLS read (Landlock), other processes
// (seccomp, see [filter]), core dumps and the eyes of other processes of its
// uid. It reports whether the kernel has Landlock.
//
// Most of these belong to one thread, and a Go process has several. So the
// first call gives them up on its own thread and executes the binary again:
// the new image begins as that thread alone. The first call returns only if
// it fails; the second one, in the new image, completes the rest.
func confine(log *slog.Logger) (confined bool, err error) {
	if v, again := os.LookupEnv(confinedEnv); again {
		if err := os.Unsetenv(confinedEnv); err != nil {
			return false, err
		}
		return v == strconv.FormatBool(true), hide(log)
	}
	volunteer(log)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := keepOnly(unix.CAP_NET_BIND_SERVICE); err != nil {
		return false, err
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return false, fmt.Errorf("set no new privileges: %w", err)
	}
	switch abi := landlockABI(); {
	case abi < 1:
		log.Warn("the kernel has no Landlock, or it is switched off: file permissions alone protect other files from this worker")
	default:
		if err := landlock(abi, workerFiles(os.Geteuid())); err != nil {
			return false, err
		}
		confined = true
	}
	switch err := filter(); {
	case errors.Is(err, errNoFilter):
		log.Warn("no filter of system calls can be had here: little keeps this worker from processes of the same uid")
	case err != nil:
		return false, err
	}
	// What the control plane itself was started with, unknowingly: a pipe
	// whose other end waits for the last of its writers to go. Kernels before
	// 5.11 do not know how.
	first := uint(FinalFD + 1)
	if tunnel() != 0 {
		first = TunnelFD + 1
	}
	_ = unix.CloseRange(first, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
	env := append(os.Environ(), confinedEnv+"="+strconv.FormatBool(confined))
	if err := syscall.Exec("/proc/self/exe", os.Args, env); err != nil {
		return false, fmt.Errorf("execute the worker confined: %w", err)
	}
	return false, nil
}

// killFirst is how much sooner than others a worker is ended when the machine
// has no memory left, of 1000. Only its own users notice, and it is back
// within a second; the control plane and the administrator's shell stay.
const killFirst = 300

// volunteer makes the worker the one that the kernel ends first.
func volunteer(log *slog.Logger) {
	const file = "/proc/self/oom_score_adj"
	b, err := os.ReadFile(file)
	if err == nil {
		if now, bad := strconv.Atoi(strings.TrimSpace(string(b))); bad == nil && now >= killFirst {
			return
		}
		err = os.WriteFile(file, []byte(strconv.Itoa(killFirst)), 0)
	}
	if err != nil {
		log.Debug("worker does not volunteer to be ended without memory", slog.Any("err", err))
	}
}

// hide does what belongs to the process and not to a thread.
func hide(log *slog.Logger) error {
	if err := setName(processName); err != nil {
		log.Debug("process could not be named", slog.Any("err", err))
	}
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("forbid core dumps: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("forbid tracing: %w", err)
	}
	return nil
}

// setName names the process. The file is the thread group's; prctl would name
// whichever thread runs this.
func setName(name string) error {
	f, err := os.OpenFile("/proc/self/comm", os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(name)
	return err
}

// keepOnly leaves this thread, and what it executes, at most the capability
// keep, and that only if it has it.
func keepOnly(keep uint) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var caps [2]unix.CapUserData
	if err := unix.Capget(&header, &caps[0]); err != nil {
		return fmt.Errorf("read capabilities: %w", err)
	}
	has := func(c uint) bool { return caps[c/32].Permitted&(1<<(c%32)) != 0 }
	// Root gets whatever is in the bounding set back when it executes a file.
	if has(unix.CAP_SETPCAP) {
		for c := uint(0); c <= unix.CAP_LAST_CAP; c++ {
			if c == keep {
				continue
			}
			// EINVAL: this kernel is older than the capability.
			if err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(c), 0, 0, 0); err != nil && !errors.Is(err, unix.EINVAL) {
				return fmt.Errorf("drop capability %d: %w", c, err)
			}
		}
	}
	kept := has(keep)
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("drop ambient capabilities: %w", err)
	}
	caps[0].Inheritable, caps[1].Inheritable = 0, 0
	if kept {
		caps[keep/32].Inheritable = 1 << (keep % 32)
	}
	if err := unix.Capset(&header, &caps[0]); err != nil {
		return fmt.Errorf("drop inheritable capabilities: %w", err)
	}
	if !kept {
		return nil
	}
	// No new privileges: a file capability of the binary would be lost.
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, uintptr(keep), 0, 0); err != nil {
		return fmt.Errorf("keep capability %d: %w", keep, err)
	}
	return nil
}

// processorTime returns for how long the cores have computed for this process,
// all together.
func processorTime() time.Duration {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &ts) != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}

// residentMemory returns a function that tells how many bytes of memory this
// process occupies. It opens its file once, since a worker that is not
// dumpable does not own its own files in /proc.
func residentMemory() func() uint64 {
	f, err := os.Open("/proc/self/statm")
	if err != nil {
		return func() uint64 { return 0 }
	}
	page := uint64(os.Getpagesize())
	return func() uint64 {
		var b [128]byte
		n, err := f.ReadAt(b[:], 0)
		if err != nil && !errors.Is(err, io.EOF) {
			return 0
		}
		fields := strings.Fields(string(b[:n]))
		if len(fields) < 2 {
			return 0
		}
		pages, err := strconv.ParseUint(fields[1], 10, 64)
		if err != nil {
			return 0
		}
		return pages * page
	}
}
