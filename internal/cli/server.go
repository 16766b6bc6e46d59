package cli

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"vpn/internal/client"
	"vpn/internal/vpn"
)

func serverCommand(p *program) *cobra.Command {
	cmd := group("server", "Manage servers: create, start, stop, logs",
		serverCreate(p), serverList(p), serverShow(p), serverUpdate(p), serverStart(p), serverStop(p), serverRestart(p),
		serverDelete(p), serverLogs(p), serverStatus(p),
	)
	cmd.Aliases = []string{"servers"}
	return cmd
}

// serverChange is what is done to one server.
type serverChange func(context.Context, string) (vpn.ServerChange, error)

// serverVerb is a command that does one thing to one server; did is the word
// for having done it.
func serverVerb(p *program, verb, short, did string, change func(*client.Client) serverChange) *cobra.Command {
	return &cobra.Command{
		Use: verb + " NAME", Short: short, Args: exactly("NAME"), Example: "  vpn server " + verb + " main",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.change(cmd.Context(), ofStore, func(ctx context.Context, c *client.Client) (bool, error) {
				return changeServer(ctx, p.printer(), change(c), args[0], did)
			})
		},
	}
}

func changeServer(ctx context.Context, out *printer, change serverChange, name, did string) (bool, error) {
	done, err := change(ctx, name)
	if err != nil {
		return false, err
	}
	if out.json {
		return done.Synced, out.JSON(done)
	}
	out.note("%s server %s", did, done.Server.Name)
	out.warn(done.Warnings...)
	out.warn(problem(done.Server)...)
	return done.Synced, nil
}

// problem says why a server that should run does not, if it is known.
func problem(s vpn.ServerInfo) []string {
	if s.Problem == "" || s.State == vpn.Stopped {
		return nil
	}
	return []string{"server " + s.Name + " is " + string(s.State) + ": " + s.Problem}
}

func serverTable(list []vpn.ServerInfo) *table {
	t := &table{head: []string{"NAME", "STATE", "PROTOCOL", "ENDPOINT", ">ONLINE", ">UP", ">DOWN", ">USED"}}
	for _, s := range list {
		t.add(s.Name, string(s.State), string(s.Protocol), s.Endpoint, strconv.Itoa(s.Online),
			formatNow(s.Rate.Up), formatNow(s.Rate.Down), formatUsed(s.Used))
	}
	return t
}
