// Package container is the entry point of a container that holds this binary
// and nothing else: it does for a worker from inside what the process runtime
// does from outside, and then becomes it. It opens what the worker is to find
// open, and gives up whatever privilege that took.
//
// It knows no engine of containers, and nothing of specs and counters.
package container

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"vpn/internal/vpn"
	"vpn/internal/worker"
)

// Command is the argument that the binary is started with in a container; what
// it is to do follows: [Run] and a server's name, [HealthCheck] or [Stream].
const (
	Command     = "container"
	Run         = "run"
	HealthCheck = "health"
	Stream      = "dial"
)

// Socket is the name of the control socket in its directory.
const Socket = "control.sock"

// Options say what a container's worker is to find.
type Options struct {
	Name string // the server's

	// StateDir outlives the container, and RunDir holds the control socket.
	// Both belong to the uid that is to serve: who starts as root becomes the
	// owner of StateDir, or UID if root is.
	StateDir, RunDir string
	UID              int

	// Tunnel is the name of a TUN device that exists and belongs to the uid
	// that starts; empty for none.
	Tunnel string

	// Anywhere makes the worker listen on every address.
	Anywhere bool
}

// healthTimeout bounds how long a worker may take to say how it is.
const healthTimeout = 3 * time.Second

// Health returns nil if the worker of this container answers.
func Health(ctx context.Context, o Options) error {
	if err := become(o); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	c := worker.NewClient(func(ctx context.Context) (net.Conn, error) { return dial(ctx, o.RunDir) }, nobody{})
	defer c.Close()
	_, err := c.Health(ctx)
	return err
}

const (
	// birthWait is how long a worker may take to be there.
	birthWait = 3 * time.Second
	birthPoll = 5 * time.Millisecond

	// A stream on which nothing moves for as long as streamIdle ends: whoever
	// began it says something each second, or hangs up, unless its machinery
	// is dead. streamRest is for what is still to be said after one side has
	// said all.
	streamIdle = time.Minute
	streamRest = 5 * time.Second
)

// Dial connects in and out to the control socket of this container, until
// either end has said all, or none says anything for a minute: for a control
// plane that has no other way to it. A worker that is just being started is
// waited for.
func Dial(ctx context.Context, o Options, in io.Reader, out io.Writer) error {
	if err := become(o); err != nil {
		return err
	}
	c, err := awaitSocket(ctx, o.RunDir)
	if err != nil {
		return vpn.Errorf(vpn.Unavailable, "connect to the worker: %w", err)
	}
	defer c.Close()
	return stream(c, in, out)
}

// stream does not wait for a write or a read that blocks: the process is over
// when it returns.
func stream(c net.Conn, in io.Reader, out io.Writer) error {
	rest := time.NewTimer(streamIdle)
	defer rest.Stop()
	moves := make(chan struct{}, 1)
	moved := func() {
		select {
		case moves <- struct{}{}:
		default:
		}
	}
	said, heard := make(chan error, 1), make(chan error, 1)
	go func() { said <- relay(c, in, moved) }()
	go func() { heard <- relay(out, c, moved) }()
	for {
		select {
		case err := <-heard:
			if err != nil {
				return vpn.Errorf(vpn.Unavailable, "talk with the worker: %w", err)
			}
			return nil
		case <-moves:
			if said != nil {
				rest.Reset(streamIdle)
			}
		case <-said:
			said = nil
			rest.Reset(streamRest)
			if u, ok := c.(*net.UnixConn); ok {
				_ = u.CloseWrite()
			}
		case <-rest.C:
			return nil
		}
	}
}

// relay copies until the end of from, and calls moved for each piece.
func relay(to io.Writer, from io.Reader, moved func()) error {
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		if n > 0 {
			moved()
			if _, err := to.Write(b[:n]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// awaitSocket connects as soon as somebody listens.
func awaitSocket(ctx context.Context, dir string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, birthWait)
	defer cancel()
	for {
		c, err := dial(ctx, dir)
		if err == nil || !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ECONNREFUSED) {
			return c, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(birthPoll):
		}
	}
}

func dial(ctx context.Context, dir string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "unix", filepath.Join(dir, Socket))
}

// nobody is the process of a worker that is only asked.
type nobody struct{}

func (nobody) Resume() error         { return nil }
func (nobody) Terminate() error      { return nil }
func (nobody) Kill() error           { return os.ErrInvalid }
func (nobody) Done() <-chan struct{} { return nil }
