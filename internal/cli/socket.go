package cli

import (
	"context"

	"vpn/internal/client"
	"vpn/internal/daemon"
	"vpn/internal/vpn"
)

// named returns a connection to the daemon at the socket that --socket names.
// Nothing takes its place: if nobody answers there, the command fails, and no
// data directory of this machine is looked at.
func (p *program) named(ctx context.Context) (*connection, error) {
	path := p.global.socket
	if err := client.Probe(ctx, path); err != nil {
		if vpn.KindOf(err) != vpn.Unavailable {
			return nil, err
		}
		return nil, &vpn.Error{
			Kind: vpn.Unavailable, Message: "no daemon answers on " + path, Err: err,
			Hint: "is the way to it open? " + tunnel(path),
		}
	}
	return &connection{Client: client.Unix(path), daemon: true, close: func() error { return nil }}, nil
}

// tunnel is the command that brings the socket of a daemon elsewhere to path.
func tunnel(path string) string {
	return "ssh -N -o StreamLocalBindUnlink=yes -L " + path + ":" + daemon.SystemSocket + " root@HOST"
}
