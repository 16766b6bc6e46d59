package cli

import (
	"context"
	"io"
	"io/fs"
	"log"
	"os"
	"os/user"
	"runtime/debug"

	"github.com/spf13/cobra"

	"vpn/internal/client"
	"vpn/internal/daemon"
	"vpn/internal/remote"
	"vpn/internal/service"
	"vpn/internal/vpn"
)

// named returns a connection to the daemon that --socket names. Nothing takes
// its place: if nobody answers there, the command fails, and no data directory
// of this machine is looked at.
func (p *program) named(ctx context.Context) (*connection, error) {
	c, err := namedClient(ctx, p)
	if err != nil {
		return nil, err
	}
	return &connection{Client: c, daemon: true, close: func() error { return nil }}, nil
}

// namedClient returns a client of the daemon that --socket names, and that
// answers.
func namedClient(ctx context.Context, p *program) (*client.Client, error) {
	path := p.global.socket
	if remote.Is(path) {
		place, err := remote.Parse(path)
		if err != nil {
			return nil, err
		}
		p.busy.end() // ssh may ask for a password where that is written
		way, err := remote.Open(ctx, place, p.InTerminal && p.ErrTerminal && !p.global.noInput)
		if err != nil {
			return nil, err
		}
		p.busy.begin(p.doing)
		// net/http tells there what no machine should send. It is told otherwise.
		log.SetOutput(io.Discard)
		return client.Through(way.Transport()), nil
	}
	if info, err := os.Stat(path); err == nil && info.Mode().Type() != fs.ModeSocket {
		// What brings a socket there would remove it first.
		return nil, vpn.Errorf(vpn.Invalid, "%s is not a socket", path).WithHint("name the daemon's: %s", daemon.SystemSocket)
	}
	if err := client.Probe(ctx, path); err != nil {
		if vpn.KindOf(err) != vpn.Unavailable {
			return nil, err
		}
		return nil, &vpn.Error{
			Kind: vpn.Unavailable, Message: "no daemon answers on " + path, Err: err,
			Hint: "one on another machine is asked so: " + elsewhere,
		}
	}
	return client.Unix(path), nil
}

// elsewhere shows how a daemon of another machine is asked.
const elsewhere = "vpn --socket ssh://root@HOST status"

// dialStdioCommand is what [remote.Open] starts on the machine of a daemon.
func dialStdioCommand(p *program) *cobra.Command {
	return &cobra.Command{
		Use: remote.Command, Hidden: true, Short: "Bring requests from standard input to the daemon; started by ssh", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if remote.Is(p.global.socket) {
				return vpn.Errorf(vpn.Invalid, "VPN_SOCKET names a third machine here: %s", p.global.socket).
					WithHint("unset it, and let ssh go there by ProxyJump")
			}
			find := func() (string, error) { return p.global.socket, nil }
			if p.global.socket == "" {
				cfg, err := p.config()
				if err != nil {
					return err
				}
				find = func() (string, error) { return findSocket(cfg.DataDir) }
			}
			path, err := find()
			if err == nil {
				err = client.Probe(cmd.Context(), path)
			}
			if vpn.KindOf(err) == vpn.Denied {
				return fromAfar(err)
			}
			if err != nil {
				return err
			}
			p.stay = func(ctx context.Context) error {
				debug.SetGCPercent(25) // it holds next to nothing, and passes on a lot
				return remote.Serve(ctx, p.In, p.Out, client.Forward(find))
			}
			return nil
		},
	}
}

// fromAfar is a denial for somebody who has no sudo where he is.
func fromAfar(err error) error {
	e := vpn.Errorf(vpn.Denied, "%w", err)
	if _, unknown := user.LookupGroup(service.Name); unknown != nil {
		return e.WithHint("root may ask it, and the user whose it is")
	}
	name := "NAME"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	return e.WithHint("root may ask it, and who is in the group vpn: sudo usermod -aG vpn %s", name)
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
