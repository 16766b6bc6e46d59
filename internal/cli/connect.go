package cli

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"vpn/internal/client"
	"vpn/internal/config"
	"vpn/internal/daemon"
	"vpn/internal/logging"
	"vpn/internal/vpn"
)

// intent says what a command needs of the data directory.
type intent int

const (
	ofStore     intent = iota // it must be there: looking at nothing makes nothing
	orMakeStore               // it is made if it is missing
)

// connection is a control plane to talk to.
type connection struct {
	*client.Client
	daemon bool         // it supervises servers; else it runs in this process, for this command
	close  func() error // gives the data directory back
}

// use runs fn on a control plane.
func (p *program) use(ctx context.Context, i intent, fn func(*connection) error) error {
	// The process ends in a moment: clearing up costs it more than it saves.
	// A list of 10,000 users takes a quarter less time so.
	debug.SetGCPercent(400)
	p.busy.begin(p.doing)
	defer p.busy.end()
	c, err := p.dial(ctx, i)
	if err != nil {
		return err
	}
	if p.global.dryRun {
		c.Client = c.DryRun()
	}
	err = fn(c)
	if closeErr := c.close(); err == nil {
		err = closeErr
	}
	return err
}

// read runs a command that changes nothing in the store.
func (p *program) read(ctx context.Context, fn func(context.Context, *client.Client) error) error {
	return p.use(ctx, ofStore, func(c *connection) error { return fn(ctx, c.Client) })
}

// change runs a command that changes something and reports whether all
// workers follow.
func (p *program) change(ctx context.Context, i intent, fn func(context.Context, *client.Client) (bool, error)) error {
	return p.use(ctx, i, func(c *connection) error {
		synced, err := fn(ctx, c.Client)
		switch {
		case err != nil || synced || p.global.dryRun:
			return err
		case c.daemon:
			return errPartly
		}
		p.printer().note("no daemon is running; it takes effect with: vpn serve")
		return nil
	})
}

// connect finds the daemon or, if there is none, opens the data directory in
// this process.
func (p *program) connect(ctx context.Context, i intent) (*connection, error) {
	if p.global.socket != "" {
		return p.named(ctx)
	}
	if err := servesHere(); err != nil {
		return nil, err
	}
	cfg, err := p.config()
	if err != nil {
		return p.despite(ctx, err)
	}
	c, noDaemon := p.running(ctx, cfg)
	if vpn.KindOf(noDaemon) != vpn.Unavailable || errors.Is(noDaemon, client.ErrSilent) {
		return c, noDaemon
	}
	if err := actAsOwner(cfg.DataDir); err != nil {
		return nil, err
	}
	if i == ofStore {
		if nothingIn(cfg.DataDir) {
			return nil, vpn.Errorf(vpn.Unavailable, "there is nothing in %s yet", cfg.DataDir).
				WithHint("begin with: vpn up")
		}
	}
	options, err := p.daemonOptions(cfg, silent)
	if err != nil {
		return nil, err
	}
	if p.global.dryRun && nothingIn(cfg.DataDir) {
		local, err := daemon.OpenNothing(ctx, options)
		if err != nil {
			return nil, err
		}
		return inProcess(local), nil
	}
	options.Log.Debug("no daemon; this process takes the data directory", slog.String("data_dir", cfg.DataDir), slog.Any("err", noDaemon))
	return p.open(ctx, options)
}

func nothingIn(dataDir string) bool {
	_, err := os.Stat(filepath.Join(dataDir, daemon.StoreFile))
	return errors.Is(err, fs.ErrNotExist)
}

// running returns a connection to the daemon of cfg's data directory. The
// error is of kind [vpn.Unavailable] if none runs.
func (p *program) running(ctx context.Context, cfg config.Config) (*connection, error) {
	socket, err := findSocket(cfg.DataDir)
	if err != nil {
		return nil, err
	}
	if err := client.Probe(ctx, socket); err != nil {
		return nil, err
	}
	return &connection{Client: client.Unix(socket), daemon: true, close: func() error { return nil }}, nil
}

// findSocket returns the path of the socket on which the daemon of dataDir
// answers, if one runs.
func findSocket(dataDir string) (string, error) {
	socket, err := daemon.SocketIn(dataDir)
	switch {
	case err == nil:
		return socket, nil
	case dataDir == config.SystemDataDir && os.Geteuid() != 0:
		return daemon.SystemSocket, nil // whose directory others may not look into
	case errors.Is(err, fs.ErrPermission):
		return "", &vpn.Error{
			Kind: vpn.Denied, Message: "the data directory " + dataDir + " is not open to you", Err: err,
			Hint: "use sudo, or choose your own with --data-dir",
		}
	case errors.Is(err, fs.ErrNotExist):
		return "", vpn.Errorf(vpn.Unavailable, "no daemon has used %s yet", dataDir).WithHint("begin with: vpn up")
	}
	return "", vpn.Errorf(vpn.Unavailable, "the data directory %s cannot be used: %w", dataDir, err).
		WithHint("is it a directory of vpn's? choose another with --data-dir")
}

// lookAgain is how often a command that waits for the data directory looks
// whether a daemon has taken it, and answers.
const lookAgain = 50 * time.Millisecond

// open opens the data directory in this process. It waits while another
// command has it; if a daemon has it, it waits for that one to answer.
func (p *program) open(ctx context.Context, options daemon.Options) (*connection, error) {
	type opened struct {
		local *daemon.Local
		err   error
	}
	opening, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan opened, 1)
	go func() {
		local, err := daemon.Open(opening, options)
		done <- opened{local, err}
	}()
	ticker := time.NewTicker(lookAgain)
	defer ticker.Stop()
	for {
		select {
		case o := <-done:
			if o.err != nil {
				return nil, o.err
			}
			return inProcess(o.local), nil
		case <-ticker.C:
			c, err := p.running(ctx, options.Config)
			if err != nil {
				continue
			}
			cancel()
			if o := <-done; o.err == nil { // it had just ended
				return inProcess(o.local), nil
			}
			return c, nil
		}
	}
}

func inProcess(l *daemon.Local) *connection {
	return &connection{Client: client.InProcess(l.Handler()), close: l.Close}
}

// silent is a level above every other.
const silent = slog.LevelError + 1

// daemonOptions are those of a control plane that logs to standard error what
// weighs at least as much as level, or everything with --verbose.
func (p *program) daemonOptions(cfg config.Config, level slog.Level) (daemon.Options, error) {
	if p.global.verbose {
		level = slog.LevelDebug
	}
	log, err := logging.New(afterProgress{p}, logging.Options{Level: level, Format: cfg.LogFormat})
	return daemon.Options{Config: cfg, Version: buildInfo().Version, Log: log, Environ: p.Getenv, Sources: sources(p), Replace: replaceConfig}, err
}
