package cli

import (
	"github.com/spf13/cobra"

	"vpn/internal/vpn"
)

func usersCommand(p *program) *cobra.Command {
	cmd := group("users", "Manage users: limits, links, traffic", `  vpn users create alice --quota 50GB
  vpn users list
  vpn users link alice`,
		usersCreate(p), usersList(p), usersShow(p), usersUpdate(p), usersDelete(p), usersRestore(p), usersReset(p),
		usersEnable(p), usersDisable(p), usersKick(p), usersLink(p), usersQR(p), usersRotate(p), usersDevice(p),
	)
	cmd.Aliases = []string{"user"}
	return cmd
}

func links(access []vpn.Access) []string {
	out := make([]string, 0, len(access))
	for _, a := range access {
		if a.Link != "" { // a dry run has none
			out = append(append(out, a.Link), a.Others...)
		}
	}
	return out
}
