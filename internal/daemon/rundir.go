package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"vpn/internal/vpn"
)

// The run directory holds the sockets: the API's, and one per worker. It lies
// on a file system that a reboot empties, and its name is the store's, so
// that two data directories on one machine never meet. A link in the data
// directory leads to it.
const (
	runLink    = "run"
	socketName = "api.sock"
)

// SocketIn returns the path of the API socket of the control plane that owns
// dataDir, whether or not one runs. Following the link first keeps the path
// under the 107 bytes that a socket's may have.
func SocketIn(dataDir string) (string, error) {
	run, err := os.Readlink(filepath.Join(dataDir, runLink))
	if err != nil {
		return "", err
	}
	return filepath.Join(run, socketName), nil
}

// SystemSocket is where the control plane of the system's own data directory
// is found by those who may not look into that directory: group vpn.
const SystemSocket = "/run/vpn/" + socketName

// group owns the API sockets; being in it equals administration.
const group = "vpn"

// makeRunDir makes the run directory of the store named id and the link to it.
func makeRunDir(dataDir, id string, environ func(string) string) (string, error) {
	base, err := runBase(environ)
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
	return dir, link(dir, filepath.Join(dataDir, runLink))
}

// runBase returns the directory that holds the run directories of this user.
func runBase(environ func(string) string) (string, error) {
	uid := os.Geteuid()
	if uid == 0 {
		return "/run/vpn", os.MkdirAll("/run/vpn", 0o755) //nolint:gosec // group vpn passes through to its socket
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
	if err := unix.Faccessat(unix.AT_FDCWD, dir, unix.W_OK|unix.X_OK, unix.AT_EACCESS); err != nil {
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
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !st.IsDir() || ok && int(sys.Uid) != os.Geteuid() || st.Mode().Perm()&0o022 != 0 {
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
