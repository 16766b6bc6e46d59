package daemon

import "golang.org/x/sys/unix"

// freeSpace returns how many bytes can still be stored in dir: none where no
// file can be made.
func freeSpace(dir string) (uint64, bool) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, false
	}
	if st.Files > 0 && st.Ffree == 0 {
		return 0, true
	}
	return st.Bavail * uint64(max(st.Bsize, 1)), true
}
