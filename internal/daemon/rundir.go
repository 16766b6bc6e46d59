package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"

	"vpn/internal/vpn"
)

// The run directory holds the sockets: the API's, and one per worker. It lies
// on a file system that a reboot empties, and its name is the store's, so
// that two data directories on one machine never meet. A link in the data
// directory leads to it.
const (
	runLink    = "run"
	dataLink   = "data" // leads back
	socketName = "api.sock"
)

// SocketIn returns the path of the API socket of the control plane that owns
// dataDir, whether or not one runs. Following the link first keeps the path
// under the 107 bytes that a socket's may have. A copy of a data directory has
// none, for its link leads to the original's.
func SocketIn(dataDir string) (string, error) {
	run, err := os.Readlink(filepath.Join(dataDir, runLink))
	if err != nil {
		return "", err
	}
	if original := owner(run, dataDir); original != "" {
		return "", fmt.Errorf("%s is a copy of %s: %w", dataDir, original, fs.ErrNotExist)
	}
	return filepath.Join(run, socketName), nil
}

// owner returns the data directory that the run directory belongs to, if that
// is another than dataDir and still there. One that was moved is not.
func owner(run, dataDir string) string {
	at, err := os.Readlink(filepath.Join(run, dataLink))
	if err != nil || at == dataDir {
		return ""
	}
	there, err := os.Stat(filepath.Join(at, StoreFile))
	if err != nil {
		return ""
	}
	here, err := os.Stat(filepath.Join(dataDir, StoreFile))
	if err != nil || os.SameFile(here, there) {
		return ""
	}
	return at
}

// SystemSocket is where the control plane of the system's own data directory
// is found by those who may not look into that directory: group vpn.
const SystemSocket = SystemRunBase + "/" + socketName

// SystemRunBase holds the run directories of root's control planes.
const SystemRunBase = "/run/vpn"

// group owns the API sockets; being in it equals administration.
const group = "vpn"

// makeRunDir makes the run directory of the store named id, in that which
// runBase returns, and the link to it.
func makeRunDir(runBase func() (string, error), dataDir, id string) (string, error) {
	base, err := runBase()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(base, id)
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("make the run directory: %w", err)
	}
	if err := ours(dir); err != nil {
		return "", err
	}
	if gid, ok := groupID(); ok && os.Geteuid() == 0 {
		if err := errors.Join(os.Chown(dir, 0, gid), os.Chmod(dir, 0o750)); err != nil {
			return "", fmt.Errorf("give the run directory to group %s: %w", group, err)
		}
	}
	if original := owner(dir, dataDir); original != "" {
		return "", vpn.Errorf(vpn.Conflict, "the data directory %s is a copy of %s: both would run the same servers", dataDir, original).
			WithHint("remove or rename the one that is not to be used any more")
	}
	return dir, errors.Join(link(dataDir, filepath.Join(dir, dataLink)), link(dir, filepath.Join(dataDir, runLink)))
}

// runBase returns the directory that holds the run directories of this user.
func runBase(environ func(string) string) (string, error) {
	uid := os.Geteuid()
	if uid == 0 {
		return SystemRunBase, os.MkdirAll(SystemRunBase, 0o755) //nolint:gosec // group vpn passes through to its socket
	}
	for _, runtime := range []string{environ("XDG_RUNTIME_DIR"), "/run/user/" + strconv.Itoa(uid)} {
		if !filepath.IsAbs(runtime) || ours(runtime) != nil {
			continue
		}
		base := filepath.Join(runtime, "vpn")
		return base, os.MkdirAll(base, 0o700)
	}
	base := filepath.Join(os.TempDir(), "vpn-"+strconv.Itoa(uid))
	if err := os.Mkdir(base, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("make the run directory: %w", err)
	}
	return base, ours(base) // in a directory that all may write to, it may be somebody's trap
}

// checkRunDir says what would keep [makeRunDir] from making the run directory
// of the store named id, and returns its path. It makes nothing.
func checkRunDir(id string, environ func(string) string) (string, error) {
	uid := os.Geteuid()
	base := "/run/vpn"
	if uid != 0 {
		base = filepath.Join(os.TempDir(), "vpn-"+strconv.Itoa(uid))
		for _, runtime := range []string{environ("XDG_RUNTIME_DIR"), "/run/user/" + strconv.Itoa(uid)} {
			if filepath.IsAbs(runtime) && ours(runtime) == nil {
				base = filepath.Join(runtime, "vpn")
				break
			}
		}
	}
	dir := filepath.Join(base, id)
	for _, path := range []string{dir, base} {
		switch err := ours(path); {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil && (path == dir || uid != 0):
			return dir, err
		}
		return dir, writable(path)
	}
	return dir, writable(filepath.Dir(base))
}

// writable returns an error of kind [vpn.Denied] unless this process can make
// files in dir.
func writable(dir string) error {
	if err := mayWrite(dir); err != nil {
		return vpn.Errorf(vpn.Denied, "nothing can be made in %s: %w", dir, err).WithHint("look at its owner and its mode, and whether it is mounted to be written to")
	}
	return nil
}

// ours returns an error unless dir is a directory that belongs to this user
// and that nobody else may write to.
func ours(dir string) error {
	st, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	uid, ok := ownerOf(st)
	if !st.IsDir() || ok && uid != os.Geteuid() || st.Mode().Perm()&0o022 != 0 {
		return vpn.Errorf(vpn.Denied, "%s is not a directory of this user alone", dir).
			WithHint("remove it, or set XDG_RUNTIME_DIR")
	}
	return nil
}

// link points name at dir, replacing what it pointed at before in one step.
func link(dir, name string) error {
	if at, err := os.Readlink(name); err == nil && at == dir {
		return nil
	}
	tmp := name + ".new"
	_ = os.Remove(tmp)
	if err := os.Symlink(dir, tmp); err != nil {
		return fmt.Errorf("link the run directory: %w", err)
	}
	if err := os.Rename(tmp, name); err != nil {
		return fmt.Errorf("link the run directory: %w", err)
	}
	return nil
}

func groupID() (int, bool) {
	g, err := user.LookupGroup(group)
	if err != nil {
		return 0, false
	}
	gid, err := strconv.Atoi(g.Gid)
	return gid, err == nil
}
