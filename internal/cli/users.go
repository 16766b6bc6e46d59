package cli

import (
	"strings"

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

// links are what is handed to a user: links or, where client applications take
// none, the text of the file that they read. A dry run has neither.
func links(access []vpn.Access) []string {
	out := make([]string, 0, len(access))
	for _, a := range access {
		out = append(out, handed(a)...)
	}
	return out
}

// linesOf are links as people are shown them: of several, each file begins with
// its name, in a comment that its readers skip.
func linesOf(access []vpn.Access) []string {
	if len(access) < 2 {
		return links(access)
	}
	out := make([]string, 0, len(access))
	for _, a := range access {
		if a.File != nil {
			out = append(out, "# "+a.File.Name)
		}
		out = append(out, handed(a)...)
	}
	return out
}

func handed(a vpn.Access) []string {
	switch {
	case a.File != nil:
		return []string{strings.TrimSuffix(a.File.Text, "\n")}
	case a.Link != "":
		return append([]string{a.Link}, a.Others...)
	}
	return nil
}

// scanned is what a QR code of a says.
func scanned(a vpn.Access) string {
	if a.File != nil {
		return a.File.Text
	}
	return a.Link
}
