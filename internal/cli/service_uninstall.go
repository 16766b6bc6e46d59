package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"vpn/internal/service"
)

func serviceUninstall(p *program) *cobra.Command {
	return &cobra.Command{
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
			if st.State == service.Running {
				question := fmt.Sprintf("Stop the service with its servers, which ends every connection, and remove %s?", st.Definition)
				if err := p.confirm(cmd.Context(), question); err != nil {
					return err
				}
			}
			out := p.printer()
			if err := s.Uninstall(cmd.Context(), func(what string) { out.note("%s", what) }); err != nil {
				return err
			}
			if st.DataDir != "" {
				out.note("users, servers and keys stay in %s", st.DataDir)
			}
			for _, path := range s.DropIns() {
				out.note("%s stays too", path)
			}
			return nil
		},
	}
}
