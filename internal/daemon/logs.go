package daemon

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"vpn/internal/logging"
	"vpn/internal/vpn"
)

// logs reads the files that workers log to; the control plane opened each of
// them and may read them though they lie out of the workers' reach.
type logs struct {
	dir     string
	leaving <-chan struct{} // closed when whoever follows has to go
}

const (
	tailChunk  = 64 << 10
	followPoll = 200 * time.Millisecond
)

// Open returns the last tail lines of the server's log that are not older than
// since and, following, what is added until ctx ends. A server that has not
// logged yet has an empty log.
func (l logs) Open(ctx context.Context, s vpn.Server, follow bool, tail int, since time.Time) (io.ReadCloser, error) {
	path := filepath.Join(l.dir, string(s.ID)+".log") // a name may be another's later
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) && !follow {
		return io.NopCloser(bytes.NewReader(nil)), nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		f, err = os.OpenFile(path, os.O_RDONLY|os.O_CREATE, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("open a log: %w", err)
	}
	err = seekTail(f, tail)
	if err == nil && !since.IsZero() {
		err = seekSince(f, since)
	}
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("read a log: %w", err)
	}
	if !follow {
		return f, nil
	}
	return &follower{ctx: ctx, leaving: l.leaving, path: path, f: f}, nil
}

// seekTail moves f to the beginning of its last n lines.
func seekTail(f *os.File, n int) error {
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil || n == 0 {
		return err
	}
	buf := make([]byte, tailChunk)
	pos, lines := end, 0
	for pos > 0 {
		size := min(pos, tailChunk)
		pos -= size
		if _, err := f.ReadAt(buf[:size], pos); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		for i := size - 1; i >= 0; i-- {
			if buf[i] != '\n' || pos+i == end-1 {
				continue
			}
			if lines++; lines == n {
				_, err := f.Seek(pos+i+1, io.SeekStart)
				return err
			}
		}
	}
	_, err = f.Seek(0, io.SeekStart)
	return err
}

// seekSince moves f on to the first line that is not older than since: from
// there on all are wanted, those without a time of their own too. Where no
// line has one, the file's time is that of all.
func seekSince(f *os.File, since time.Time) error {
	begin, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	var (
		lines = bufio.NewReaderSize(f, tailChunk)
		read  logging.Reader // knows of no time before the first
		at    = begin
		timed = false
	)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		l, is := read.Line(line)
		if is && !l.At.IsZero() {
			timed = true
		}
		if is && timed && !l.At.Before(since) {
			_, err := f.Seek(at, io.SeekStart)
			return err
		}
		at += int64(len(line))
		if errors.Is(err, io.EOF) {
			break
		}
	}
	if st, err := f.Stat(); err == nil && !timed && !st.ModTime().Before(since) {
		at = begin
	}
	_, err = f.Seek(at, io.SeekStart)
	return err
}

// follower reads a growing file. When the name stands for another file, the
// log was rotated: what is left of the old one comes first, then the new one.
// A file that has shrunk is read from its beginning.
type follower struct {
	ctx     context.Context //nolint:containedctx // a reader's Read takes none
	leaving <-chan struct{}
	path    string

	mu     sync.Mutex // Close may come while Read runs
	f      *os.File
	next   *os.File // nil: none yet
	closed bool
}

func (r *follower) Read(p []byte) (int, error) {
	for {
		r.mu.Lock()
		f := r.f
		r.mu.Unlock()
		n, err := f.Read(p)
		if n > 0 || err != nil && !errors.Is(err, io.EOF) {
			return n, err
		}
		if r.turn() {
			continue
		}
		select {
		case <-r.ctx.Done():
			return 0, io.EOF
		case <-r.leaving:
			return 0, io.EOF
		case <-time.After(followPoll):
		}
		r.look()
	}
}

// turn goes on with the next file, if there is one.
func (r *follower) turn() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.next == nil || r.closed {
		return false
	}
	_ = r.f.Close()
	r.f, r.next = r.next, nil
	return true
}

// look finds out whether the file is still the one to read, and from where.
func (r *follower) look() {
	r.mu.Lock()
	defer r.mu.Unlock()
	here, err := r.f.Stat()
	if err != nil || r.closed {
		return
	}
	if at, err := r.f.Seek(0, io.SeekCurrent); err == nil && here.Size() < at {
		_, _ = r.f.Seek(0, io.SeekStart) // it was a place before
	}
	there, err := os.Stat(r.path)
	if err != nil || os.SameFile(here, there) {
		return
	}
	if f, err := os.Open(r.path); err == nil {
		r.next = f
	}
}

func (r *follower) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	if r.next != nil {
		_ = r.next.Close()
		r.next = nil
	}
	return r.f.Close()
}
