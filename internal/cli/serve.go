package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"vpn/internal/config"
	"vpn/internal/daemon"
	"vpn/internal/logging"
	"vpn/internal/vpn"
)

func serveCommand(p *program) *cobra.Command {
	var (
		check, endWorkers bool
		afterStop         string
	)
	cmd := &cobra.Command{
		Use: "serve", Short: "Run the daemon: serve what was configured", Args: exactly(),
		Long: `Run the daemon in the foreground: it runs every server that is meant to run and
answers the other commands. Under systemd its end leaves the servers running,
for the next daemon to take over; started by hand it stops them. To have it
started with the machine: vpn service install

SIGUSR2 makes it go over to the program that is installed now, as "vpn upgrade"
does. Under systemd SIGHUP makes it read its configuration again; started by
hand it ends then, with its terminal: use "vpn reload".`,
		Example: `  vpn serve
  vpn serve --check                          see whether it would start
  vpn serve --supervised                     under a supervisor other than systemd`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := servesHere(); err != nil {
				return err
			}
			switch {
			case check:
				return checkServe(cmd.Context(), p)
			case endWorkers:
				return clearUp(p, func(o daemon.Options) (daemon.Ended, error) { return daemon.EndWorkers(cmd.Context(), o) })
			case afterStop != "":
				return clearUp(p, func(o daemon.Options) (daemon.Ended, error) { return daemon.AfterStop(cmd.Context(), o, afterStop) })
			}
			p.stay = func(ctx context.Context) error { return serve(ctx, p) }
			return nil
		},
	}
	cmd.Flags().BoolVar(&check, "check", false, "say whether the daemon would start, and what it would do first; change nothing")
	cmd.Flags().StringVar(&afterStop, "after-stop", "", "end the servers that systemd's `UNIT` left, unless it starts again")
	_ = cmd.Flags().MarkHidden("after-stop") // the unit's ExecStopPost is its only user
	cmd.Flags().BoolVar(&p.global.supervised, "supervised", false, "a supervisor runs it: its end leaves the servers running")
	cmd.Flags().BoolVar(&endWorkers, "end-workers", false, "end the servers that a daemon left")
	_ = cmd.Flags().MarkHidden("end-workers") // OpenRC's script is its only user
	return answers[daemon.Report](p, cmd)
}

func checkServe(ctx context.Context, p *program) error {
	cfg, err := p.config()
	if err != nil {
		return err
	}
	if err := becomeOwner(cfg.DataDir, ""); err != nil { // whether a daemon answers is not asked here
		return err
	}
	r, err := daemon.Check(ctx, daemon.Options{Config: cfg, Environ: p.Getenv})
	if err != nil {
		return err
	}
	return p.printer().show(answer{
		data: r, names: []string{r.DataDir}, done: "the configuration is good; the data directory is " + cfg.DataDir,
		fields: []any{"data", r.DataDir, "store", r.Store, "run", r.RunDir, "workers", r.Workers},
	})
}

// clearUp runs what a supervisor wants done after a daemon's end. Whoever stops
// a service means its servers too: that something else is wrong is said, and
// keeps none of them running.
func clearUp(p *program, do func(daemon.Options) (daemon.Ended, error)) error {
	cfg, err := p.config()
	if err != nil {
		p.printer().warn("the configuration is left aside: " + err.Error())
		if cfg, err = config.LoadAnyway(sources(p)); err != nil {
			return err
		}
	}
	options, err := p.daemonOptions(cfg, cfg.LogLevel)
	if err != nil {
		return err
	}
	if err := actAsOwner(cfg.DataDir); err != nil {
		p.printer().warn(err.Error())
	}
	ended, err := do(options)
	if err == nil && ended.Unsaved != nil {
		p.printer().warn(unsaved(ended))
	}
	return err
}

// unsaved says that servers have ended and the store does not know all of it.
func unsaved(e daemon.Ended) string {
	return "the servers have ended, but what they counted last is not stored: " + e.Unsaved.Error()
}

// serve runs the daemon until ctx ends. If another version has executed this
// one and it does not come to work, the other one is executed again.
func serve(ctx context.Context, p *program) (err error) {
	handover := daemon.TakeOver(p.Getenv)
	defer func() {
		if !handover.Open() {
			return
		}
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v", v)
		}
		if err != nil {
			err = errors.Join(err, handover.Back(buildInfo().Version, err))
		}
	}()
	cfg, err := p.config()
	if err != nil {
		return err
	}
	if handover == nil {
		if err := mustBeAlone(ctx, p, cfg); err != nil {
			return err
		}
	}
	root := os.Geteuid() == 0
	if err := actAsOwner(cfg.DataDir); err != nil {
		return err
	}
	if root && os.Geteuid() != 0 {
		if err := os.Setenv(startedByRoot, "1"); err != nil {
			return err
		}
	}
	signals := []os.Signal{daemon.UpgradeSignal}
	byHand := !p.global.supervised && !supervised(p.Getenv, os.Getpid())
	if byHand {
		var stop context.CancelFunc
		ctx, stop = signal.NotifyContext(ctx, syscall.SIGHUP)
		defer stop()
	} else {
		signals = append(signals, syscall.SIGHUP)
	}
	options, endSignals, err := serveOptions(p, cfg, slog.LevelDebug, signals...)
	if err != nil {
		return err
	}
	defer endSignals()
	options.StopWorkers = byHand
	if handover != nil {
		options.Handover, options.Executable = handover, handover.Path()
	}
	return daemon.Serve(ctx, options)
}

// serveOptions are those of a daemon, which can be reloaded and upgraded. It
// logs to standard error what weighs at least as much as the configured level
// and least, or everything with --verbose. The caller ends the signals.
func serveOptions(p *program, cfg config.Config, least slog.Level, signals ...os.Signal) (daemon.Options, func(), error) {
	level := func(c config.Config) slog.Level {
		if p.global.verbose {
			return slog.LevelDebug
		}
		return max(c.LogLevel, least)
	}
	log, control, err := logging.NewAdjustable(p.Err, level(cfg), cfg.LogFormat)
	if err != nil {
		return daemon.Options{}, nil, err
	}
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, signals...)
	return daemon.Options{
		Config: cfg, Version: buildInfo().Version, Log: log, Environ: p.Getenv, Sources: sources(p), Replace: replaceConfig,
		Load:       func() (config.Config, error) { return config.Load(sources(p)) }, // anew, each time
		Adjust:     func(c config.Config) { _ = control.Set(level(c), c.LogFormat) }, // the format was checked
		Executable: startedFrom(), Args: p.global.serveArgs(), Signals: asked,
	}, func() { signal.Stop(asked) }, nil
}

// serveArgs are the arguments that make another version of this program the
// daemon that this one is, or would be.
func (g globalFlags) serveArgs() []string {
	args := []string{"serve"}
	if dir := g.dataDir; dir != "" {
		args = append(args, "--data-dir", dir)
	}
	if file := g.configFile; file != "" {
		args = append(args, "--config", file)
	}
	if g.verbose {
		args = append(args, "--verbose")
	}
	if g.supervised {
		args = append(args, "--supervised")
	}
	return args
}

// startedFrom returns the file that this process was started from. A link
// that it was called by is kept: the next version may be behind it.
func startedFrom() string {
	file, err := os.Executable()
	if err != nil {
		return ""
	}
	if !strings.Contains(os.Args[0], "/") {
		return file
	}
	called, err := filepath.Abs(os.Args[0])
	if err != nil {
		return file
	}
	one, err := os.Stat(called)
	other, err2 := os.Stat(file)
	if err == nil && err2 == nil && os.SameFile(one, other) {
		return called
	}
	return file
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
