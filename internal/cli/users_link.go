package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"vpn/internal/client"
	"vpn/internal/vpn"
)

func usersLink(p *program) *cobra.Command {
	var server, device string
	cmd := &cobra.Command{
		Use: "link NAME", Aliases: []string{"links"}, Short: "Print what a user puts into a client application",
		Example: `  vpn users link alice
  vpn users link alice --server main
  vpn users link alice --device phone`,
	}
	cmd.Flags().StringVar(&server, "server", "", "only for the server `NAME`")
	cmd.Flags().StringVar(&device, "device", "", "only for the `DEVICE`; '' is the user's own links")
	return answers[[]vpn.Access](p, onUser(p, cmd, func(cmd *cobra.Command, name string) error {
		return p.read(cmd.Context(), func(ctx context.Context, c *client.Client) error {
			access, err := accessTo(ctx, c.Users, name, server, device)
			if err != nil {
				return err
			}
			if cmd.Flags().Changed("device") && device == "" {
				if access, err = ownOf(access); err != nil {
					return err
				}
			}
			out := p.printer()
			if err := out.show(answer{
				data: access, names: servers(access), plain: accessTable(access), lines: linesOf(access), quiet: links(access),
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
		if a.Link != "" || len(a.Others) == 0 { // a dry run has neither
			t.add(a.Server, string(a.Protocol), a.Link)
		}
		for _, link := range a.Others {
			t.add(a.Server, string(a.Protocol), link)
		}
	}
	return t
}

type accessShower interface {
	Access(context.Context, string) ([]vpn.Access, error)
}

// accessTo returns a user's access to one server, and of one device, or to all
// if none is named. None at all is an error: there is nothing to print.
func accessTo(ctx context.Context, users accessShower, user, server, device string) ([]vpn.Access, error) {
	all, err := users.Access(ctx, user)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, vpn.Errorf(vpn.NotFound, "there is no server that lets the user in, and so no link").
			WithHint("make one: vpn server create; or see: vpn users show %s", printable(user))
	}
	if all, err = only(all, user, "server", server, func(a vpn.Access) string { return a.Server }); err == nil {
		all, err = only(all, user, "device", device, func(a vpn.Access) string { return a.Device })
	}
	if e, ok := errors.AsType[*vpn.Error](err); ok {
		e.Message = fmt.Sprintf("user %q has no link %s", user, e.Message)
	}
	return all, err
}

// only returns what of all is wanted by the name that of returns, or says
// which names there are.
func only(all []vpn.Access, user, what, want string, of func(vpn.Access) string) ([]vpn.Access, error) {
	if want == "" {
		return all, nil
	}
	var some []vpn.Access
	var names []string
	for _, a := range all {
		if of(a) == want {
			some = append(some, a)
		}
		if name := of(a); name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(some) > 0 {
		return some, nil
	}
	err := vpn.Errorf(vpn.NotFound, "to a server %q", want)
	if what == "device" {
		err = vpn.Errorf(vpn.NotFound, "for a device %q", want)
	}
	if near, ok := vpn.Nearest(want, names); ok {
		return nil, err.WithHint("did you mean %q?", near)
	}
	if len(names) == 0 {
		return nil, err.WithHint("no device has keys of its own; give it some: vpn users device add %s %s", printable(user), printable(want))
	}
	return nil, err.WithHint("there is: %s", strings.Join(names, ", "))
}

// ownOf returns what is no device's, but the user's own. None at all is an
// error.
func ownOf(access []vpn.Access) ([]vpn.Access, error) {
	own := slices.DeleteFunc(slices.Clone(access), func(a vpn.Access) bool { return a.Device != "" })
	if len(own) == 0 {
		return nil, vpn.Errorf(vpn.NotFound, "all links there are devices'").WithHint("name one of them: --device")
	}
	return own, nil
}

func servers(access []vpn.Access) []string {
	out := make([]string, 0, len(access))
	for _, a := range access {
		out = append(out, a.Server)
	}
	return out
}
