package daemon

import (
	"os"
	"path/filepath"
	"slices"
	"sync"
)

// ownLogFile is the name of the control plane's log beside those of workers,
// which are named after their servers' ids.
const ownLogFile = "control.log"

const (
	maxOwnLog = 4 << 20 // bytes; with the one before it, twice that
	maxHeld   = 200     // lines
)

// An ownLog keeps what the control plane logs in a file, for whoever asks for
// it later: wherever else it goes, it cannot be read back from there. What is
// logged before the file is open is held until then. A line that cannot be
// written is lost: the log goes its other way too.
type ownLog struct {
	mu   sync.Mutex
	path string
	file *os.File // nil: not open
	size int64
	held [][]byte
}

// Write takes one line. It always succeeds.
func (l *ownLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.file != nil:
		l.put(p)
	case l.path == "" && len(l.held) < maxHeld:
		l.held = append(l.held, slices.Clone(p))
	}
	return len(p), nil
}

func (l *ownLog) put(p []byte) {
	if l.size+int64(len(p)) > maxOwnLog {
		_ = l.file.Close()
		_ = os.Rename(l.path, l.path+".1")
		if l.begin() != nil {
			return
		}
	}
	n, _ := l.file.Write(p)
	l.size += int64(n)
}

// begin opens the file.
func (l *ownLog) begin() error {
	l.file = nil
	f, err := os.OpenFile(l.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	st, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return err
	}
	l.file, l.size = f, st.Size()
	return nil
}

// open begins to write into dir, with what was held. If no file can be made,
// as on a full disk, nothing is kept.
func (l *ownLog) open(dir string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.path = filepath.Join(dir, ownLogFile)
	err := l.begin()
	for _, p := range l.held {
		if l.file != nil {
			l.put(p)
		}
	}
	l.held = nil
	return err
}

// close ends it: what is logged from now on is not kept.
func (l *ownLog) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil {
		_ = l.file.Close()
		l.file = nil
	}
}
