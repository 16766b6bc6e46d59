//go:build linux

package rig

import (
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// Version returns the file of a program that is the one under test but for
// the version that it says it has: five digits with two dots, such as 9.87.6.
func Version(t testing.TB, version string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "vpn-"+version)
	writeVersion(t, path, version)
	return path
}

// Lame returns the file of a program that is like that of [Version], says of
// itself that it can take over, and fails when it does: it asks the database
// for a sort of transaction that there is not.
func Lame(t testing.TB, version string) string {
	t.Helper()
	path := Version(t, version)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const sort, none = "immediate", "immediatx"
	if !bytes.Contains(b, []byte(sort)) {
		t.Fatalf("the program under test does not hold %q", sort)
	}
	b = bytes.ReplaceAll(b, []byte(sort), []byte(none))
	if err := writeProgram(path, b); err != nil {
		t.Fatal(err)
	}
	return path
}

// writeVersion changes what the linker wrote, which takes no time, rather
// than to link again, which takes a minute. Both must be of one length.
func writeVersion(t testing.TB, path, version string) {
	t.Helper()
	b, err := os.ReadFile(os.Getenv(envBinary))
	if err != nil {
		t.Fatal(err)
	}
	const before, after = "mod\tvpn\t", "\t"
	at := bytes.Index(b, []byte(before))
	if at < 0 {
		t.Fatal("the program under test has no version")
	}
	rest := b[at+len(before):]
	old := append([]byte(before), rest[:bytes.IndexByte(rest, after[0])]...)
	old = append(old, after...)
	version = "v" + version
	if room := len(old) - len(before) - len(after); len(version) < room {
		// A version from git is longer; what is behind a + is a remark.
		version += "+" + string(bytes.Repeat([]byte("x"), room-len(version)-1))
	} else if len(version) > room {
		t.Fatalf("version %s does not fit into %d bytes", version, room)
	}
	b = bytes.ReplaceAll(b, old, []byte(before+version+after))
	if err := writeProgram(path, b); err != nil {
		t.Fatal(err)
	}
}

// writeProgram writes what is executed next. No other process may be born
// while it is open to be written: it would hold it open, and the kernel
// execute nothing that is.
func writeProgram(path string, b []byte) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	return os.WriteFile(path, b, 0o755)
}

// SetVersion makes the instance's installed program one of a version of its
// own, before the daemon is started.
func (i *Instance) SetVersion(version string) {
	i.t.Helper()
	if err := os.Remove(i.Bin); err != nil { // it is a link to what all share
		i.t.Fatal(err)
	}
	writeVersion(i.t, i.Bin, version)
}
