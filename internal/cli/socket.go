package cli

import (
	"context"
	"io/fs"
	"os"
	"runtime"

	"github.com/spf13/cobra"

	"vpn/internal/client"
	"vpn/internal/daemon"
	"vpn/internal/vpn"
)

// named returns a connection to the daemon at the socket that --socket names.
// Nothing takes its place: if nobody answers there, the command fails, and no
// data directory of this machine is looked at.
func (p *program) named(ctx context.Context) (*connection, error) {
	path := p.global.socket
	if info, err := os.Stat(path); err == nil && info.Mode().Type() != fs.ModeSocket {
		// What brings a socket there would remove it first.
		return nil, vpn.Errorf(vpn.Invalid, "%s is not a socket", path).WithHint("name the daemon's, or one that ssh brings here: %s", daemon.SystemSocket)
	}
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

// hereOnly is the annotation of commands about this machine.
const hereOnly = "here-only"

// ofThisMachine marks a command, and those below it, as about this machine:
// its programs, its init system, its configuration file. Where a daemon
// elsewhere is named they are refused: they would do to this machine what was
// meant for the other, or show its configuration for the other's. It returns
// cmd.
func ofThisMachine(cmd *cobra.Command) *cobra.Command {
	if cmd.Annotations == nil {
		cmd.Annotations = map[string]string{}
	}
	cmd.Annotations[hereOnly] = "true"
	return cmd
}

// mayNameSocket returns an error if --socket or VPN_SOCKET names a daemon to a
// command that asks none.
func mayNameSocket(p *program, cmd *cobra.Command) error {
	if p.global.socket == "" || cmd.HasSubCommands() || asksDaemon(cmd) { // a group only prints its help
		return nil
	}
	for at := cmd; at != nil; at = at.Parent() {
		if at.Annotations[hereOnly] != "" {
			return vpn.Errorf(vpn.Invalid, "--socket is for commands that ask a daemon; this one is about this machine").
				WithHint("leave it out, and unset VPN_SOCKET")
		}
	}
	return nil
}

// wayTo tells how a daemon elsewhere is asked from a machine that runs goos,
// at best by bringing its socket to path.
func wayTo(path, goos string) string {
	if goos == "windows" { // whose own ssh cannot forward sockets that are files
		return "from Windows, run vpn over there: ssh root@HOST vpn status"
	}
	return "ssh -N -o StreamLocalBindUnlink=yes -L " + path + ":" + daemon.SystemSocket + " root@HOST"
}
