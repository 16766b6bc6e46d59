package selfupdate

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// copyOwner gives a program the owner of the one before it, as far as this
// user may.
func copyOwner(old fs.FileInfo, to *os.File) error {
	sys, ok := old.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 {
		return nil
	}
	return to.Chown(int(sys.Uid), int(sys.Gid))
}

// copyCapabilities gives a program what setcap(8) gave the one before it: a
// daemon without root may need them for low ports.
func copyCapabilities(from, to string) error {
	const name = "security.capability"
	value := make([]byte, 64)
	n, err := unix.Getxattr(from, name, value)
	if errors.Is(err, unix.ENODATA) || errors.Is(err, unix.ENOTSUP) {
		return nil
	}
	if err != nil {
		return err
	}
	return unix.Setxattr(to, name, value[:n], 0)
}
