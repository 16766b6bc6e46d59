package service

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// machine is the file system and the programs of the machine to install on.
type machine struct {
	root string // of the file system; empty but in tests
	run  func(ctx context.Context, program string, args ...string) (string, error)
}

func (m machine) at(path string) string { return filepath.Join(m.root, path) }

func (m machine) exists(path string) bool {
	_, err := os.Lstat(m.at(path))
	return err == nil
}

func (m machine) isDir(path string) bool {
	st, err := os.Stat(m.at(path))
	return err == nil && st.IsDir()
}

// read returns a file's content, or nil if there is no file.
func (m machine) read(path string) ([]byte, error) {
	b, err := os.ReadFile(m.at(path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if b == nil && err == nil {
		b = []byte{}
	}
	return b, err
}

// write replaces a file in one step: whoever reads it sees the old or the
// new one.
func (m machine) write(path string, content []byte, mode fs.FileMode) error {
	path = m.at(path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // system directories are everybody's to read
		return err
	}
	// In the same directory: there it gets the label that SELinux gives to
	// files there.
	f, err := os.CreateTemp(filepath.Dir(path), ".vpn-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // it has another name by then, if all went well
	_, err = bytes.NewReader(content).WriteTo(f)
	if err := errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// remove removes what patterns match, which need not be there, and returns
// what was.
func (m machine) remove(patterns ...string) (removed []string, err error) {
	for _, path := range m.find(patterns...) {
		if e := os.RemoveAll(m.at(path)); e != nil {
			err = errors.Join(err, e)
			continue
		}
		removed = append(removed, path)
	}
	return removed, err
}

// find returns the paths that match patterns.
func (m machine) find(patterns ...string) (found []string) {
	for _, pattern := range patterns {
		paths, _ := filepath.Glob(m.at(pattern)) // the patterns are good
		for _, path := range paths {
			found = append(found, path[len(m.root):])
		}
	}
	return found
}
