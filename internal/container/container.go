// Package container is the entry point of a container that holds this binary
// and nothing else: it does for a worker from inside what the process runtime
// does from outside, and then becomes it. It opens what the worker is to find
// open, and gives up whatever privilege that took.
//
// It knows no engine of containers, and nothing of specs and counters.
package container

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
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

// Dial connects in and out to the control socket of this container, until
// either end has said all: for a control plane that has no other way to it.
func Dial(ctx context.Context, o Options, in io.Reader, out io.Writer) error {
	if err := become(o); err != nil {
		return err
	}
	c, err := dial(ctx, o.RunDir)
	if err != nil {
		return vpn.Errorf(vpn.Unavailable, "connect to the worker: %w", err)
	}
	defer c.Close()
	go func() {
		_, _ = io.Copy(c, in)
		if u, ok := c.(*net.UnixConn); ok {
			_ = u.CloseWrite()
		}
	}()
	if _, err := io.Copy(out, c); err != nil {
		return vpn.Errorf(vpn.Unavailable, "talk with the worker: %w", err)
	}
	return nil
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
