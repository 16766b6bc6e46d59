//go:build unix

package daemon

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// UpgradeSignal makes a control plane go over to the program that is installed.
const UpgradeSignal = syscall.SIGUSR2

// keepOpen says whether a descriptor outlives the execution of a program.
func keepOpen(fd uintptr, keep bool) error {
	flags := unix.FD_CLOEXEC
	if keep {
		flags = 0
	}
	_, err := unix.FcntlInt(fd, unix.F_SETFD, flags)
	return err
}

// become makes this process run another program. It returns only if it fails.
func become(program string, args, env []string) error { return syscall.Exec(program, args, env) }

// bury waits for the children of the program before that have ended: this one
// does not know them, and has none of its own yet.
func bury() {
	for {
		pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		if pid <= 0 && !errors.Is(err, syscall.EINTR) {
			return
		}
	}
}

// mayWrite asks with this process's effective ids, as whom it acts.
func mayWrite(dir string) error {
	return unix.Faccessat(unix.AT_FDCWD, dir, unix.W_OK|unix.X_OK, unix.AT_EACCESS)
}

// lockFork holds up the birth of children, who would keep descriptors open.
func lockFork() (unlock func()) {
	syscall.ForkLock.Lock()
	return syscall.ForkLock.Unlock
}

// ownSession frees a process from this one's terminal.
func ownSession() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
