package client

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"syscall"

	"vpn/internal/vpn"
)

// Unix returns a client of the daemon that listens on the socket at path. It
// dials with the first request.
func Unix(path string) *Client {
	return newClient(&http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, path) },
	})
}

// Probe reports whether a daemon listens on the socket at path. The error is
// of kind [vpn.Unavailable] if none does, and [vpn.Denied] if the caller may
// not ask.
func Probe(ctx context.Context, path string) error {
	conn, err := dial(ctx, path)
	if err != nil {
		return err
	}
	return conn.Close()
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
			Hint: "use sudo, or join the group vpn and log in again: sudo usermod -aG vpn $USER",
		}
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOTDIR):
		return nil, &vpn.Error{
			Kind: vpn.Unavailable, Message: "no daemon answers on " + path, Err: err,
			Hint: "start it: vpn up, or systemctl start vpn",
		}
	}
	return nil, vpn.Errorf(vpn.Unavailable, "the daemon does not answer on %s: %w", path, err).
		WithHint("see its log: journalctl -u vpn")
}
