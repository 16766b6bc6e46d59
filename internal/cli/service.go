package cli

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"vpn/internal/config"
	"vpn/internal/service"
	"vpn/internal/vpn"
)

func serviceCommand(p *program) *cobra.Command {
	return group("service", "Have the daemon started with the machine: install, status, uninstall",
		`  vpn service install
  vpn service status`,
		serviceInstall(p), serviceStatus(p), serviceUninstall(p))
}

// mustBeRoot returns an error unless this process is root's.
func mustBeRoot(command string) error {
	if os.Geteuid() == 0 {
		return nil
	}
	return vpn.Errorf(vpn.Denied, "only root can do this").WithHint("sudo %s", command)
}

// noOtherDaemon returns an error if a daemon that is not the service's has the
// data directory.
func noOtherDaemon(ctx context.Context, p *program, cfg config.Config, st service.Status) error {
	c, err := p.running(ctx, cfg)
	if vpn.KindOf(err) == vpn.Unavailable {
		return nil
	}
	if err != nil {
		return err
	}
	s, err := c.System.Status(ctx)
	if err != nil {
		return err
	}
	if st.PID != 0 && s.PID == st.PID {
		return nil
	}
	return vpn.Errorf(vpn.Conflict, "a daemon that somebody started by hand runs on %s (pid %d)", cfg.DataDir, s.PID).
		WithHint("stop it first: kill %d", s.PID)
}
