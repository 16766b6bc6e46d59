package cli

import (
	"context"
	"encoding/json"
	"net/netip"
	"slices"

	"github.com/spf13/cobra"

	"vpn/internal/client"
	"vpn/internal/vpn"
)

func proxyAccess(p *program) *cobra.Command {
	return group("access", "Say from which networks clients of a proxy may come", `  vpn proxy access list office
  vpn proxy access add office 192.0.2.0/24
  vpn proxy access remove office 192.0.2.0/24`,
		proxyAccessList(p), proxyAccessAdd(p), proxyAccessRemove(p),
	)
}

// sourcesOf returns the only networks from which clients of a proxy may come;
// none is every one.
func sourcesOf(s vpn.ServerDetail) ([]netip.Prefix, error) {
	var settings struct {
		Sources []netip.Prefix `json:"sources"`
	}
	if err := json.Unmarshal(s.Settings, &settings); err != nil {
		return nil, vpn.Errorf(vpn.Internal, "the settings of server %s cannot be read: %w", s.Name, err)
	}
	return settings.Sources, nil
}

func proxyAccessList(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use: "list NAME", Aliases: []string{"ls"}, Short: "List the networks that clients may come from",
		Example: "  vpn proxy access list office",
	}
	return answers[[]netip.Prefix](p, onProxy(p, cmd, func(cmd *cobra.Command, name string) error {
		return p.read(cmd.Context(), func(ctx context.Context, c *client.Client) error {
			s, err := aProxy(ctx, c.Servers, name)
			if err != nil {
				return err
			}
			sources, err := sourcesOf(s)
			if err != nil {
				return err
			}
			names := namesOf(sources, netip.Prefix.String)
			a := answer{data: orNone(sources), names: names, lines: names, quiet: names, plain: &table{}}
			for _, n := range names {
				a.plain.add(n)
			}
			if len(sources) == 0 {
				a.next = []string{"clients may come from everywhere; only from a network: vpn proxy access add " + s.Name + " CIDR"}
			}
			return p.printer().show(a)
		})
	}))
}

// orNone returns list as one that JSON writes as a list.
func orNone[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func proxyAccessAdd(p *program) *cobra.Command {
	return proxyAccessChange(p, &cobra.Command{
		Use: "add NAME CIDR", Aliases: []string{"add-ip"}, Short: "Let clients come from a network, and from no other that is not listed",
		Example: "  vpn proxy access add office 192.0.2.0/24",
	}, func(proxy string, sources []netip.Prefix, n netip.Prefix) ([]netip.Prefix, error) {
		if slices.Contains(sources, n) {
			return nil, vpn.Errorf(vpn.Conflict, "clients may come from %s already", n).WithHint("see: vpn proxy access list %s", proxy)
		}
		return append(sources, n), nil
	})
}

func proxyAccessRemove(p *program) *cobra.Command {
	return proxyAccessChange(p, &cobra.Command{
		Use: "remove NAME CIDR", Aliases: []string{"rm", "remove-ip"}, Short: "Take a network off the list",
		Long:    "Take a network off the list. When the last one goes, clients may come from\neverywhere again.",
		Example: "  vpn proxy access remove office 192.0.2.0/24",
	}, func(proxy string, sources []netip.Prefix, n netip.Prefix) ([]netip.Prefix, error) {
		if !slices.Contains(sources, n) {
			return nil, vpn.Errorf(vpn.NotFound, "%s is not on the list", n).WithHint("see it: vpn proxy access list %s", proxy)
		}
		return slices.DeleteFunc(slices.Clone(sources), func(s netip.Prefix) bool { return s == n }), nil
	})
}

func proxyAccessChange(p *program, cmd *cobra.Command, edit func(string, []netip.Prefix, netip.Prefix) ([]netip.Prefix, error)) *cobra.Command {
	cmd.Args = exactly("[NAME]", "[CIDR]")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			name, err := chooseA(p, cmd, proxyNoun(), "NAME")
			if err != nil {
				return err
			}
			args = []string{name}
		}
		if len(args) == 1 {
			ask := p.prompter()
			if !ask.able {
				return missing(cmd, "CIDR")
			}
			text, err := ask.line(cmd.Context(), "The network:")
			if err != nil {
				return err
			}
			args = append(args, text)
		}
		network, err := parsePrefix(args[1])
		if err != nil {
			return err
		}
		return p.change(cmd.Context(), ofStore, func(ctx context.Context, c *client.Client) (bool, error) {
			return changeSources(ctx, p.printer(), c.Servers, args[0], network, edit)
		})
	}
	return changes[vpn.ServerChange](p, cmd)
}

type serverReviser interface {
	serverShower
	Update(context.Context, string, vpn.ServerPatch) (vpn.ServerChange, error)
}

func changeSources(ctx context.Context, out *printer, servers serverReviser, name string, network netip.Prefix,
	edit func(string, []netip.Prefix, netip.Prefix) ([]netip.Prefix, error),
) (bool, error) {
	s, err := aProxy(ctx, servers, name)
	if err != nil {
		return false, err
	}
	sources, err := sourcesOf(s)
	if err != nil {
		return false, err
	}
	if sources, err = edit(s.Name, sources, network); err != nil {
		return false, err
	}
	settings, err := json.Marshal(map[string]any{"sources": namesOf(sources, netip.Prefix.String)})
	if err != nil {
		return false, vpn.Errorf(vpn.Internal, "encode the settings: %w", err)
	}
	change, err := servers.Update(ctx, name, vpn.ServerPatch{Settings: settings})
	if err != nil {
		return false, err
	}
	return change.Synced, out.show(answer{
		data: change, names: []string{change.Server.Name}, plain: serverTable(change.Server), warnings: change.Warnings,
		done: did(change.DryRun, "update", "updated", "proxy %s; new clients may come from %s", change.Server.Name, networks(sources)),
	})
}

// networks says where clients may come from.
func networks(sources []netip.Prefix) string {
	if len(sources) == 0 {
		return "everywhere"
	}
	text := sources[0].String()
	for _, s := range sources[1:] {
		text += ", " + s.String()
	}
	return text
}
