package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"vpn/internal/config"
	"vpn/internal/runtime/process"
	"vpn/internal/store/sqlite"
	"vpn/internal/vpn"
)

// EndWorkers ends the workers that a control plane has left, in order, and
// stores what they counted. It waits for the data directory, which no daemon
// may have.
func EndWorkers(ctx context.Context, o Options) (err error) {
	p, err := open(ctx, o, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	ctx, cancel := context.WithTimeout(ctx, stopWait)
	defer cancel()
	return p.app.Reconciler.StopAll(ctx)
}

// Vacate removes the run directory of a data directory that root used, and
// every other one below [SystemRunBase] that is nobody's any more. Workers that still
// run there are ended; what they counted is lost, so [EndWorkers] comes first
// where there is a store. It returns the directories that somebody uses.
func Vacate(ctx context.Context, o Options) (used []string, err error) {
	return vacate(ctx, o, SystemRunBase)
}

func vacate(ctx context.Context, o Options, base string) (used []string, err error) {
	own := map[string]bool{}
	if dir, err := os.Readlink(filepath.Join(o.Config.DataDir, runLink)); err == nil {
		own[dir] = true
	}
	socket := filepath.Join(base, socketName)
	if o.Config.DataDir == config.SystemDataDir {
		if at, err := os.Readlink(socket); err == nil { // the data may be gone
			own[filepath.Dir(at)] = true
		}
	}
	entries, err := os.ReadDir(base)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, e := range entries {
		dir := filepath.Join(base, e.Name())
		if !e.IsDir() {
			continue
		}
		gone, err := clearRunDir(ctx, o, dir, own[dir])
		if err != nil || !gone {
			used = append(used, dir)
			errs = append(errs, err)
		}
	}
	if _, err := os.Stat(socket); errors.Is(err, fs.ErrNotExist) {
		_ = os.Remove(socket) // a link to nowhere
	}
	_ = os.Remove(base) // if nothing is left in it
	return used, errors.Join(errs...)
}

// clearRunDir removes a run directory unless somebody needs it.
func clearRunDir(ctx context.Context, o Options, dir string, own bool) (gone bool, err error) {
	lock, err := sqlite.Lock(ctx, dir, 0)
	if vpn.KindOf(err) == vpn.Unavailable && !own {
		return false, nil // another control plane's
	}
	if err != nil {
		return false, err
	}
	defer lock.Close()
	workers, err := process.New(process.Options{RunDir: dir, LogDir: dir, Log: o.Log})
	if err != nil {
		return false, err
	}
	defer workers.Close()
	ids, err := workers.List(ctx)
	if err != nil {
		return false, err
	}
	if !own {
		if len(ids) > 0 || counted(dir) {
			return false, nil
		}
		return true, os.RemoveAll(dir)
	}
	for _, id := range ids {
		w, err := workers.Find(ctx, id)
		if err == nil && w != nil {
			_, err = w.Stop(ctx)
		}
		if err != nil {
			return false, fmt.Errorf("stop a worker: %w", err)
		}
	}
	return true, os.RemoveAll(dir)
}

// counted reports whether a worker has left counters in dir that no store
// has yet.
func counted(dir string) bool {
	finals, _ := filepath.Glob(filepath.Join(dir, "*.final"))
	for _, path := range finals {
		if st, err := os.Stat(path); err == nil && st.Size() > 0 {
			return true
		}
	}
	return false
}
