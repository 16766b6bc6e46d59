package worker

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"time"

	"vpn/internal/vpn"
)

// Environment variables that a worker in a container is started with.
const (
	// StateEnv names the worker's state directory: see [Finals]. A worker
	// that has one may be started anew by whoever runs its container, and
	// then serves at once what it was told last.
	StateEnv = "VPN_WORKER_STATE"
	// AnywhereEnv makes the worker listen on every address, whatever its spec
	// says: what the spec names are addresses outside of its container.
	AnywhereEnv = "VPN_WORKER_ANYWHERE"
)

// writeEvery bounds how often the spec is written, and so how much of the
// latest truth a worker may lose.
const writeEvery = 500 * time.Millisecond

// A state is the directory in which a worker keeps the last spec, and its
// counters when it ends. Only its own uid may read it: it holds secrets.
type state struct {
	dir string
	log *slog.Logger

	mu     sync.Mutex
	latest *vpn.Spec // not written yet
	wake   chan struct{}
	ending chan struct{} // closed when nothing is noted any more
	done   chan struct{} // closed when nothing is written any more
}

// SpecFile is the name of the file in a state directory that holds the last
// spec. An empty one is as good as none.
const SpecFile = "spec.json"

// openState returns the state in dir, and the spec that it holds, or nil.
func openState(dir string, log *slog.Logger) (*state, *vpn.Spec) {
	s := &state{dir: dir, log: log, wake: make(chan struct{}, 1), ending: make(chan struct{}), done: make(chan struct{})}
	go s.run()
	b, err := os.ReadFile(filepath.Join(dir, SpecFile))
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(b) == 0 {
		return s, nil // it is empty where a runtime could not remove it
	}
	var w wireSpec
	if err == nil {
		err = json.Unmarshal(b, &w)
	}
	if err != nil {
		log.Error("the last spec cannot be read, the worker waits for one", slog.Any("err", err))
		return s, nil
	}
	spec := w.spec()
	return s, &spec
}

// note has spec written soon.
func (s *state) note(spec vpn.Spec) {
	s.mu.Lock()
	s.latest = &spec
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// run writes what is noted, until the state is closed.
func (s *state) run() {
	defer close(s.done)
	for {
		select {
		case <-s.wake:
			s.flush()
		case <-s.ending:
			s.flush()
			return
		}
		late := time.NewTimer(writeEvery)
		select {
		case <-late.C:
		case <-s.ending:
		}
		late.Stop()
	}
}

// flush writes the latest spec, if it is not written.
func (s *state) flush() {
	s.mu.Lock()
	spec := s.latest
	s.latest = nil
	s.mu.Unlock()
	if spec == nil {
		return
	}
	b, err := json.Marshal(toWireSpec(*spec))
	if err == nil {
		err = replaceFile(filepath.Join(s.dir, SpecFile), b)
	}
	if err != nil {
		s.log.Error("the spec could not be kept: after a restart by itself the worker serves an older one", slog.Any("err", err))
	}
}

// close writes what is still to be written, or with forget removes the spec:
// the worker is not to serve again by itself.
func (s *state) close(forget bool) {
	if forget {
		s.mu.Lock()
		s.latest = nil
		s.mu.Unlock()
	}
	close(s.ending)
	<-s.done
	if !forget {
		return
	}
	if err := os.Remove(filepath.Join(s.dir, SpecFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.log.Error("the spec could not be removed", slog.Any("err", err))
	}
}

// final returns where the counters of an epoch go at its end.
func (s *state) final(epoch string) io.Writer { return finalFile{s.dir, epoch} }

// A finalFile is written at once and as a whole.
type finalFile struct{ dir, epoch string }

func (f finalFile) Write(b []byte) (int, error) {
	if err := replaceFile(filepath.Join(f.dir, finalFileName(f.epoch)), b); err != nil {
		return 0, err
	}
	return len(b), nil
}

// replaceFile puts b in place of the file, so that whoever reads it, even
// after the machine has lost its power, sees the old content or the new one.
func replaceFile(path string, b []byte) error {
	next := path + ".new"
	f, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(next))
	}
	return os.Rename(next, path)
}

var finalName = regexp.MustCompile(`^final-([0-9a-f]{32})\.json$`)

// Finals returns the counters that workers have left in a state directory at
// their ends, in no order. What cannot be read is left out: it is a worker's
// own doing.
func Finals(dir string) ([]vpn.Counters, error) {
	root, err := os.OpenRoot(dir) // which no link leads out of
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for final counters: %w", err)
	}
	defer root.Close()
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return nil, fmt.Errorf("look for final counters: %w", err)
	}
	var out []vpn.Counters
	for _, e := range entries {
		if !finalName.MatchString(e.Name()) || !e.Type().IsRegular() {
			continue
		}
		if cs, err := openFinal(root, e.Name()); err == nil {
			out = append(out, cs)
		}
	}
	return out, nil
}

// openFinal reads a file that a worker could write to.
func openFinal(root *os.Root, name string) (cs vpn.Counters, err error) {
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return cs, err
	}
	defer f.Close()
	return ReadFinal(name, f)
}

// ReadFinal reads the counters that a worker has left in a file of that name
// in its state directory, up to a limit far beyond any true content. A file
// that is not of that kind is an error.
func ReadFinal(name string, r io.Reader) (cs vpn.Counters, err error) {
	m := finalName.FindStringSubmatch(name)
	if m == nil {
		return cs, fmt.Errorf("%q holds no final counters", name)
	}
	b, err := io.ReadAll(io.LimitReader(r, maxBody))
	if err == nil {
		err = json.Unmarshal(b, &cs)
	}
	if err == nil && cs.Epoch != m[1] {
		err = fmt.Errorf("%q holds counters of another epoch", name)
	}
	return cs, err
}

// FinalFiles returns the names of the files in a state directory that hold the
// counters of those epochs.
func FinalFiles(epochs ...string) []string {
	var out []string
	for _, epoch := range epochs {
		if name := finalFileName(epoch); finalName.MatchString(name) {
			out = append(out, name)
		}
	}
	return out
}

func finalFileName(epoch string) string { return "final-" + epoch + ".json" }

// DiscardFinals removes the counters of those epochs from a state directory.
func DiscardFinals(dir string, epochs ...string) error {
	for _, name := range FinalFiles(epochs...) {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove final counters: %w", err)
		}
	}
	return nil
}
