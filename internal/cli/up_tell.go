package cli

import (
	"context"
	"slices"
	"strings"

	"vpn/internal/vpn"
)

// withoutLinks are ways in as a dry run has them.
func withoutLinks(access []vpn.Access) []vpn.Access {
	out := make([]vpn.Access, 0, len(access))
	for _, a := range access {
		out = append(out, vpn.Access{Server: a.Server, Protocol: a.Protocol, Device: a.Device, Note: a.Note})
	}
	return out
}

// tell says what a run would make. Nothing runs for it but, where there is no
// daemon, the look at the data directory.
func (u *up) tell(ctx context.Context, c *connection, in vpn.NewServer) error {
	servers, err := c.Servers.List(ctx)
	if err != nil {
		return err
	}
	users, err := c.Users.List(ctx, vpn.UserFilter{})
	if err != nil {
		return err
	}
	server, warnings, err := u.firstServer(ctx, c.Servers, in)
	if err != nil {
		return err
	}
	user, access, err := u.firstUser(ctx, c.Users)
	if err != nil {
		return err
	}
	var would []string
	if !c.daemon {
		would = append(would, "run the daemon until ^C")
	}
	switch i := slices.IndexFunc(servers, func(s vpn.ServerInfo) bool { return s.Name == server.Name }); {
	case i < 0:
		would = append(would, "make server "+server.Name+" ("+string(server.Protocol)+")")
	case servers[i].PublicHost != server.PublicHost:
		would = append(would, "set the public host of server "+server.Name+" to "+server.PublicHost)
	}
	if !slices.ContainsFunc(users, func(x vpn.UserInfo) bool { return x.Name == user.Name }) {
		would = append(would, "make user "+user.Name)
	}
	access = withoutLinks(access)
	would = append(would, "print the link of user "+user.Name+" to server "+server.Name)
	return u.printer().show(answer{
		data:  upResult{Server: server, User: user, Access: access, Warnings: warnings, DryRun: true},
		names: []string{user.Name}, plain: accessTable(access), warnings: warnings, done: "would " + strings.Join(would, ", "),
	})
}
