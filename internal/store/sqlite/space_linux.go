package sqlite

import "golang.org/x/sys/unix"

// roomAt returns what is free at dir for those who are not root, and whether
// that is known.
func roomAt(dir string) (room, bool) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return room{}, false
	}
	unit := uint64(max(st.Bsize, 1))
	return room{bytes: st.Bavail * unit, size: st.Blocks * unit, files: st.Ffree, countsFiles: st.Files > 0}, true
}
