package daemon

import (
	"bufio"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vpn/internal/vpn"
)

// logOf opens the log of a server named main in dir.
func logOf(ctx context.Context, t *testing.T, dir string, follow bool, tail int) io.ReadCloser {
	t.Helper()
	r, err := logs{dir: dir}.Open(ctx, vpn.Server{ID: "main"}, follow, tail, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// appendTo writes as a worker does: to a file that it has open.
func appendTo(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	_, werr := f.WriteString(text)
	if err := f.Close(); err != nil || werr != nil {
		t.Fatal(werr, err)
	}
}

func TestTailOfALog(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "main.log")
	if got, err := io.ReadAll(logOf(t.Context(), t, dir, false, 10)); err != nil || len(got) > 0 {
		t.Errorf("a server that has not logged yet: %q, %v", got, err)
	}
	long := strings.Repeat("x", tailChunk) // lines that reach over what is read at once
	appendTo(t, path, "one\n"+long+"\nthree\nfour")
	for n, want := range map[int]string{
		0: "", 1: "four", 2: "three\nfour", 3: long + "\nthree\nfour",
		4: "one\n" + long + "\nthree\nfour", 100: "one\n" + long + "\nthree\nfour",
	} {
		if got, err := io.ReadAll(logOf(t.Context(), t, dir, false, n)); err != nil || string(got) != want {
			t.Errorf("the last %d lines: %d bytes, %v, want %d", n, len(got), err, len(want))
		}
	}
}

// Who follows a log sees every line, the last ones of a file that was rotated
// away included: they tell why a worker died.
func TestFollowALogOverARotation(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "main.log")
	ctx, cancel := context.WithCancel(t.Context())
	r := logOf(ctx, t, dir, true, 10) // before there is a file
	lines := bufio.NewScanner(r)
	next := func(want string) {
		t.Helper()
		if !lines.Scan() || lines.Text() != want {
			t.Fatalf("line %q, %v, want %q", lines.Text(), lines.Err(), want)
		}
	}
	appendTo(t, path, "begun\n")
	next("begun")
	for range 3 {
		// All at once, between two looks of the follower.
		appendTo(t, path, "panic: last words\n")
		if err := os.Rename(path, path+".1"); err != nil {
			t.Fatal(err)
		}
		appendTo(t, path, "begun again\n")
		next("panic: last words")
		next("begun again")
	}
	// The same in the moment before it looks whether the name stands for another file.
	appendTo(t, path, "panic: last words\n")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	appendTo(t, path, "begun again\n")
	r.(*follower).turn()
	next("panic: last words")
	next("begun again")
	cancel()
	if lines.Scan() || lines.Err() != nil {
		t.Errorf("after the end: %q, %v", lines.Text(), lines.Err())
	}
}

// What is not older than a time begins with the first line that has a later
// one, and goes on with all that follows.
func TestALogSince(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "main.log")
	at := func(clock string) time.Time {
		when, err := time.Parse(time.RFC3339, "2026-11-23T"+clock+"Z")
		if err != nil {
			t.Fatal(err)
		}
		return when
	}
	line := func(clock, says string) string {
		return "time=2026-11-23T" + clock + ".000Z level=INFO msg=" + says + "\n"
	}
	since := func(when time.Time, tail int) string {
		t.Helper()
		r, err := logs{dir: dir}.Open(t.Context(), vpn.Server{ID: "main"}, false, tail, when)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		got, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		return string(got)
	}
	first, second, third := line("10:00:00", "one")+"panic: of one\n", line("11:00:00", strings.Repeat("x", tailChunk))+"a trace\n", line("12:00:00", "three")
	appendTo(t, path, "no time yet\n"+first+second+third)
	for _, c := range []struct {
		since string
		tail  int
		want  string
	}{
		{"09:00:00", 100, first + second + third},
		{"10:00:00", 100, first + second + third},
		{"10:00:01", 100, second + third},
		{"11:30:00", 100, third},
		{"12:00:01", 100, ""},
		{"09:00:00", 1, third},
		{"09:00:00", 2, third}, // the trace before it has no time here
		{"09:00:00", 0, ""},
	} {
		if got := since(at(c.since), c.tail); got != c.want {
			t.Errorf("the last %d lines since %s: %.60q, want %.60q", c.tail, c.since, got, c.want)
		}
	}
	// Without a time in it, a log is as old as its file.
	if err := os.WriteFile(path, []byte("panic: at the start\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, time.Time{}, at("10:00:00")); err != nil {
		t.Fatal(err)
	}
	if got := since(at("09:00:00"), 10); got != "panic: at the start\n" {
		t.Errorf("it is %q", got)
	}
	if got := since(at("11:00:00"), 10); got != "" {
		t.Errorf("it is %q", got)
	}
}
