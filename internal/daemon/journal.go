package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"time"

	"vpn/internal/app"
	"vpn/internal/logging"
	"vpn/internal/vpn"
)

// This file merges the control plane's log and those of all workers.

const (
	maxSearched = 16 << 20 // bytes of a file that are looked through for lines
	maxPoll     = 4 << 20  // bytes that are read of a file at one time
	maxLine     = 64 << 10
	before      = 100 // lines before the first one, of which that may have its time
	lookForNew  = 10  // polls, after which servers are looked for that are new
)

// Lines returns the lines that q selects, by time, and goes on if it follows.
func (l logs) Lines(ctx context.Context, from app.LogSources, q vpn.LogQuery) (iter.Seq[[]vpn.LogLine], error) {
	j := &journal{dir: l.dir, from: from, query: q, tails: map[string]*tail{}}
	if err := j.look(ctx); err != nil {
		return nil, err
	}
	begin, err := j.begin()
	if err != nil {
		j.close()
		return nil, err
	}
	return func(yield func([]vpn.LogLine) bool) {
		defer j.close()
		if len(begin) > 0 && !yield(begin) || !q.Follow {
			return
		}
		begin = nil
		poll := time.NewTicker(followPoll)
		defer poll.Stop()
		for polls := 1; ; polls++ {
			select {
			case <-ctx.Done():
				return
			case <-l.leaving:
				if lines := j.poll(); len(lines) > 0 { // what was logged until now
					yield(lines)
				}
				return
			case <-poll.C:
			}
			if polls%lookForNew == 0 {
				_ = j.look(ctx) // without a control plane there are none
			}
			if lines := j.poll(); len(lines) > 0 && !yield(lines) {
				return
			}
		}
	}, nil
}

// A journal is several logs that are read as one.
type journal struct {
	dir   string
	from  app.LogSources
	query vpn.LogQuery
	tails map[string]*tail // by file
}

// look finds the logs that there are.
func (j *journal) look(ctx context.Context) error {
	if j.from.ControlPlane {
		j.add(ownLogFile, vpn.ControlPlane)
	}
	servers, err := j.from.Servers(ctx)
	if err != nil {
		return err
	}
	for _, s := range servers {
		j.add(string(s.ID)+".log", s.Name)
	}
	return nil
}

func (j *journal) add(file, source string) {
	t := j.tails[file]
	if t == nil {
		t = &tail{path: filepath.Join(j.dir, file)}
		j.tails[file] = t
	}
	t.reader.Source = source // a server may be called otherwise since
}

// begin returns the last lines.
func (j *journal) begin() ([]vpn.LogLine, error) {
	var out []vpn.LogLine
	for _, t := range j.tails {
		lines, err := t.begin(j.query.Tail, j.selective(), j.wanted)
		if err != nil {
			return nil, err
		}
		out = append(out, lines...)
	}
	byTime(out)
	return out[max(0, len(out)-j.query.Tail):], nil
}

// selective reports whether not every line is wanted.
func (j *journal) selective() bool { return j.query.Level != "" || !j.query.Since.IsZero() }

func (j *journal) wanted(l vpn.LogLine) bool {
	return (j.query.Level == "" || l.Level.AtLeast(j.query.Level)) && !l.At.Before(j.query.Since)
}

// poll returns what was logged since it was called last.
func (j *journal) poll() []vpn.LogLine {
	var out []vpn.LogLine
	for _, t := range j.tails {
		for _, l := range t.poll() {
			if j.wanted(l) {
				out = append(out, l)
			}
		}
	}
	byTime(out)
	return out
}

func (j *journal) close() {
	for _, t := range j.tails {
		if t.f != nil {
			_ = t.f.Close()
			t.f = nil
		}
	}
}

// byTime puts lines in order. Those of one log that have one time, or whose
// clock was set back, stay as they were among themselves.
func byTime(lines []vpn.LogLine) {
	slices.SortStableFunc(lines, func(a, b vpn.LogLine) int { return a.At.Compare(b.At) })
}

// A tail is one log, from somewhere on.
type tail struct {
	path   string
	reader logging.Reader
	f      *os.File // nil: there is none yet
	rest   []byte   // of a line that has no end yet
}

// begin reads up to the end and returns the last n lines that are wanted, of
// the file before this one too if need be. Where all are wanted, no more than
// these are read.
func (t *tail) begin(n int, selective bool, wanted func(vpn.LogLine) bool) ([]vpn.LogLine, error) {
	if err := t.open(); err != nil || t.f == nil {
		return nil, err
	}
	here, err := t.last(n, selective, wanted)
	if err != nil || len(here) >= n {
		return here, err
	}
	old := &tail{path: t.path + ".1", reader: logging.Reader{Source: t.reader.Source}}
	if err := old.open(); err != nil || old.f == nil {
		return here, err
	}
	defer old.f.Close()
	earlier, err := old.last(n-len(here), selective, wanted)
	return append(earlier, here...), err
}

func (t *tail) last(n int, selective bool, wanted func(vpn.LogLine) bool) ([]vpn.LogLine, error) {
	lines := n + before
	if n == 0 {
		lines = 0
	}
	if selective {
		lines = maxSearched // more than there can be
	}
	if err := seekTail(t.f, lines); err != nil {
		return nil, fmt.Errorf("read a log: %w", err)
	}
	if at, err := t.f.Seek(0, io.SeekCurrent); err == nil {
		if st, err := t.f.Stat(); err == nil && st.Size()-at > maxSearched {
			_, _ = t.f.Seek(-maxSearched, io.SeekEnd)
		}
	}
	var out []vpn.LogLine
	for {
		found, more := t.read()
		for _, l := range found {
			if wanted(l) {
				out = append(out, l)
			}
		}
		if !more {
			dated(out, t.reader.Began)
			return out[max(0, len(out)-n):], nil
		}
	}
}

// dated gives the lines before the first that has a time of its own, which
// were taken for those of unknown, the time of that one.
func dated(lines []vpn.LogLine, unknown time.Time) {
	for i, l := range lines {
		if !l.At.Equal(unknown) {
			for j := range lines[:i] {
				lines[j].At = l.At
			}
			return
		}
	}
}

// open opens the file, if it is there.
func (t *tail) open() error {
	f, err := os.Open(t.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open a log: %w", err)
	}
	t.f = f
	if st, err := f.Stat(); err == nil {
		t.reader.Began = st.ModTime().UTC()
	}
	return nil
}

// read returns the lines that are there, up to maxPoll bytes of them, and
// whether there may be more.
func (t *tail) read() (lines []vpn.LogLine, more bool) {
	buf := make([]byte, tailChunk)
	for total := 0; total < maxPoll; {
		n, err := t.f.Read(buf)
		total += n
		t.rest = append(t.rest, buf[:n]...)
		lines = append(lines, t.whole()...)
		if n == 0 || err != nil {
			return lines, false
		}
	}
	return lines, true
}

// whole takes the lines off the rest that have an end, or that get no longer.
func (t *tail) whole() (lines []vpn.LogLine) {
	for {
		end := bytes.IndexByte(t.rest, '\n')
		next := end + 1
		if end < 0 {
			if len(t.rest) < maxLine {
				return lines
			}
			end, next = maxLine, maxLine
		}
		if l, ok := t.reader.Line(t.rest[:min(end, maxLine)]); ok {
			lines = append(lines, l)
		}
		t.rest = t.rest[next:]
		if len(t.rest) == 0 {
			t.rest = nil
		}
	}
}

// poll returns what was written since. When the name stands for another file,
// the log was rotated; one that has shrunk is read from its beginning.
func (t *tail) poll() []vpn.LogLine {
	if t.f == nil {
		if t.open() != nil || t.f == nil {
			return nil
		}
	}
	lines, more := t.read()
	if more {
		return lines
	}
	here, err := t.f.Stat()
	if err != nil {
		return lines
	}
	if at, err := t.f.Seek(0, io.SeekCurrent); err == nil && here.Size() < at {
		_, _ = t.f.Seek(0, io.SeekStart)
	}
	there, err := os.Stat(t.path)
	if err != nil || os.SameFile(here, there) {
		return lines
	}
	rest, more := t.read() // written between the last look and the rotation
	lines = append(lines, rest...)
	if more {
		return lines
	}
	_ = t.f.Close()
	t.f, t.rest = nil, nil
	if t.open() != nil || t.f == nil {
		return lines
	}
	rest, _ = t.read()
	return append(lines, rest...)
}
