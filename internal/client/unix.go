package client

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/user"
	"syscall"
	"time"

	"vpn/internal/vpn"
)

// Unix returns a client of the daemon that listens on the socket at path. It
// dials with the first request.
func Unix(path string) *Client {
	return newClient(&http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, path) },
	})
}

// Found returns a client of the daemon whose socket find finds. It is looked
// for with each connection: a daemon may come, go, and come elsewhere.
func Found(find func() (string, error)) *Client { return newClient(found(find)) }

func found(find func() (string, error)) *http.Transport {
	return &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			path, err := find()
			if err != nil {
				return nil, err
			}
			return dial(ctx, path)
		},
	}
}

// ErrSilent is what the error of [Probe] holds if a daemon is there and says
// nothing.
var ErrSilent = errors.New("no answer")

// answerWait is how long a daemon may think about nothing at all.
const answerWait = 5 * time.Second

// Probe reports whether a daemon answers on the socket at path. The error is
// of kind [vpn.Unavailable] if none does, and [vpn.Denied] if the caller may
// not ask.
func Probe(ctx context.Context, path string) error {
	conn, err := dial(ctx, path)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(answerWait))
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	// What it answers does not matter; that the kernel took the connection
	// says nothing of a process that is stopped.
	_, err = io.WriteString(conn, "HEAD / HTTP/1.0\r\n\r\n")
	if err == nil {
		_, err = io.ReadFull(conn, make([]byte, 1))
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return vpn.Errorf(vpn.Unavailable, "the daemon on %s does not answer: %w", path, ErrSilent).
			WithHint("it is stopped or stuck; find it with: fuser -v %s", path)
	}
	return vpn.Errorf(vpn.Unavailable, "the daemon on %s hung up: %w", path, err).WithHint("it may be ending: try again")
}

// letIn says how to get at a socket that is root's and group vpn's.
func letIn() string {
	if _, err := user.LookupGroup("vpn"); err != nil {
		return "use sudo"
	}
	return "use sudo, or join the group vpn and log in again: sudo usermod -aG vpn $USER"
}

func dial(ctx context.Context, path string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
	switch {
	case err == nil:
		return conn, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, fs.ErrPermission):
		return nil, &vpn.Error{
			Kind: vpn.Denied, Message: "the daemon's socket " + path + " is not open to you", Err: err,
			Hint: letIn(),
		}
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOTDIR):
		return nil, &vpn.Error{
			Kind: vpn.Unavailable, Message: "no daemon answers on " + path, Err: err,
			Hint: "start it: vpn up; as a service: sudo vpn service install",
		}
	}
	return nil, vpn.Errorf(vpn.Unavailable, "the daemon does not answer on %s: %w", path, err).
		WithHint("see its log: journalctl -u vpn")
}
