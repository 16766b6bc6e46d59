//go:build unix

package sqlite

import (
	"os"
	"syscall"
)

// tryLock takes the lock on f, or returns EWOULDBLOCK if another process has
// it. It ends with the last descriptor of the open file.
func tryLock(f *os.File) error {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}
