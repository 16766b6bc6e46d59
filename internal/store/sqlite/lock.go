package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"vpn/internal/vpn"
)

// DirLock is a directory that belongs to this process.
type DirLock struct{ file *os.File }

// Lock takes the directory dir, which must be there, for this process alone,
// until the lock is closed or the process ends, however it ends. While
// another process has it, Lock waits, at most for wait; then it fails with
// kind [vpn.Unavailable]. The file dir/lock stays, and is never removed: two
// processes could then each lock one of their own.
func Lock(ctx context.Context, dir string, wait time.Duration) (*DirLock, error) {
	path := filepath.Join(dir, "lock")
	// What the lock's file holds is written over: nobody else's may be.
	if st, err := os.Lstat(path); err == nil && !st.Mode().IsRegular() {
		return nil, inTheWay(path, "lock")
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, located(path, fileError(err))
	}
	if err := flock(ctx, f, wait); err != nil {
		defer f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, inUse(dir, f)
		}
		return nil, err
	}
	l := &DirLock{f}
	// On a full disk it stays unsigned: the one that waits does without a name.
	if err := l.sign(); err != nil && !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EDQUOT) {
		f.Close()
		return nil, fileError(err)
	}
	return l, nil
}

// InheritLock takes over the lock of dir that this process had before it
// executed another program, by its descriptor, which stays the caller's. If
// that is something else, the error is of kind [vpn.Conflict].
func InheritLock(dir string, fd *os.File) (*DirLock, error) {
	have, err := fd.Stat()
	if err != nil {
		return nil, fileError(err)
	}
	want, err := os.Stat(filepath.Join(dir, "lock"))
	if err != nil || !os.SameFile(have, want) {
		return nil, vpn.Errorf(vpn.Conflict, "the lock that was handed over is not that of %s", dir)
	}
	// A lock belongs to the open file, however many descriptors there are: if
	// this one has it, this does nothing.
	if err := tryLock(fd); err != nil {
		return nil, vpn.Errorf(vpn.Conflict, "the lock of %s was handed over open: %w", dir, err)
	}
	own, err := duplicate(fd)
	if err != nil {
		return nil, fileError(err)
	}
	return &DirLock{own}, nil
}

// File returns a descriptor of the lock that can be handed over. The
// directory is free when it and the lock are closed.
func (l *DirLock) File() (*os.File, error) { return duplicate(l.file) }

// Holds reports whether it is dir that this lock keeps others from: somebody
// may have removed the lock's file.
func (l *DirLock) Holds(dir string) bool {
	have, err := l.file.Stat()
	if err != nil {
		return false
	}
	want, err := os.Stat(filepath.Join(dir, "lock"))
	return err == nil && os.SameFile(have, want)
}

// Close gives the directory back.
func (l *DirLock) Close() error { return l.file.Close() }

// flock tries until the lock is taken, the wait is over or ctx is done.
func flock(ctx context.Context, f *os.File, wait time.Duration) error {
	const pause = 20 * time.Millisecond
	deadline := time.NewTimer(wait)
	defer deadline.Stop()
	again := time.NewTicker(pause)
	defer again.Stop()
	for {
		err := tryLock(f)
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-deadline.C:
			return err
		case <-again.C:
		}
	}
}

// sign writes down who has the lock, for the one that waits for it. The lock
// itself does not depend on it.
func (l *DirLock) sign() error {
	if err := l.file.Chmod(0o600); err != nil {
		return err
	}
	if err := l.file.Truncate(0); err != nil {
		return err
	}
	_, err := l.file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

func inUse(dir string, f *os.File) error {
	who := "another process"
	text := make([]byte, 32)
	n, _ := f.ReadAt(text, 0) // a file that is being written is no reason to fail
	if pid, err := strconv.Atoi(strings.TrimSpace(string(text[:n]))); err == nil {
		who = fmt.Sprintf("pid %d", pid)
	}
	return vpn.Errorf(vpn.Unavailable, "the data directory %s is in use by %s", dir, who).
		WithHint("wait until it is done, or stop it")
}
