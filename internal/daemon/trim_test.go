package daemon

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vpn/internal/vpn"
)

// A worker that says much fills no disk, and goes on saying it where whoever
// reads the log finds it.
func TestLogsAreTrimmed(t *testing.T) {
	dir := t.TempDir()
	id := vpn.ServerID(vpn.NewID())
	path := filepath.Join(dir, string(id)+".log")
	worker, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer worker.Close()
	write := func(line string) {
		t.Helper()
		if _, err := worker.WriteString(line + "\n"); err != nil {
			t.Fatal(err)
		}
	}
	own := filepath.Join(dir, ownLogFile)
	if err := os.WriteFile(own, []byte(strings.Repeat("x", 200)), 0o600); err != nil {
		t.Fatal(err)
	}
	l := logs{dir: dir, leaving: make(chan struct{})}
	reader, err := l.Open(t.Context(), vpn.Server{ID: id}, true, 10, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	next := func(want string) {
		t.Helper()
		b := make([]byte, len(want)+1)
		if _, err := io.ReadFull(reader, b); err != nil || string(b) != want+"\n" {
			t.Fatalf("read %q, %v; want %q", b, err, want)
		}
	}
	long := strings.Repeat("long ", 30)
	write(long)
	next(long)
	for range 2 { // the second time there is nothing to do
		if err := l.trim(100); err != nil {
			t.Fatal(err)
		}
	}
	write("later")
	next("later")
	for file, want := range map[string]string{path: "later\n", path + ".1": long + "\n", own: strings.Repeat("x", 200)} {
		if got, err := os.ReadFile(file); err != nil || string(got) != want {
			t.Errorf("%s has %q, %v; want %q", filepath.Base(file), got, err, want)
		}
	}
}
