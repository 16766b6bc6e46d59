package cli

import (
	"context"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vpn/internal/client"
	"vpn/internal/protocol/all"
	"vpn/internal/vpn"
)

func serverCreate(p *program) *cobra.Command {
	var flags serverFlags
	cmd := &cobra.Command{
		Use: "create [NAME]", Short: "Create a server, give every user access and start it", Args: exactly("[NAME]"),
		Example: `  vpn server create
  vpn server create paris --port 8443 --public-host vpn.example.org --target www.example.com:443`,
		RunE: func(cmd *cobra.Command, args []string) error {
			in, err := flags.newServer(cmd.Flags())
			if err != nil {
				return err
			}
			if len(args) == 1 {
				in.Name = args[0]
			}
			return p.change(cmd.Context(), orMakeStore, func(ctx context.Context, c *client.Client) (bool, error) {
				return createServer(ctx, p.printer(), c.Servers, in)
			})
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&flags.protocol, "protocol", "", "the `PROTOCOL` that clients speak (default "+string(all.Protocols().All()[0].Name())+")")
	flags.add(fs)
	fs.Var(addrValue(&flags.in.Listen), "listen", "the address to listen on (default every one)")
	fs.Var(prefixList(&flags.in.Allow), "allow", "a private network that users may reach; may be given several times")
	fs.BoolVar(&flags.in.NoCheck, "no-check", false, "take the settings without a check over the network")
	return cmd
}

// serverFlags are the flags of what a new server is.
type serverFlags struct {
	in       vpn.NewServer
	protocol string
	settings settingFlags
}

// add adds the flags that "up" has too.
func (f *serverFlags) add(fs *pflag.FlagSet) {
	fs.Var(portValue(&f.in.Port), "port", "the port to listen on (default one that is free: 443, or from 8443 on; for proxies from 8080 or 1080 on)")
	fs.StringVar(&f.in.PublicHost, "public-host", "", "the `HOST` that clients dial (default the address of this machine)")
	f.settings.add(fs, all.Protocols().All())
}

func (f *serverFlags) newServer(fs *pflag.FlagSet) (vpn.NewServer, error) {
	in := f.in
	p := all.Protocols().All()[0]
	if f.protocol != "" {
		in.Protocol = vpn.Protocol(f.protocol)
		var err error
		if p, err = all.Protocols().Get(in.Protocol); err != nil {
			return in, err
		}
	}
	var err error
	in.Settings, err = f.settings.of(fs, p)
	return in, err
}

type serverCreator interface {
	Create(context.Context, vpn.NewServer) (vpn.ServerChange, error)
}

func createServer(ctx context.Context, out *printer, servers serverCreator, in vpn.NewServer) (bool, error) {
	change, err := servers.Create(ctx, in)
	if err != nil {
		return false, err
	}
	s := change.Server
	if out.json {
		return change.Synced, out.JSON(change)
	}
	if out.quiet {
		return change.Synced, out.lines([]string{s.Name})
	}
	out.note("created server %s (%s)", s.Name, s.Protocol)
	out.warn(append(change.Warnings, problem(s)...)...)
	return change.Synced, out.lines([]string{s.Endpoint})
}
