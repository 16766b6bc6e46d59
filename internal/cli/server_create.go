package cli

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vpn/internal/client"
	"vpn/internal/protocol"
	"vpn/internal/protocol/all"
	"vpn/internal/vpn"
)

func serverCreate(p *program) *cobra.Command {
	return createA(p, all.Protocols(), "", &cobra.Command{
		Use: "create [NAME]", Aliases: []string{"add", "install"},
		Short: "Create a server, give every user access and start it",
		Example: `  vpn server create
  vpn server create paris --port 8443 --public-host vpn.example.org --target www.example.com:443
  vpn server create outline --protocol shadowsocks
  vpn server create phones --protocol wireguard
  vpn server create box --runtime docker --memory 256MB      in a container
  vpn server create paris --dry-run          see what would be chosen`,
		Annotations: map[string]string{"doing": "making the server, and checking its target"},
	})
}

// createA makes cmd a command that creates a server of one of these
// protocols, under that name if no other is given. It returns cmd.
func createA(p *program, protocols protocol.Set, usual string, cmd *cobra.Command) *cobra.Command {
	var name string
	flags := serverFlags{protocols: protocols}
	var home homeFlags
	cmd.Args = exactly("[NAME]")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		in, err := flags.newServer(cmd.Flags())
		if err != nil {
			return err
		}
		in.Name = cmp.Or(name, usual)
		in.Runtime, in.Container = home.runtime, home.container(cmd.Flags())
		if len(args) == 1 {
			if name != "" && name != args[0] {
				return vpn.Errorf(vpn.Invalid, "the server is named twice: %s, and --name %s", args[0], name).WithHint("%s", usage(cmd))
			}
			in.Name = args[0]
		}
		return p.change(cmd.Context(), orMakeStore, func(ctx context.Context, c *client.Client) (bool, error) {
			return createServer(ctx, p.printer(), c.Servers, in)
		})
	}
	fs := cmd.Flags()
	flags.add(fs)
	fs.Var(addrValue(&flags.in.Listen), "listen", "the address to listen on (default every one)")
	fs.Var(prefixList(&flags.in.Allow), "allow", "a private network that users may reach; may be given several times")
	fs.BoolVar(&flags.in.NoCheck, "no-check", false, "take the settings without a check over the network")
	home.add(fs)
	fs.StringVarP(&name, "name", "n", "", "the server's `NAME`")
	_ = fs.MarkHidden("name") // who knows it from elsewhere may go on
	return changes[vpn.ServerChange](p, cmd)
}

// serverFlags are the flags of what a new server is, of one of the protocols.
type serverFlags struct {
	in        vpn.NewServer
	protocols protocol.Set
	protocol  string
	settings  settingFlags
}

// add adds the flags that "up" has too.
func (f *serverFlags) add(fs *pflag.FlagSet) {
	fs.StringVarP(&f.protocol, "protocol", "p", "", "the `PROTOCOL` that clients speak: "+protocolWords(f.protocols))
	fs.Var(portValue(&f.in.Port), "port", "the port to listen on (default a free one: "+portWords(f.protocols)+")")
	fs.StringVar(&f.in.PublicHost, "public-host", "", "the `HOST` that clients dial (default the address of this machine)")
	f.settings.add(fs, f.protocols.All(), false)
}

// protocolWords says in help which protocols there are.
func protocolWords(protocols protocol.Set) string {
	var names []string
	for _, p := range protocols.All() {
		names = append(names, string(p.Name()))
	}
	names[0] += " (default)"
	return strings.Join(names, ", ")
}

// portWords says in help where a server is looked for a port.
func portWords(protocols protocol.Set) string {
	var words, ports []string
	for _, p := range protocols.All() {
		usual := ""
		for _, port := range p.Ports() {
			usual += " " + strconv.Itoa(int(port))
		}
		if i := slices.Index(ports, usual); i >= 0 {
			words[i] += "/" + string(p.Name())
			continue
		}
		words, ports = append(words, string(p.Name())), append(ports, usual)
	}
	for i := range words {
		words[i] += ports[i]
	}
	return strings.Join(words, ", ")
}

func (f *serverFlags) newServer(fs *pflag.FlagSet) (vpn.NewServer, error) {
	in := f.in
	p := f.protocols.All()[0]
	if f.protocol != "" {
		var err error
		if p, err = f.protocols.Get(vpn.Protocol(f.protocol)); err != nil {
			return in, err
		}
	}
	if f.protocol != "" || p.Name() != all.Protocols().All()[0].Name() {
		in.Protocol = p.Name()
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
	a := answer{
		data: change, names: []string{s.Name}, quiet: []string{s.Name}, plain: serverTable(s),
		done:  did(change.DryRun, "create", "created", "server %s (%s)", s.Name, s.Protocol),
		lines: []string{s.Endpoint},
	}
	if !out.quiet {
		a.warnings = append(change.Warnings, problem(s)...)
	}
	return change.Synced, out.show(a)
}
