package process

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// maxLog is how large a log may be at a start before a new one is begun.
const maxLog = 10 << 20

// A workerLog is a server's log, as it was when its worker started.
type workerLog struct {
	file  *os.File
	path  string
	start int64
}

func openLog(dir, id string) (*workerLog, error) {
	path := filepath.Join(dir, id+".log")
	if st, err := os.Stat(path); err == nil && st.Size() > maxLog {
		if err := os.Rename(path, path+".1"); err != nil {
			return nil, fmt.Errorf("begin a new worker log: %w", err)
		}
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("look at a worker's log: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND|syscall.O_NOFOLLOW, 0o600)
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		// Where no file can be made, the server runs without a log.
		f, err = os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	}
	if err != nil {
		return nil, fmt.Errorf("open a worker's log: %w", err)
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("look at a worker's log: %w", err)
	}
	return &workerLog{file: f, path: path, start: st.Size()}, nil
}

// reason returns the line that says best why the worker ended: the first of a
// crash, else the last of all.
func (l *workerLog) reason() string {
	const enough = 64 << 10
	f, err := os.Open(l.path)
	if err != nil {
		return ""
	}
	defer f.Close()
	b := make([]byte, enough)
	n, _ := f.ReadAt(b, l.start) // what there is
	var last string
	for line := range strings.Lines(string(b[:n])) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") {
			return line
		}
		if line != "" {
			last = line
		}
	}
	return last
}
