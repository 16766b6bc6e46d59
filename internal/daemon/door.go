package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"

	"vpn/internal/store/sqlite"
)

// A door is where the API listens. It can be hung anew while somebody waits
// at it: a run directory may be emptied by whoever clears up file systems.
type door struct {
	mu     sync.Mutex
	inner  *net.UnixListener
	file   fs.FileInfo // of the socket; nil: not known
	closed bool
}

func newDoor(l *net.UnixListener) *door {
	d := &door{inner: l}
	d.file, _ = os.Lstat(l.Addr().String())
	return d
}

func (d *door) current() *net.UnixListener {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.inner
}

// Accept implements [net.Listener]. It goes on at the door that was hung anew.
func (d *door) Accept() (net.Conn, error) {
	for {
		l := d.current()
		c, err := l.Accept()
		if err == nil {
			return c, nil
		}
		d.mu.Lock()
		again := d.inner != l && !d.closed
		d.mu.Unlock()
		if !again {
			return nil, err
		}
	}
}

// Addr implements [net.Listener].
func (d *door) Addr() net.Addr { return d.current().Addr() }

// Close implements [net.Listener].
func (d *door) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	return d.inner.Close()
}

// gone reports whether nobody finds the door any more.
func (d *door) gone() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed || d.file == nil {
		return false
	}
	there, err := os.Lstat(d.inner.Addr().String())
	return errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(there, d.file)
}

// hang makes l the door.
func (d *door) hang(l *net.UnixListener) {
	d.mu.Lock()
	defer d.mu.Unlock()
	old := d.inner
	d.inner = l
	d.file, _ = os.Lstat(l.Addr().String())
	old.SetUnlinkOnClose(false) // what bears its name now is the new one
	_ = old.Close()
}

// reopen makes the run directory and the API socket again if somebody has
// removed them. Workers whose sockets went with them serve on; a later control
// plane would not find them, which [control.Warnings] says.
func (s *serving) reopen(ctx context.Context) {
	if !s.door.gone() {
		return
	}
	log := s.options.Log.With(slog.String("run_dir", s.runDir))
	if err := s.rehang(ctx); err != nil {
		if !s.lost {
			log.Error("the run directory was removed and cannot be made again: nobody can ask the daemon; stop it and start it again", slog.Any("err", err))
		}
		s.lost = true
		return
	}
	s.lost = false
	log.Warn("the API socket was removed by somebody, and is made again")
}

func (s *serving) rehang(ctx context.Context) error {
	dir, err := makeRunDir(s.runBase, s.options.Config.DataDir, filepath.Base(s.runDir))
	if err != nil {
		return err
	}
	if dir != s.runDir {
		return fmt.Errorf("its place is %s now", dir)
	}
	if !s.locks[1].Holds(dir) { // its file is no more
		lock, err := sqlite.Lock(ctx, dir, 0)
		if err != nil {
			return err
		}
		_ = s.locks[1].Close()
		s.locks[1] = lock
	}
	l, err := listen(dir, systemDir(s.options.Config.DataDir), nil)
	if err != nil {
		return err
	}
	s.door.hang(l)
	return nil
}
