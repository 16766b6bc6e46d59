package cli

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"vpn/internal/client"
	"vpn/internal/vpn"
)

// proxyCommand is the short way to the servers that are proxies.
func proxyCommand(p *program) *cobra.Command {
	return group("proxy", "Manage HTTP and SOCKS5 proxies, which are servers too", `  vpn proxy create --tls --public-host vpn.example.org
  vpn proxy test
  vpn proxy access add proxy 192.0.2.0/24`,
		proxyCreate(p), proxyList(p), proxyStatus(p), proxyTest(p), proxyAccess(p),
	)
}

// proxies are the protocols of proxies, the usual one first.
func proxies() []string { return []string{"mixed", "http", "socks5"} }

func isProxy(s vpn.ServerInfo) bool { return slices.Contains(proxies(), string(s.Protocol)) }

// proxyLister lists the servers that are proxies.
type proxyLister struct{ serverLister }

func (l proxyLister) List(ctx context.Context) ([]vpn.ServerInfo, error) {
	all, err := l.serverLister.List(ctx)
	return slices.DeleteFunc(all, func(s vpn.ServerInfo) bool { return !isProxy(s) }), err
}

func proxyNoun() noun {
	return noun{"proxy", "proxies", "vpn proxy create", func(ctx context.Context, c *client.Client) ([]option, error) {
		list, err := proxyLister{c.Servers}.List(ctx)
		out := make([]option, 0, len(list))
		for _, s := range list {
			out = append(out, option{s.Name, string(s.Protocol)})
		}
		return out, err
	}}
}

// onProxy is onServer for a proxy.
func onProxy(p *program, cmd *cobra.Command, run func(cmd *cobra.Command, name string) error) *cobra.Command {
	return onA(p, proxyNoun(), cmd, run)
}

// aProxy returns a server that has to be a proxy.
func aProxy(ctx context.Context, servers serverShower, name string) (vpn.ServerDetail, error) {
	s, err := servers.Show(ctx, name)
	if err == nil && !isProxy(s.ServerInfo) {
		err = vpn.Errorf(vpn.Invalid, "server %q is no proxy: it speaks %s", s.Name, s.Protocol).
			WithHint("see which are: vpn proxy list; make one: vpn proxy create")
	}
	return s, err
}

// noProxies is said when there are none.
const noProxies = "there are no proxies yet; make one: vpn proxy create"

func proxyList(p *program) *cobra.Command {
	return answers[[]vpn.ServerInfo](p, &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List the proxies", Args: exactly(),
		Example: "  vpn proxy list\n  vpn proxy list -o json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.read(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				return listServers(ctx, p.printer(), proxyLister{c.Servers}, serverTable, noProxies)
			})
		},
	})
}

func proxyStatus(p *program) *cobra.Command {
	return answers[[]vpn.ServerInfo](p, &cobra.Command{
		Use: "status", Short: "Show how the proxies' workers are", Args: exactly(),
		Example: "  vpn proxy status",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.read(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				return listServers(ctx, p.printer(), proxyLister{c.Servers}, workerTable, noProxies)
			})
		},
	})
}

// passwordless is a link as it may be shown to whoever looks on.
func passwordless(link string) string {
	before, host, ok := strings.Cut(link, "@")
	scheme, rest, hasScheme := strings.Cut(before, "://")
	if !ok || !hasScheme {
		return link
	}
	user, _, _ := strings.Cut(rest, ":")
	host, _, _ = strings.Cut(host, "#")
	return scheme + "://" + user + "@" + host
}
