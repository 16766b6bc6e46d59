package daemon

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"vpn/internal/app"
	"vpn/internal/compose"
	"vpn/internal/config"
	"vpn/internal/container"
	composed "vpn/internal/runtime/compose"
	"vpn/internal/vpn"
)

// A data directory is composed while a control plane of a Compose project owns
// it: its servers are containers that somebody else starts, and its run
// directory is in the data directory, so that it has the same path inside the
// containers and outside.

// isComposed reports whether a control plane with o is one of a project.
// A control plane inside a command is, if the last that supervised was.
func isComposed(o Options, supervises bool) bool {
	if supervises {
		return o.Config.Runtime == vpn.RuntimeCompose
	}
	run, err := os.Readlink(filepath.Join(o.Config.DataDir, runLink))
	return err == nil && strings.HasPrefix(run, compose.Sockets(o.Config.DataDir)+"/")
}

// homeOfNew returns where the worker of a new server lives if nobody says. Of
// a project's that is for when there is no project any more.
func homeOfNew(c config.Config) string {
	if c.Runtime == vpn.RuntimeCompose {
		return vpn.RuntimeProcess
	}
	return c.Runtime
}

// composedBase makes the directory that holds the run directory of a project's
// control plane.
func composedBase(dataDir string) (string, error) {
	base := compose.Sockets(dataDir)
	return base, errors.Join(os.MkdirAll(base, 0o700), ours(base))
}

// composedOptions say where the workers of a project are.
func composedOptions(o Options, store app.Store) composed.Options {
	dataDir := o.Config.DataDir
	return composed.Options{
		Dir: compose.Workers(dataDir), Log: o.Log,
		Paths: func(id vpn.ServerID) composed.Paths {
			dirs := compose.Dirs(dataDir, id)
			return composed.Paths{Socket: filepath.Join(dirs.Run, container.Socket), State: dirs.State}
		},
		Runtimes: func(ctx context.Context) (map[vpn.ServerID]string, error) {
			out := map[vpn.ServerID]string{}
			err := store.View(ctx, func(tx app.Tx) error {
				list, err := tx.Servers.List()
				for _, s := range list {
					out[s.ID] = s.Runtime
				}
				return err
			})
			return out, err
		},
	}
}

// composedLogs are the logs of a project: those of its servers are the
// engine's, which is asked without the control plane.
type composedLogs struct{ logs }

func (l composedLogs) Open(ctx context.Context, s vpn.Server, follow bool, tail int, since time.Time) (io.ReadCloser, error) {
	if _, err := os.Stat(filepath.Join(l.dir, string(s.ID)+".log")); follow || errors.Is(err, fs.ErrNotExist) {
		return nil, vpn.Errorf(vpn.Unavailable, "what server %s logs is kept by the Docker engine", s.Name).WithHint("vpn compose logs %s", s.Name)
	}
	return l.logs.Open(ctx, s, follow, tail, since)
}
