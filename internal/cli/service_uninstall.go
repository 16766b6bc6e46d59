package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"vpn/internal/service"
)

func serviceUninstall(p *program) *cobra.Command {
	return changes[serviceChange](p, &cobra.Command{
		Use: "uninstall", Short: "Stop the daemon and its servers, and have them started no more", Args: exactly(),
		Long: `Stop the service, which ends every connection, and take it away from the init
system. Users, servers and keys stay, and so does this program: vpn up, or
another vpn service install, goes on with them. To remove everything: vpn uninstall`,
		Example: `  vpn service uninstall
  vpn service uninstall --yes`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := mustBeRoot("vpn service uninstall"); err != nil {
				return err
			}
			s, err := service.Detect()
			if err != nil {
				return err
			}
			st, err := s.Status(cmd.Context())
			if err != nil {
				return unanswered(st, err)
			}
			dataDir := st.DataDir
			if st.State == service.Running {
				question := fmt.Sprintf("Stop the service with its servers, which ends every connection, and remove %s?", st.Definition)
				if err := p.confirm(cmd.Context(), question); err != nil {
					return err
				}
			}
			out := p.printer()
			said := answer{names: []string{service.Name}}
			var would []string
			if p.global.dryRun {
				if would, err = s.WouldUninstall(st); err != nil {
					return err
				}
				said.done = "would " + strings.Join(would, " and ")
			} else {
				if err := s.Uninstall(cmd.Context(), endServers(p, dataDir), func(what string) { out.note("%s", what) }); err != nil {
					return err
				}
				if st, err = s.Status(cmd.Context()); err != nil {
					return unanswered(st, err)
				}
			}
			if dir := dataDir; dir != "" {
				said.next = append(said.next, "users, servers and keys stay in "+dir)
			}
			for _, path := range s.DropIns() {
				said.next = append(said.next, path+" stays too")
			}
			said.data, said.plain = serviceChange{st, would, p.global.dryRun}, serviceRow(st)
			return out.show(said)
		},
	})
}
