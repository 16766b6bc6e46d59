package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"vpn/internal/runtime/process"
	"vpn/internal/store/sqlite"
	"vpn/internal/vpn"
)

// Report is what a [Check] has to say to a person.
type Report struct {
	DataDir    string   `json:"data_dir"`
	Store      string   `json:"store"`
	Migrations []string `json:"migrations"` // what would be done to the store at a start
	RunDir     string   `json:"run_dir"`
	Workers    string   `json:"workers"`
}

// Check finds out whether [Serve] would start with o. It changes nothing and
// takes no lock: a daemon may be at work on the same data directory. Its
// errors are those that Serve would give, as far as they can be foreseen.
func Check(ctx context.Context, o Options) (Report, error) {
	environ := o.Environ
	if environ == nil {
		environ = os.Getenv
	}
	r := Report{DataDir: o.Config.DataDir, Migrations: []string{}}
	if err := checkDataDir(r.DataDir); err != nil {
		return r, err
	}
	found, err := sqlite.Inspect(ctx, filepath.Join(r.DataDir, StoreFile))
	if err != nil {
		return r, err
	}
	id := found.ID
	switch {
	case id == "":
		r.Store, id = "none yet; it will be made", vpn.NewID()
	default:
		r.Store = fmt.Sprintf("version %d", found.Version)
	}
	if len(found.Pending) > 0 {
		r.Migrations = found.Pending
		r.Store += ", and after a backup: " + strings.Join(found.Pending, ", ")
	}
	if r.RunDir, err = checkRunDir(id, environ); err != nil {
		return r, err
	}
	workers, err := process.New(process.Options{RunDir: r.RunDir, LogDir: r.DataDir, UIDs: o.Config.WorkerUIDs})
	if err != nil {
		return r, err
	}
	if found.ID == "" {
		r.RunDir = filepath.Dir(r.RunDir) // the rest is the store's name, which it has not yet
	}
	if r.Workers, err = checkUIDs(o.Config.WorkerUIDs, found.Slots); err != nil {
		return r, err
	}
	return r, workers.Close()
}

// checkDataDir returns an error unless dir can be used, or made.
func checkDataDir(dir string) error {
	st, err := os.Stat(dir)
	switch {
	case err == nil && !st.IsDir():
		return vpn.Errorf(vpn.Unavailable, "the data directory %s is not a directory", dir).WithHint("choose another with --data-dir")
	case err == nil:
		for _, path := range []string{dir, filepath.Join(dir, "logs")} {
			if err := writable(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return dirError(dir, err)
	}
	parent := filepath.Dir(dir)
	for parent != filepath.Dir(parent) {
		if _, err := os.Stat(parent); err == nil {
			break
		}
		parent = filepath.Dir(parent)
	}
	return writable(parent)
}

// checkUIDs says as whom workers would run. slots is how many ids are needed
// by the servers that there are.
func checkUIDs(uids vpn.UIDRange, slots uint32) (string, error) {
	switch {
	case os.Geteuid() != 0:
		return "with this process's own user id", nil
	case uids.Count == 0:
		return "as root: worker_uids is none", nil
	case slots > uids.Count:
		return "", vpn.Errorf(vpn.Unavailable, "worker_uids has %d user ids, and the servers need %d", uids.Count, slots).
			WithHint("configure a larger range")
	}
	if err := maySwitchUser(); err != nil {
		return "", err
	}
	return fmt.Sprintf("with user ids %d-%d", uids.Base, uids.Base+uids.Count-1), nil
}
