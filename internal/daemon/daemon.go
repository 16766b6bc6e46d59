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
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"vpn/internal/api"
	"vpn/internal/app"
	"vpn/internal/config"
	"vpn/internal/protocol/all"
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
}

// StoreFile is the name of the store in a data directory.
const StoreFile = "vpn.db"

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
	leaving chan struct{} // closed when the API ends
	close   []func() error
}

// open takes the data directory and opens what is in it. A data directory
// that is not there is made.
func open(ctx context.Context, o Options) (p *plane, err error) {
	p = &plane{leaving: make(chan struct{})}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
		}
	}()
	if err := hide(); err != nil {
		return p, err
	}
	dir := o.Config.DataDir
	logDir := filepath.Join(dir, "logs")
	if err := os.MkdirAll(logDir, 0o700); err != nil {
		return p, dirError(dir, err)
	}
	if st, err := os.Stat(dir); err == nil && st.Mode().Perm()&0o022 != 0 {
		return p, vpn.Errorf(vpn.Denied, "others may write to the data directory %s (mode %04o)", dir, st.Mode().Perm()).
			WithHint("close it: chmod 700 %s", dir)
	}
	lock, err := sqlite.Lock(ctx, dir, lockWait)
	if err != nil {
		return p, err
	}
	p.close = append(p.close, lock.Close)
	store, err := sqlite.Open(ctx, filepath.Join(dir, StoreFile), sqlite.Options{Now: time.Now, Log: o.Log})
	if err != nil {
		return p, err
	}
	p.close = append(p.close, store.Close)
	environ := o.Environ
	if environ == nil {
		environ = os.Getenv
	}
	if p.runDir, err = makeRunDir(dir, store.ID(), environ); err != nil {
		return p, err
	}
	// A link to a data directory, or a mount of it, is the same store, and so
	// the same run directory: the second of two that run at once stops here.
	runLock, err := sqlite.Lock(ctx, p.runDir, lockWait)
	if err != nil {
		return p, err
	}
	p.close = append(p.close, runLock.Close)
	workers, err := process.New(process.Options{
		RunDir: p.runDir, LogDir: logDir, UIDs: o.Config.WorkerUIDs, Memory: workerMemory(), Log: o.Log,
	})
	if err != nil {
		return p, err
	}
	p.close = append(p.close, workers.Close)
	p.app = app.New(app.Config{
		Store: store, Workers: workers, Protocols: all.Protocols(),
		Settlers: map[vpn.Protocol]app.Settler{"vless": targets{}},
		Network:  &machine{}, Logs: logs{logDir, p.leaving}, Log: o.Log, Now: time.Now,
		Version: o.Version, DataDir: dir, PublicHost: o.Config.PublicHost, FreeSpace: freeSpace,
	})
	dry := p.app.DryRun()
	p.handler = api.Handler(api.Config{
		Users: p.app.Users, Servers: p.app.Servers, System: p.app.System,
		DryRun: api.DryRun{Users: dry.Users, Servers: dry.Servers}, Log: o.Log, Version: o.Version,
	})
	return p, nil
}

func dirError(dir string, err error) error {
	if errors.Is(err, os.ErrPermission) {
		return vpn.Errorf(vpn.Denied, "the data directory %s cannot be used: %w", dir, err).
			WithHint("choose another with --data-dir, or run as its owner")
	}
	return vpn.Errorf(vpn.Unavailable, "the data directory %s cannot be used: %w", dir, err)
}

// Close lets go of everything, in reverse order.
func (p *plane) Close() error {
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
	p, err := open(ctx, o)
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
	p, err := open(ctx, o)
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

// Serve runs the control plane until ctx ends: it answers on the API socket,
// adopts or starts every server's worker and keeps it running. With
// StopWorkers it ends them all before it returns.
func Serve(ctx context.Context, o Options) (err error) {
	p, err := open(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	l, err := listen(p.runDir, systemDir(o.Config.DataDir))
	if err != nil {
		return err
	}
	srv := &http.Server{
		Handler:           trusted(p.handler),
		ConnContext:       withPeer,
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
	}
	srv.RegisterOnShutdown(func() { close(p.leaving) }) // who follows a log would hold it up
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()

	supervise, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	supervised := make(chan error, 1)
	go func() { supervised <- p.app.Reconciler.Run(supervise) }()
	o.Log.Info("control plane runs", slog.String("data_dir", o.Config.DataDir), slog.Int("pid", os.Getpid()))
	notify("READY=1")
	if o.Ready != nil {
		o.Ready(local(p.handler))
	}

	select {
	case <-ctx.Done():
	case err = <-supervised:
		supervised <- nil
		err = fmt.Errorf("supervise the workers: %w", err)
	case err = <-served:
		err = fmt.Errorf("serve the API: %w", err)
	}
	notify("STOPPING=1")
	return errors.Join(err, shutdown(p, srv, stop, supervised, o))
}

// shutdown ends the API first, so that nothing new is asked, then the
// supervision, then, if so told, the workers.
func shutdown(p *plane, srv *http.Server, stop context.CancelFunc, supervised <-chan error, o Options) error {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownWait)
	defer cancel()
	if srv.Shutdown(ctx) != nil {
		_ = srv.Close()
	}
	stop()
	errs := []error{<-supervised}
	if o.StopWorkers {
		ctx, cancel := context.WithTimeout(context.Background(), stopWait)
		defer cancel()
		errs = append(errs, p.app.Reconciler.StopAll(ctx))
	}
	o.Log.Info("control plane ends", slog.Bool("workers_stopped", o.StopWorkers))
	return errors.Join(errs...)
}

// systemDir reports whether dir is the data directory of the whole system.
func systemDir(dir string) bool { return dir == config.SystemDataDir && os.Geteuid() == 0 }

// listen opens the API socket. Whoever held it before is gone: this process
// has the run directory's lock.
func listen(runDir string, system bool) (net.Listener, error) {
	path := filepath.Join(runDir, socketName)
	_ = os.Remove(path)
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen on the API socket: %w", err)
	}
	gid := -1
	if id, ok := groupID(); ok && os.Geteuid() == 0 {
		gid = id
	}
	err = errors.Join(os.Chmod(path, 0o660), os.Chown(path, -1, gid))
	if system {
		err = errors.Join(err, link(path, SystemSocket))
	}
	if err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("open the API socket to its group: %w", err)
	}
	return l, nil
}
