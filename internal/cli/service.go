package cli

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"vpn/internal/config"
	"vpn/internal/daemon"
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
	if isComposed(cfg.DataDir) {
		return vpn.Errorf(vpn.Conflict, "the daemon on %s is that of a Compose project", cfg.DataDir).
			WithHint("stop the project first: vpn compose down")
	}
	return vpn.Errorf(vpn.Conflict, "a daemon that somebody started by hand runs on %s (pid %d)", cfg.DataDir, s.PID).
		WithHint("stop it first: kill %d", s.PID)
}

// serviceChange is what a change of the service says as JSON: how the service
// is now.
type serviceChange struct {
	service.Status

	Would  []string `json:"would,omitempty"` // what a dry run has not done, in the order in which it is done
	DryRun bool     `json:"dry_run,omitempty"`
}

// optionsOf returns the options of a data directory that a service has,
// whatever the configuration says.
func optionsOf(p *program, dataDir string) (daemon.Options, error) {
	from := sources(p)
	from.Flags = map[string]string{"data_dir": dataDir}
	cfg, err := config.LoadAnyway(from)
	if err != nil {
		return daemon.Options{}, err
	}
	return p.daemonOptions(cfg, silent)
}

// serversIn returns how many servers run in a data directory.
func serversIn(ctx context.Context, p *program, dataDir string) (int, error) {
	o, err := optionsOf(p, dataDir)
	if err != nil {
		return 0, err
	}
	return daemon.CountWorkers(ctx, o)
}

// endServers returns what ends the servers that a service's stop has left in a
// data directory, unless they are those of a daemon that somebody runs by hand.
func endServers(p *program, dataDir string) func(context.Context) (int, error) {
	return func(ctx context.Context) (int, error) {
		if dataDir == "" {
			return 0, nil
		}
		o, err := optionsOf(p, dataDir)
		if err != nil {
			return 0, err
		}
		if _, err := p.running(ctx, o.Config); vpn.KindOf(err) != vpn.Unavailable {
			return 0, err
		}
		if n, err := daemon.CountWorkers(ctx, o); err != nil || n == 0 {
			return 0, err // not a store is opened for nothing
		}
		ended, err := daemon.EndWorkers(ctx, o)
		if err == nil && ended.Unsaved != nil {
			p.printer().warn(unsaved(ended))
		}
		return ended.Workers, err
	}
}
