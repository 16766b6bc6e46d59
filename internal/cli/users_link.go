package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"vpn/internal/client"
	"vpn/internal/vpn"
)

func usersLink(p *program) *cobra.Command {
	var server string
	cmd := &cobra.Command{
		Use: "link NAME", Aliases: []string{"links"}, Short: "Print what a user puts into a client application",
		Example: `  vpn users link alice
  vpn users link alice --server main`,
	}
	cmd.Flags().StringVar(&server, "server", "", "only for the server `NAME`")
	return answers[[]vpn.Access](p, onUser(p, cmd, func(cmd *cobra.Command, name string) error {
		return p.read(cmd.Context(), func(ctx context.Context, c *client.Client) error {
			access, err := accessTo(ctx, c.Users, name, server)
			if err != nil {
				return err
			}
			out := p.printer()
			if err := out.show(answer{
				data: access, names: servers(access), plain: accessTable(access), lines: links(access), quiet: links(access),
			}); err != nil {
				return err
			}
			for _, a := range access {
				if a.Note != "" {
					out.note("%s: %s", a.Server, a.Note)
				}
			}
			return nil
		})
	}))
}

// accessTable is for programs: which link is to which server.
func accessTable(access []vpn.Access) *table {
	t := &table{}
	for _, a := range access {
		for _, link := range append([]string{a.Link}, a.Others...) {
			t.add(a.Server, string(a.Protocol), link)
		}
	}
	return t
}

type accessShower interface {
	Access(context.Context, string) ([]vpn.Access, error)
}

// accessTo returns a user's access to one server, or to all if none is named.
// None at all is an error: there is nothing to print.
func accessTo(ctx context.Context, users accessShower, user, server string) ([]vpn.Access, error) {
	all, err := users.Access(ctx, user)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, vpn.Errorf(vpn.NotFound, "there is no server, and so no link").WithHint("make one: vpn server create")
	}
	if server == "" {
		return all, nil
	}
	var one []vpn.Access
	for _, a := range all {
		if a.Server == server {
			one = append(one, a)
		}
	}
	if len(one) == 0 {
		err := vpn.Errorf(vpn.NotFound, "user %q has no link to a server %q", user, server)
		if near, ok := vpn.Nearest(server, servers(all)); ok {
			return nil, err.WithHint("did you mean %q?", near)
		}
		return nil, err.WithHint("there is: %s", strings.Join(servers(all), ", "))
	}
	return one, nil
}

func servers(access []vpn.Access) []string {
	out := make([]string, 0, len(access))
	for _, a := range access {
		out = append(out, a.Server)
	}
	return out
}
