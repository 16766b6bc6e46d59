package cli

import (
	"context"
	"runtime"

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
			Hint: "is the way to it open? " + wayTo(path, runtime.GOOS),
		}
	}
	return &connection{Client: client.Unix(path), daemon: true, close: func() error { return nil }}, nil
}

// wayTo tells how a daemon elsewhere is asked from a machine that runs goos,
// at best by bringing its socket to path.
func wayTo(path, goos string) string {
	if goos == "windows" { // whose own ssh cannot forward sockets that are files
		return "from Windows, run vpn over there: ssh root@HOST vpn status"
	}
	return "ssh -N -o StreamLocalBindUnlink=yes -L " + path + ":" + daemon.SystemSocket + " root@HOST"
}
