//go:build unix

package daemon

import (
	"io/fs"
	"syscall"
)

// ownerOf returns the uid to which a file belongs.
func ownerOf(st fs.FileInfo) (int, bool) {
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(sys.Uid), true
}
