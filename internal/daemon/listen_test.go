package daemon

import (
	"net"
	"os"
	"path/filepath"
	"testing"
)

// A listener that was handed over answers at the same place. Until the
// takeover is settled, closing it leaves its place to the program before.
func TestInheritListener(t *testing.T) {
	path := filepath.Join(t.TempDir(), "api.sock")
	first, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	first.SetUnlinkOnClose(false)
	h := &Handover{}
	if h.api, err = first.File(); err != nil {
		t.Fatal(err)
	}
	first.Close()
	client, err := net.Dial("unix", path) // while nobody accepts
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if l := inheritListener(path+"x", h); l != nil {
		t.Error("it was taken for another path")
	}
	for range 2 {
		l := inheritListener(path, h)
		if l == nil {
			t.Fatal("nothing was inherited")
		}
		l.Close()
		if _, err := os.Lstat(path); err != nil {
			t.Fatal(err)
		}
	}
	l := inheritListener(path, h)
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	l.Close()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if l := inheritListener(path, h); l != nil {
		t.Error("it was taken though nobody can find it")
	}
	h.settle()
}
