// Package process runs workers as processes of this machine: the same binary,
// in a session of its own, with a uid of its own where there is a range of
// them, found again by its control socket after any crash of the control
// plane.
//
// What names a server's worker is its socket alone: whoever listens there is
// it, as the kernel says (peer credentials, then a pidfd). No pid is ever
// written down. The package knows nothing of specs and counters but that a
// worker leaves its last ones in a file, and it asks nobody's store.
package process

import (
	"log/slog"
	"os"
	"path/filepath"
	"regexp"

	"vpn/internal/vpn"
)

// Options say where workers live.
type Options struct {
	// RunDir holds the sockets and the final counters, LogDir the logs. Both
	// exist, and nobody but the control plane's user may write there. Workers
	// of two RunDirs never meet.
	RunDir, LogDir string

	// UIDs are given to workers, one each, by their servers' slots, if this
	// process is root. With none, workers have this process's uid.
	UIDs vpn.UIDRange

	// Executable is what a worker runs, with the arguments "worker" and the
	// server's name; empty is this binary.
	Executable string

	// Memory is what a worker's garbage collector aims to stay below, in
	// bytes; 0 is no limit.
	Memory uint64

	// Tunnel opens the TUN device of a server whose worker is about to start,
	// or returns nil if it is to have none. The worker finds it open, and it
	// ends with the worker. A nil function opens none.
	Tunnel func(s vpn.Server) (*os.File, error)

	Log *slog.Logger // nil: nowhere
}

// maxSocketPath is what fits into a socket's address.
const maxSocketPath = 107

var validID = regexp.MustCompile(`^[a-z2-7]{16}$`)

const (
	socketSuffix = ".sock"
	finalSuffix  = ".final"
)

// check returns an error of kind [vpn.Invalid] unless sockets can be made in
// o.RunDir.
func (o Options) check() error {
	longest := filepath.Join(o.RunDir, vpn.NewID()+socketSuffix)
	if over := len(longest) - maxSocketPath; over > 0 {
		return vpn.Errorf(vpn.Invalid, "the run directory's path is %d bytes too long for sockets: %s", over, o.RunDir).
			WithHint("choose a shorter directory, by XDG_RUNTIME_DIR")
	}
	return nil
}
