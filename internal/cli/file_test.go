package cli

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"vpn/internal/vpn"
)

func stat(t *testing.T, path string) (mode fs.FileMode, owner ids) {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode(), idsOf(info)
}

// What root makes in somebody's directory belongs to that person.
func TestFilesBelongToTheDirectorysOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("this has to run as root")
		}
		t.Skip("this plays root")
	}
	home, person := t.TempDir(), ids{54321, 54322}
	if err := os.Chown(home, person.uid, person.gid); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(home, "a", "b", "config.yaml")
	if err := replaceFile(config, []byte("one"), 0o644); err != nil {
		t.Fatal(err)
	}
	p := newRunner().program()
	image := filepath.Join(home, "a.png")
	if err := writeSecretFile(p, image, []byte("two")); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{config, filepath.Dir(config), filepath.Join(home, "a"), image} {
		if _, owner := stat(t, path); owner != person {
			t.Errorf("%s belongs to %v", path, owner)
		}
	}
	// A file that is there keeps its own owner and mode.
	other := ids{12345, 12346}
	if err := os.Chown(config, other.uid, other.gid); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(config, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := replaceFile(config, []byte("three"), 0o644); err != nil {
		t.Fatal(err)
	}
	if mode, owner := stat(t, config); owner != other || mode != 0o640 {
		t.Errorf("a replaced file has mode %v and belongs to %v", mode, owner)
	}
	// A secret is its directory owner's, whoever had the file before.
	if err := os.Chmod(image, 0o644); err != nil {
		t.Fatal(err)
	}
	p.global.yes = true
	if err := writeSecretFile(p, image, []byte("four")); err != nil {
		t.Fatal(err)
	}
	if mode, owner := stat(t, image); owner != person || mode != 0o600 {
		t.Errorf("a replaced secret has mode %v and belongs to %v", mode, owner)
	}
}

// A file that cannot be written is left as it was, and nothing lies around.
func TestAFailedWriteLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := replaceFile(path, []byte("x"), 0o600); vpn.KindOf(err) != vpn.Invalid {
		t.Errorf("over a directory: %v", err)
	}
	if err := putFile(path, []byte("x"), 0o600, ids{os.Geteuid(), os.Getegid()}); err == nil {
		t.Error("a file took a directory's place")
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("left are %v, %v", left, err)
	}
}

// A full disk is no fault of the program's, wherever it was met.
func TestFullDiskIsNobodysFault(t *testing.T) {
	for _, cause := range []error{syscall.ENOSPC, syscall.EDQUOT} {
		full := &fs.PathError{Op: "write", Path: ".a.png.1", Err: cause}
		for _, err := range []error{fileProblem("write", "a.png", full), fmt.Errorf("write unit: %w", full)} {
			var said strings.Builder
			p := newProgram(IO{Out: io.Discard, Err: &said, Getenv: func(string) string { return "" }})
			if status := p.report(err); status != 6 || !strings.Contains(said.String(), "\nhint: make room on that disk") {
				t.Errorf("%v: status %d, %s", err, status, said.String())
			}
		}
	}
}
