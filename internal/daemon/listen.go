package daemon

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"vpn/internal/config"
)

// systemDir reports whether dir is the data directory of the whole system.
func systemDir(dir string) bool { return dir == config.SystemDataDir && os.Geteuid() == 0 }

// listen opens the API socket, or takes it over. Whoever held it before is
// gone: this process has the run directory's lock.
func listen(runDir string, system bool, h *Handover) (*net.UnixListener, error) {
	path := filepath.Join(runDir, socketName)
	l := inheritListener(path, h)
	if l == nil {
		_ = os.Remove(path)
		var err error
		if l, err = net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"}); err != nil {
			return nil, fmt.Errorf("listen on the API socket: %w", err)
		}
	}
	gid := -1
	if id, ok := groupID(); ok && os.Geteuid() == 0 {
		gid = id
	}
	err := errors.Join(os.Chmod(path, 0o660), os.Chown(path, -1, gid))
	if system {
		err = errors.Join(err, link(path, SystemSocket))
	}
	if err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("open the API socket to its group: %w", err)
	}
	return l, nil
}

// inheritListener returns the listener that the program before has left open,
// or nil if there is none, or not that of path. Closing it leaves the file:
// the program before may need it again.
func inheritListener(path string, h *Handover) *net.UnixListener {
	if h == nil || h.api == nil {
		return nil
	}
	l, err := net.FileListener(h.api)
	if err != nil {
		return nil
	}
	ul, ok := l.(*net.UnixListener)
	if _, err := os.Lstat(path); err != nil || !ok || ul.Addr().String() != path {
		_ = l.Close()
		return nil
	}
	return ul
}
