package daemon

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"vpn/internal/app"
	"vpn/internal/docker"
	"vpn/internal/runtime"
	"vpn/internal/runtime/compose"
	dockerruntime "vpn/internal/runtime/docker"
	"vpn/internal/runtime/process"
	"vpn/internal/store/sqlite"
	"vpn/internal/vpn"
)

// containerDir is the name of the directory, in a data directory, that holds
// one of each server in a container.
const containerDir = "workers"

// engineWait is how long a list of workers waits for an engine.
const engineWait = 300 * time.Millisecond

// runtimesOf are all that a control plane has: its own processes, which are at
// hand, and the engine's containers. The engine is not asked for anything
// before a server needs it.
func (p *plane) runtimesOf(o Options, store app.Store, engine *docker.Engine, own *process.Workers, nets subnets, log *slog.Logger) (*runtime.Workers, error) {
	dir := filepath.Join(o.Config.DataDir, containerDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, dirError(dir, err)
	}
	image := docker.NewImage("", o.Version, store.ID())
	containers, err := dockerruntime.New(dockerruntime.Options{
		Store: store.ID(), Dir: dir, LogDir: filepath.Join(o.Config.DataDir, logDir), Engine: engine, Image: image,
		Tunnel: p.tunnels.keep, Subnets: nets.Pick, Log: log,
	})
	if err != nil {
		return nil, err
	}
	p.close = append(p.close, containers.Close)
	all := runtime.New(log,
		runtime.Runtime{Name: vpn.RuntimeProcess, Workers: compose.Beside(own, composedOptions(o, store))},
		runtime.Runtime{
			Name: vpn.RuntimeDocker, Workers: containers, Patience: engineWait,
			Used: func(ctx context.Context) bool { return hasContainers(dir) || wantsContainers(ctx, store) },
			Ready: func(ctx context.Context, look bool) error {
				if _, err := engine.Facts(ctx); err != nil || look {
					return err
				}
				_, err := image.Ensure(ctx, engine)
				return err
			},
			Unused: func(ctx context.Context) error {
				_, err := docker.RemoveImages(ctx, engine, store.ID())
				return err
			},
		})
	p.close = append(p.close, all.Close)
	return all, nil
}

// wantsContainers reports whether a server is to be in a container, or that
// cannot be known.
func wantsContainers(ctx context.Context, store app.Store) bool {
	var servers []vpn.Server
	err := store.View(ctx, func(tx app.Tx) (err error) {
		servers, err = tx.Servers.List()
		return err
	})
	return err != nil || slices.ContainsFunc(servers, func(s vpn.Server) bool { return s.Runtime == vpn.RuntimeDocker })
}

// hasContainers reports whether something was made for a container and not
// cleared away.
func hasContainers(dir string) bool {
	entries, err := os.ReadDir(dir)
	return err == nil && len(entries) > 0 || err != nil && !errors.Is(err, fs.ErrNotExist)
}

// containersOf returns the containers of the store whose run directory is dir.
func containersOf(o Options, dir string) (*dockerruntime.Workers, *docker.Engine, error) {
	engine := docker.New(docker.Options{Getenv: o.Environ})
	ws, err := dockerruntime.New(dockerruntime.Options{
		Store: filepath.Base(dir), Dir: filepath.Join(o.Config.DataDir, containerDir), LogDir: filepath.Join(o.Config.DataDir, logDir),
		Engine: engine, Image: docker.NewImage("", o.Version, filepath.Base(dir)), Log: o.Log,
	})
	return ws, engine, err
}

// endContainers ends those of the store whose run directory is dir. What they
// counted last stays with them.
func endContainers(ctx context.Context, o Options, dir string) error {
	if !hasContainers(filepath.Join(o.Config.DataDir, containerDir)) {
		return nil // there is perhaps no engine either
	}
	ws, _, err := containersOf(o, dir)
	if err != nil {
		return err
	}
	return errors.Join(stopIn(ctx, ws), ws.Close())
}

// Purge removes what the engine still holds of a data directory's stores:
// containers, networks, images. Where there is no engine that could hold any,
// it does nothing.
func Purge(ctx context.Context, o Options) error { return purge(ctx, o, SystemRunBase) }

func purge(ctx context.Context, o Options, base string) error {
	var stores []string // ids, as run directories are named
	for _, dir := range runDirs(o.Config.DataDir, base) {
		stores = append(stores, filepath.Base(dir))
	}
	if found, err := sqlite.Inspect(ctx, filepath.Join(o.Config.DataDir, StoreFile)); err == nil && found.ID != "" && !slices.Contains(stores, found.ID) {
		stores = append(stores, found.ID)
	}
	var errs []error
	for _, store := range stores {
		ws, engine, err := containersOf(o, store)
		if err != nil {
			return err
		}
		if _, err := engine.Facts(ctx); err != nil {
			if hasContainers(filepath.Join(o.Config.DataDir, containerDir)) {
				errs = append(errs, vpn.Errorf(vpn.KindOf(err), "containers of servers may be left: %w", err).
					WithHint("%s; then run it again", vpn.HintOf(err)))
			}
		} else {
			errs = append(errs, ws.Purge(ctx))
		}
		errs = append(errs, ws.Close())
	}
	return errors.Join(errs...)
}
