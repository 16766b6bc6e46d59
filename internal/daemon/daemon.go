// Package daemon puts the control plane together: it alone knows the concrete
// store, runtime and network behind the use cases, takes the data directory's
// lock, and answers on the API socket. It decides nothing about users and
// servers.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"vpn/internal/api"
	"vpn/internal/app"
	"vpn/internal/config"
	"vpn/internal/docker"
	"vpn/internal/host"
	"vpn/internal/protocol/all"
	"vpn/internal/runtime"
	"vpn/internal/runtime/compose"
	"vpn/internal/runtime/process"
	"vpn/internal/store/sqlite"
	"vpn/internal/vpn"
)

// Options are what a control plane is made of.
type Options struct {
	Config  config.Config
	Version string
	Log     *slog.Logger
	Environ func(string) string // nil: os.Getenv

	// StopWorkers makes Serve end the workers when it ends. Without it they
	// go on, for the next control plane to adopt.
	StopWorkers bool

	// Ready, if set, is called once the API answers; the handler acts for the
	// user of this process.
	Ready func(http.Handler)

	// Load reads the configuration again, and Adjust makes the log follow one
	// that has come into force. Without Load, Serve cannot be told to reload.
	Load   func() (config.Config, error)
	Adjust func(config.Config)

	// Sources are where the configuration comes from, and Replace puts a file
	// in the place of its own. Without Replace it is not changed.
	Sources config.Sources
	Replace func(path string, data []byte) error

	// Executable is the file, and Args are the arguments, with which another
	// version is executed in this one's place. "--check" after them must make
	// it say whether it could be.
	Executable string
	Args       []string

	// Handover is what the program before has left, if this process had one.
	Handover *Handover

	// Signals ask for what the API can be asked for too: hang-up for a
	// reload, SIGUSR2 for an upgrade.
	Signals <-chan os.Signal
}

// StoreFile is the name of the store in a data directory.
const StoreFile = "vpn.db"

// logDir is the name of the directory of logs in a data directory.
const logDir = "logs"

const (
	lockWait     = 10 * time.Second // how long another command may take
	shutdownWait = 5 * time.Second
	stopWait     = 15 * time.Second // for workers to end in order
)

// plane is a control plane that owns its data directory.
type plane struct {
	app     *app.App
	handler http.Handler // trusts its caller: see trusted and local
	runDir  string
	runBase func() (string, error) // of the directory that holds it
	workers *process.Workers
	runtime *runtime.Workers // those and the containers
	tunnels *tunnels
	host    *host.Meter
	close   []func() error
	locks   []*sqlite.DirLock // the data directory's and the run directory's, closed last
	ending  chan struct{}     // closed when nobody shall follow a log any longer
}

// open takes the data directory and opens what is in it. A data directory
// that is not there is made.
func open(ctx context.Context, o Options, self app.Process) (p *plane, err error) {
	p = &plane{ending: make(chan struct{})}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
		}
	}()
	if err := hide(); err != nil {
		return p, err
	}
	dir := o.Config.DataDir
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return p, dirError(dir, err)
	}
	if st, err := os.Stat(dir); err == nil && st.Mode().Perm()&0o022 != 0 {
		return p, vpn.Errorf(vpn.Denied, "others may write to the data directory %s (mode %04o)", dir, st.Mode().Perm()).
			WithHint("close it: chmod 700 %s", dir)
	}
	logsAt := filepath.Join(dir, logDir)
	if err := os.MkdirAll(logsAt, 0o700); err != nil {
		return p, dirError(dir, err)
	}
	if err := p.lock(ctx, dir, o.Handover); err != nil {
		return p, err
	}
	store, err := sqlite.Open(ctx, filepath.Join(dir, StoreFile), sqlite.Options{Now: time.Now, Log: o.Log})
	if err != nil {
		return p, err
	}
	p.close = append(p.close, store.Close)
	environ := o.Environ
	if environ == nil {
		environ = os.Getenv
	}
	composed := isComposed(o, self != nil)
	p.runBase = func() (string, error) { return runBase(environ) }
	if composed {
		p.runBase = func() (string, error) { return composedBase(dir) }
	}
	if p.runDir, err = makeRunDir(p.runBase, dir, store.ID()); err != nil {
		return p, err
	}
	// A link to a data directory, or a mount of it, is the same store, and so
	// the same run directory: the second of two that run at once stops here.
	if err := p.lock(ctx, p.runDir, o.Handover); err != nil {
		return p, err
	}
	p.host = host.New(dir)
	protocols := all.Protocols()
	p.tunnels = newTunnels(store.ID(), protocols, o.Log)
	p.workers, err = process.New(process.Options{
		RunDir: p.runDir, LogDir: logsAt, UIDs: o.Config.WorkerUIDs, Memory: workerMemory(), Tunnel: p.tunnels.open, Log: o.Log,
	})
	if err != nil {
		return p, err
	}
	p.close = append(p.close, p.workers.Close)
	engine := docker.New(docker.Options{Getenv: environ})
	p.close = append(p.close, engine.Close)
	nets := subnets{store, dockerEngine{engine}}
	if p.runtime, err = p.runtimesOf(o, store, engine, p.workers, nets, o.Log); err != nil {
		return p, err
	}
	workers, ready, kept := app.Workers(p.runtime), p.runtime.Ready, app.Logs(logs{logsAt, p.ending})
	if composed {
		project := compose.New(composedOptions(o, store))
		p.close = append(p.close, project.Close)
		workers, ready, kept = project, nil, composedLogs{logs{logsAt, p.ending}}
	}
	inForce := func() config.Config { return o.Config }
	if c, ok := self.(*control); ok {
		inForce = c.inForce
	}
	p.app = app.New(app.Config{
		Store: store, Workers: workers, Ready: ready, Runtime: homeOfNew(o.Config), Protocols: protocols,
		Settlers: map[vpn.Protocol]app.Settler{"vless": targets{}, "wireguard": nets},
		Network:  &machine{}, Tunnels: p.tunnels, Logs: kept, Log: o.Log, Now: time.Now,
		Version: o.Version, DataDir: dir, PublicHost: o.Config.PublicHost, FreeSpace: freeSpace, Host: p.host.Now, Leaving: p.ending,
		Process: self, Configuration: &configuration{sources: o.Sources, inForce: inForce, replace: o.Replace},
	})
	dry := p.app.DryRun()
	p.handler = api.Handler(api.Config{
		Users: p.app.Users, Devices: p.app.Devices, Servers: p.app.Servers, Usage: p.app.Usage, System: p.app.System,
		DryRun: api.DryRun{Users: dry.Users, Devices: dry.Devices, Servers: dry.Servers, System: dry.System}, Log: o.Log, Version: o.Version,
	})
	return p, nil
}

func dirError(dir string, err error) error {
	if errors.Is(err, os.ErrPermission) {
		return vpn.Errorf(vpn.Denied, "the data directory %s cannot be used: %w", dir, err).
			WithHint("choose another with --data-dir, or run as its owner")
	}
	if to, linkErr := os.Readlink(dir); linkErr == nil && errors.Is(err, os.ErrExist) {
		err = fmt.Errorf("it is a link to %s, which is not there", to)
	}
	return vpn.Errorf(vpn.Unavailable, "the data directory %s cannot be used: %w", dir, err).
		WithHint("choose another with --data-dir")
}

// lock takes a directory, from the program before if it was that one's.
func (p *plane) lock(ctx context.Context, dir string, h *Handover) error {
	if h != nil {
		inherited := []**os.File{&h.lock, &h.runLock}[len(p.locks)]
		if *inherited != nil {
			if l, err := sqlite.InheritLock(dir, *inherited); err == nil {
				p.locks = append(p.locks, l)
				return nil
			}
			_ = (*inherited).Close() // the directory is another one now: take it as anybody does
			*inherited = nil
		}
	}
	l, err := sqlite.Lock(ctx, dir, lockWait)
	if err != nil {
		return err
	}
	p.locks = append(p.locks, l)
	return nil
}

// Close lets go of everything, in reverse order.
func (p *plane) Close() error {
	err := p.release()
	for i := len(p.locks) - 1; i >= 0; i-- {
		err = errors.Join(err, p.locks[i].Close())
	}
	p.locks = nil
	return err
}

// release lets go of everything but the locks.
func (p *plane) release() error {
	var errs []error
	for i := len(p.close) - 1; i >= 0; i-- {
		errs = append(errs, p.close[i]())
	}
	p.close = nil
	return errors.Join(errs...)
}

// Local is a control plane inside a command, for when no daemon runs: it
// changes the store, applies to workers that it finds, and starts none.
type Local struct {
	plane   *plane
	handler http.Handler
}

// Open makes a control plane in this process. It waits for the data
// directory's lock up to ten seconds; the caller closes it soon.
func Open(ctx context.Context, o Options) (*Local, error) {
	p, err := open(ctx, o, nil)
	if err != nil {
		return nil, err
	}
	return &Local{plane: p, handler: local(p.handler)}, nil
}

// OpenNothing makes a control plane over a store that holds nothing and is
// gone when it is closed: for a dry run where there is no data directory yet.
func OpenNothing(ctx context.Context, o Options) (*Local, error) {
	dir, err := os.MkdirTemp("", "vpn-dry-run-")
	if err != nil {
		return nil, dirError(os.TempDir(), err)
	}
	o.Config.DataDir = dir
	p, err := open(ctx, o, nil)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	away := func() error { return errors.Join(os.RemoveAll(p.runDir), os.RemoveAll(dir)) }
	p.close = append([]func() error{away}, p.close...) // the last to be called
	return &Local{plane: p, handler: local(p.handler)}, nil
}

// Handler serves the API on behalf of the user of this process.
func (l *Local) Handler() http.Handler { return l.handler }

// Close gives the data directory back.
func (l *Local) Close() error { return l.plane.Close() }
