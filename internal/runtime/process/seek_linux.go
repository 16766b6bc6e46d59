package process

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"vpn/internal/vpn"
	"vpn/internal/worker"
)

const (
	// A worker that is being born takes over its socket some milliseconds
	// after the process that made it has gone on, or has died.
	birthTimeout = 5 * time.Second
	birthPoll    = 2 * time.Millisecond
)

// seek finds the process that serves the server's socket: nil if there is
// none. It waits for one that is just being born, of which born says that this
// program has started it.
func (w *Workers) seek(ctx context.Context, id vpn.ServerID, born bool) (*attached, error) {
	ctx, cancel := context.WithTimeout(ctx, birthTimeout)
	defer cancel()
	poll := time.NewTicker(birthPoll)
	defer poll.Stop()
	path := w.path(id, socketSuffix)
	for {
		p, err := holder(ctx, path)
		switch {
		case err == nil:
			p.born = born
			return attach(path, p), nil
		case errors.Is(err, errNobody):
			return nil, nil
		case !errors.Is(err, errUnborn):
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, vpn.Errorf(vpn.Unavailable, "a worker of server %s is being born and does not get on", id)
		case <-poll.C:
		}
	}
}

var (
	errNobody = errors.New("nobody listens")
	errUnborn = errors.New("the worker has not taken over its socket yet")
)

// holder takes hold of the worker that listens at path. The number that the
// socket names is that of a living process and of no later one if the socket
// still answers after the process was taken hold of: nobody else has the
// socket open, so it would be dead with its worker.
func holder(ctx context.Context, path string) (*proc, error) {
	pid, err := listenerPID(ctx, path)
	if err != nil {
		return nil, err
	}
	if pid == os.Getpid() || !isWorker(pid) {
		return nil, errUnborn
	}
	p, err := openProc(pid)
	if errors.Is(err, errEnded) {
		return nil, errUnborn
	}
	if err != nil {
		return nil, err
	}
	again, err := listenerPID(ctx, path)
	if err == nil && again != pid {
		err = errUnborn
	}
	if err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// listenerPID returns the process that the socket at path names: the last one
// to call listen on it.
func listenerPID(ctx context.Context, path string) (int, error) {
	conn, pid, err := dial(ctx, path)
	switch {
	case err == nil:
		conn.Close()
		return pid, nil
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ECONNREFUSED):
		return 0, errNobody
	case errors.Is(err, syscall.EAGAIN):
		return 0, vpn.Errorf(vpn.Unavailable, "the worker at %s takes no more connections", path).
			WithHint("find it with: fuser -v %s", path)
	default:
		return 0, fmt.Errorf("connect to a worker: %w", err)
	}
}

func dial(ctx context.Context, path string) (net.Conn, int, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, 0, err
	}
	pid, err := peer(conn.(*net.UnixConn))
	if err != nil {
		conn.Close()
		return nil, 0, fmt.Errorf("ask who listens at %s: %w", path, err)
	}
	return conn, pid, nil
}

func peer(conn *net.UnixConn) (int, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	var asked error
	err = raw.Control(func(fd uintptr) {
		cred, asked = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err := errors.Join(err, asked); err != nil {
		return 0, err
	}
	if cred.Pid == 0 {
		return 0, errors.New("it lives in another pid namespace")
	}
	return int(cred.Pid), nil
}

// attached is a worker that this process holds.
type attached struct {
	*worker.Client
	proc *proc
}

// attach begins to watch p and returns the worker that it is.
func attach(path string, p *proc) *attached {
	a := &attached{proc: p}
	a.Client = worker.NewClient(func(ctx context.Context) (net.Conn, error) {
		conn, pid, err := dial(ctx, path)
		if err == nil && pid != p.pid {
			conn.Close()
			return nil, errEnded // what listens there now is another worker
		}
		return conn, err
	}, p)
	go func() {
		p.watch()
		a.Close()
	}()
	return a
}

// release lets go of the worker, which lives on.
func (a *attached) release() {
	a.proc.close()
	a.Close()
}
