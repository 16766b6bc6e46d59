package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"vpn/internal/app"
	"vpn/internal/config"
	"vpn/internal/router"
	"vpn/internal/runtime/process"
	"vpn/internal/store/sqlite"
	"vpn/internal/vpn"
)

// Ended is what became of the workers that a control plane had left.
type Ended struct {
	Workers int // that were there

	// Unsaved says why the store does not have what they counted last. It
	// stays in their run directory, for when the store can be used again.
	Unsaved error
}

// EndWorkers ends the workers that a control plane has left, in order, and
// stores what they counted. It waits for the data directory, which no daemon
// may have. A store that cannot be used keeps no worker alive. With an error,
// workers may be left.
func EndWorkers(ctx context.Context, o Options) (Ended, error) {
	return endWorkers(ctx, o, SystemRunBase)
}

func endWorkers(ctx context.Context, o Options, base string) (e Ended, err error) {
	if e.Workers, err = countWorkers(ctx, o, base); err != nil {
		return e, err
	}
	if _, err := os.Stat(filepath.Join(o.Config.DataDir, StoreFile)); err == nil {
		e.Unsaved = endInOrder(ctx, o)
	} else if e.Workers > 0 {
		e.Unsaved = vpn.Errorf(vpn.Unavailable, "the store cannot be found: %w", err)
	}
	// Those of a store that cannot be opened, or was another one when they
	// were started.
	var errs []error
	for _, dir := range runDirs(o.Config.DataDir, base) {
		errs = append(errs, endIn(ctx, o, dir))
	}
	if err := errors.Join(errs...); err != nil {
		return e, errors.Join(e.Unsaved, err)
	}
	return e, nil
}

func endInOrder(ctx context.Context, o Options) (err error) {
	p, err := open(ctx, o, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	ctx, cancel := context.WithTimeout(ctx, stopWait)
	defer cancel()
	return p.app.Reconciler.StopAll(ctx)
}

// endIn ends the workers of a run directory, and leaves their last counters
// there.
func endIn(ctx context.Context, o Options, dir string) error {
	lock, err := sqlite.Lock(ctx, dir, lockWait)
	if err != nil {
		return err
	}
	defer lock.Close()
	workers, err := process.New(process.Options{RunDir: dir, LogDir: dir, Log: o.Log})
	if err != nil {
		return err
	}
	defer workers.Close()
	return errors.Join(stopIn(ctx, workers), endContainers(ctx, o, dir), sweep(dir))
}

// sweep removes the rules of the tunnels that were made for a run directory,
// whose name is its store's.
func sweep(dir string) error {
	_, err := router.Collect(filepath.Base(dir), nil)
	return unprivileged(err)
}

// stopIn ends all workers there are.
func stopIn(ctx context.Context, workers app.Workers) error {
	places, err := workers.List(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, at := range places {
		w, err := workers.Find(ctx, at)
		if err == nil && w != nil {
			_, err = w.Stop(ctx)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("stop a worker: %w", err))
		}
	}
	return errors.Join(errs...)
}

// CountWorkers returns how many workers a data directory has, whoever
// supervises them.
func CountWorkers(ctx context.Context, o Options) (int, error) {
	return countWorkers(ctx, o, SystemRunBase)
}

func countWorkers(ctx context.Context, o Options, base string) (n int, err error) {
	for _, dir := range runDirs(o.Config.DataDir, base) {
		workers, err := process.New(process.Options{RunDir: dir, LogDir: dir, Log: o.Log})
		if err != nil {
			return n, err
		}
		places, err := workers.List(ctx)
		n += len(places)
		if err := errors.Join(err, workers.Close()); err != nil {
			return n, err
		}
	}
	return n, nil
}

// runDirs returns the run directories that were made for a data directory:
// more than one if its store was replaced, and those, too, of one that is gone.
func runDirs(dataDir, base string) (dirs []string) {
	add := func(dir string) {
		if st, err := os.Stat(dir); err == nil && st.IsDir() && !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	if dir, err := os.Readlink(filepath.Join(dataDir, runLink)); err == nil && owner(dir, dataDir) == "" {
		add(dir)
	}
	if dataDir == config.SystemDataDir {
		if at, err := os.Readlink(filepath.Join(base, socketName)); err == nil {
			add(filepath.Dir(at))
		}
	}
	links, _ := filepath.Glob(filepath.Join(base, "*", dataLink)) // the pattern is good
	for _, link := range links {
		if at, err := os.Readlink(link); err == nil && at == dataDir {
			add(filepath.Dir(link))
		}
	}
	return dirs
}

// Vacate removes the run directory of a data directory that root used, and
// every other one below [SystemRunBase] that is nobody's any more; that itself
// only if nothing is left in it. Workers that still run there are ended; what
// they counted is lost, so [EndWorkers] comes first where there is a store. It
// returns the directories that it removed, and those that somebody uses.
func Vacate(ctx context.Context, o Options) (removed, used []string, err error) {
	return vacate(ctx, o, SystemRunBase)
}

// Vacates returns what [Vacate] would remove, as far as that is known before
// workers have ended. It changes nothing.
func Vacates(ctx context.Context, o Options) ([]string, error) {
	return vacates(ctx, o, SystemRunBase)
}

func vacates(ctx context.Context, o Options, base string) (goes []string, err error) {
	own := runDirs(o.Config.DataDir, base)
	dirs, err := dirsIn(base)
	if err != nil {
		return nil, err
	}
	stays := 0
	for _, dir := range dirs {
		gone := slices.Contains(own, dir)
		if !gone {
			workers, err := process.New(process.Options{RunDir: dir, LogDir: dir, Log: o.Log})
			if err != nil {
				return nil, err
			}
			needed, err := needs(ctx, workers, dir)
			if err := errors.Join(err, workers.Close()); err != nil {
				return nil, err
			}
			gone = !needed
		}
		if gone {
			goes = append(goes, dir)
		} else {
			stays++
		}
	}
	if _, err := os.Stat(base); err == nil && stays == 0 {
		goes = append(goes, base)
	}
	return goes, nil
}

// dirsIn returns the directories in base, none if it is not there.
func dirsIn(base string) (dirs []string, err error) {
	entries, err := os.ReadDir(base)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries {
		if e.IsDir() {
			dirs = append(dirs, filepath.Join(base, e.Name()))
		}
	}
	return dirs, err
}

func vacate(ctx context.Context, o Options, base string) (removed, used []string, err error) {
	own := runDirs(o.Config.DataDir, base)
	socket := filepath.Join(base, socketName)
	dirs, err := dirsIn(base)
	if err != nil {
		return nil, nil, err
	}
	var errs []error
	for _, dir := range dirs {
		gone, err := clearRunDir(ctx, o, dir, slices.Contains(own, dir))
		if err != nil || !gone {
			used = append(used, dir)
			errs = append(errs, err)
			continue
		}
		removed = append(removed, dir)
	}
	if _, err := os.Stat(socket); errors.Is(err, fs.ErrNotExist) {
		_ = os.Remove(socket) // a link to nowhere
	}
	if os.Remove(base) == nil { // if nothing is left in it
		removed = append(removed, base)
	}
	return removed, used, errors.Join(errs...)
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
	if !own {
		if needed, err := needs(ctx, workers, dir); err != nil || needed {
			return false, err
		}
		return true, os.RemoveAll(dir)
	}
	if err := errors.Join(stopIn(ctx, workers), sweep(dir)); err != nil {
		return false, err
	}
	return true, os.RemoveAll(dir)
}

// needs reports whether somebody needs a run directory: a data directory that
// is there, workers, or counters that no store has yet.
func needs(ctx context.Context, workers *process.Workers, dir string) (bool, error) {
	if home, err := os.Readlink(filepath.Join(dir, dataLink)); err == nil {
		if _, err := os.Stat(filepath.Join(home, StoreFile)); err == nil {
			return true, nil
		}
	}
	places, err := workers.List(ctx)
	return len(places) > 0 || counted(dir), err
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
