package cli

import (
	"github.com/spf13/cobra"

	"vpn/internal/protocol"
	"vpn/internal/protocol/all"
)

// proxyCreate is server create, of which the protocol is a proxy's.
func proxyCreate(p *program) *cobra.Command {
	var of []protocol.Protocol
	for _, name := range proxies() {
		for _, known := range all.Protocols().All() {
			if string(known.Name()) == name {
				of = append(of, known)
			}
		}
	}
	return createA(p, protocol.NewSet(of...), "proxy", &cobra.Command{
		Use: "create [NAME]", Aliases: []string{"add"},
		Short: "Create a proxy, give every user access and start it",
		Example: `  vpn proxy create
  vpn proxy create office --protocol http --tls --public-host vpn.example.org
  vpn proxy create home --source 192.0.2.0/24`,
		Annotations: map[string]string{"doing": "making the proxy"},
	})
}
