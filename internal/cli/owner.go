package cli

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"vpn/internal/vpn"
)

// actAsOwner is becomeOwner where no daemon answers.
func actAsOwner(dataDir string) error { return becomeOwner(dataDir, ", and no daemon answers for it") }

// becomeOwner returns an error unless this process may use the data directory
// as the user that it belongs to. The error that it is another's ends in why. Root becomes that user, for the rest of the
// process: what root wrote there, the owner could not use. A directory that is
// not there is anybody's.
func becomeOwner(dataDir, why string) error {
	st, err := os.Stat(dataDir)
	if err == nil && !st.IsDir() {
		err = syscall.ENOTDIR
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, fs.ErrPermission):
		return notYours(dataDir, why, err)
	case err != nil:
		return vpn.Errorf(vpn.Unavailable, "the data directory %s cannot be used: %w", dataDir, err).
			WithHint("choose another with --data-dir")
	}
	uid, gid, ok := ownerOf(st)
	if !ok || uid == os.Geteuid() {
		return nil
	}
	if os.Geteuid() != 0 {
		return notYours(dataDir, why, nil)
	}
	if err := become(uid, gid); err != nil {
		return vpn.Errorf(vpn.Denied, "the data directory %s belongs to uid %d, whom this process may not become: %w",
			dataDir, uid, err).WithHint("run as that user, or choose another directory with --data-dir")
	}
	return nil
}

func notYours(dataDir, why string, cause error) error {
	return &vpn.Error{
		Kind: vpn.Denied, Err: cause,
		Message: "the data directory " + dataDir + " belongs to another user" + why,
		Hint:    "use sudo, or choose your own with --data-dir",
	}
}
