package cli

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/spf13/cobra"

	"vpn/internal/config"
	"vpn/internal/daemon"
	"vpn/internal/vpn"
)

func serveCommand(p *program) *cobra.Command {
	var (
		check, managed, endWorkers bool
		afterStop                  string
	)
	cmd := &cobra.Command{
		Use: "serve", Short: "Run the daemon: serve what was configured", Args: exactly(),
		Long: `Run the daemon in the foreground: it runs every server that is meant to run and
answers the other commands. Under systemd its end leaves the servers running,
for the next daemon to take over; started by hand it stops them. To have it
started with the machine: vpn service install`,
		Example: `  vpn serve
  vpn serve --check                          see whether it would start
  vpn serve --supervised                     under a supervisor other than systemd`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if p.global.socket != "" {
				return vpn.Errorf(vpn.Invalid, "--socket is for commands that ask a daemon; this one is the daemon").
					WithHint("leave it out, and unset VPN_SOCKET")
			}
			if err := servesHere(); err != nil {
				return err
			}
			cfg, err := p.config()
			if err != nil {
				return err
			}
			if check {
				p.printer().note("the configuration is good; the data directory is %s", cfg.DataDir)
				return nil
			}
			options, err := p.daemonOptions(cfg, cfg.LogLevel)
			if err != nil {
				return err
			}
			if afterStop != "" || endWorkers {
				if err := actAsOwner(cfg.DataDir); err != nil {
					return err
				}
				if endWorkers {
					return daemon.EndWorkers(cmd.Context(), options)
				}
				return daemon.AfterStop(cmd.Context(), options, afterStop)
			}
			options.StopWorkers = !managed && !supervised(p.Getenv, os.Getpid())
			return serve(cmd.Context(), p, options)
		},
	}
	cmd.Flags().BoolVar(&check, "check", false, "read the configuration, say what is wrong with it, and end")
	cmd.Flags().StringVar(&afterStop, "after-stop", "", "end the servers that systemd's `UNIT` left, unless it starts again")
	_ = cmd.Flags().MarkHidden("after-stop") // the unit's ExecStopPost is its only user
	cmd.Flags().BoolVar(&managed, "supervised", false, "a supervisor runs it: its end leaves the servers running")
	cmd.Flags().BoolVar(&endWorkers, "end-workers", false, "end the servers that a daemon left")
	_ = cmd.Flags().MarkHidden("end-workers") // OpenRC's script is its only user
	return cmd
}

// serve runs the daemon until ctx ends.
func serve(ctx context.Context, p *program, options daemon.Options) error {
	if err := mustBeAlone(ctx, p, options.Config); err != nil {
		return err
	}
	if err := actAsOwner(options.Config.DataDir); err != nil {
		return err
	}
	if !options.StopWorkers {
		// A reload must not be its end. There is nothing to reload yet.
		signal.Ignore(syscall.SIGHUP)
	} else {
		var stop context.CancelFunc
		ctx, stop = signal.NotifyContext(ctx, syscall.SIGHUP)
		defer stop()
	}
	return daemon.Serve(ctx, options)
}

// supervised reports whether systemd started this process. A shell that
// systemd started hands its INVOCATION_ID on to whatever is started by hand
// there; SYSTEMD_EXEC_PID, which newer versions set, tells them apart.
func supervised(getenv func(string) string, pid int) bool {
	if getenv("NOTIFY_SOCKET") != "" {
		return true
	}
	started := getenv("SYSTEMD_EXEC_PID")
	return getenv("INVOCATION_ID") != "" && (started == "" || started == strconv.Itoa(pid))
}

// mustBeAlone returns an error if a daemon runs already.
func mustBeAlone(ctx context.Context, p *program, cfg config.Config) error {
	c, err := p.running(ctx, cfg)
	if vpn.KindOf(err) == vpn.Unavailable {
		return nil
	}
	if err != nil {
		return err
	}
	pid := ""
	if s, err := c.System.Status(ctx); err == nil {
		pid = fmt.Sprintf(" (pid %d)", s.PID)
	}
	return vpn.Errorf(vpn.Conflict, "a daemon runs already on %s%s", cfg.DataDir, pid).WithHint("see: vpn status")
}
