//go:build unix

package service

import (
	"io/fs"
	"syscall"
)

// OwnerOf returns the uid that a file belongs to, if files have one here.
func OwnerOf(st fs.FileInfo) (int, bool) {
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(sys.Uid), true
}
