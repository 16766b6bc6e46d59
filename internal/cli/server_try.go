package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"vpn/internal/client"
	"vpn/internal/probe"
	"vpn/internal/protocol/all"
	"vpn/internal/vpn"
)

// serverTrial is what "server test" found.
type serverTrial struct {
	Server    string   `json:"server"`
	Endpoint  string   `json:"endpoint"`
	Connected float64  `json:"connected_ms"` // how long the TCP connection took
	Untried   []string `json:"untried"`      // networks that it listens on too
}

// serverTest is the command "server test". (A file of that name would be a
// test.)
func serverTest(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use: "test NAME", Short: "Try whether a server's port is reached from here",
		Long: `Open a TCP connection to a server as clients do, at the address in their links; if
that fails, at the address that it listens on, to tell a server that does not
answer from one that is not reached. Whether a user is let in is not tried: for
proxies, see: vpn proxy test. A wireguard server answers nobody without a key, so
it cannot be tried.`,
		Example: `  vpn server test main
  vpn server test main -o json`,
		Annotations: map[string]string{"doing": "connecting to the server"},
	}
	return answers[serverTrial](p, onServer(p, cmd, func(cmd *cobra.Command, name string) error {
		var s vpn.ServerDetail
		err := p.read(cmd.Context(), func(ctx context.Context, c *client.Client) (err error) {
			s, err = c.Servers.Show(ctx, name)
			return err
		})
		if err != nil {
			return err
		}
		of, err := all.Protocols().Get(s.Protocol)
		if err != nil {
			return err
		}
		r, err := probe.Server(cmd.Context(), s.ServerInfo, of.Networks())
		if err != nil {
			return err
		}
		t := &table{head: []string{"NAME", "ANSWERS AT", ">CONNECTED", "NOT TRIED"}}
		t.add(s.Name, r.Endpoint, tookCell(r.Took), orDash(strings.Join(r.Untried, ",")))
		return p.printer().show(answer{
			data:  serverTrial{s.Name, r.Endpoint, milliseconds(r.Took), append([]string{}, r.Untried...)},
			names: []string{s.Name}, plain: t, tables: []*table{t},
		})
	}))
}
