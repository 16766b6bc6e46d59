package process

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"vpn/internal/worker"
)

// A proc is a process held by a pidfd: it is never confused with a later one
// that has its number. It need not be a child of this one.
type proc struct {
	pid  int
	fd   *os.File
	done chan struct{}
	born bool // started by this program, which waits for it; set before watch
}

var errEnded = errors.New("the process has ended")

// openProc takes hold of a process; errEnded if there is none.
func openProc(pid int) (*proc, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	switch {
	case errors.Is(err, unix.ESRCH):
		return nil, errEnded
	case err != nil:
		return nil, fmt.Errorf("hold process %d (this needs Linux 5.3): %w", pid, err)
	}
	if exited(fd) {
		_ = unix.Close(fd)
		return nil, errEnded
	}
	// Only a descriptor that does not block joins the runtime's poller, which
	// waits for any number of processes without a thread for each.
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("hold process %d: %w", pid, err)
	}
	return &proc{pid: pid, fd: os.NewFile(uintptr(fd), "pidfd"), done: make(chan struct{})}, nil
}

// exited reports whether the process of a pidfd has ended; one that nobody
// has waited for yet has.
func exited(fd int) bool {
	p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(p, 0)
		if !errors.Is(err, unix.EINTR) {
			return err == nil && n == 1
		}
	}
}

// watch closes Done when the process ends. It returns then, or when p is
// closed.
func (p *proc) watch() {
	raw, err := p.fd.SyscallConn()
	if err == nil {
		err = raw.Read(func(fd uintptr) bool {
			if !exited(int(fd)) {
				return false
			}
			if !p.born {
				// It may be a child of this process all the same, started by
				// the program that this process ran before.
				_ = unix.Waitid(unix.P_PIDFD, int(fd), nil, unix.WEXITED|unix.WNOHANG, nil)
			}
			return true
		})
	}
	if err == nil {
		close(p.done)
		p.close()
	}
}

func (p *proc) close() { _ = p.fd.Close() }

// Done is closed when the process has ended.
func (p *proc) Done() <-chan struct{} { return p.done }

// Resume lets the process go on if it is suspended.
func (p *proc) Resume() error { return p.signal(unix.SIGCONT) }

// Terminate asks the process to stop in order.
func (p *proc) Terminate() error { return p.signal(unix.SIGTERM) }

// Kill ends the process at once.
func (p *proc) Kill() error { return p.signal(unix.SIGKILL) }

func (p *proc) signal(s syscall.Signal) error {
	raw, err := p.fd.SyscallConn()
	if err == nil {
		var sent error
		err = raw.Control(func(fd uintptr) { sent = unix.PidfdSendSignal(int(fd), s, nil, 0) })
		err = errors.Join(err, sent)
	}
	if err == nil || errors.Is(err, unix.ESRCH) || p.ended() {
		return nil
	}
	return fmt.Errorf("send %s to process %d: %w", s, p.pid, err)
}

func (p *proc) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// isWorker reports whether a process was started as a worker. It tells one
// from the control plane that made its socket, which is named by the socket
// until the worker listens on it. Where processes hide from each other it
// reports true: the only other possibility is about to end.
func isWorker(pid int) bool {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
	if err != nil {
		return true
	}
	args := strings.Split(string(b), "\x00")
	return len(args) > 1 && args[1] == worker.Command
}
