package docker

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A log has each line without its date, and is as old as its last line.
func TestDated(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d := &dated{f}
	for _, line := range []string{
		"2026-11-29T11:17:03.677000001Z one and more\n", "2026-11-29T11:17:04.123456789Z two\n", "2026-11-29T11:17:04.123456790Z \n",
		"2026-11-29T11:17:05Z a piece of a long", "2026-11-29T11:17:05.000000001Z  one\n", "no date\n",
	} {
		if n, err := d.Write([]byte(line)); n != len(line) || err != nil {
			t.Errorf("of %q are written %d bytes, %v", line, n, err)
		}
		if line == "2026-11-29T11:17:04.123456790Z \n" {
			st, err := os.Stat(path)
			if want := time.Date(2026, 11, 29, 11, 17, 4, 123456791, time.UTC); err != nil || !st.ModTime().Equal(want) {
				t.Errorf("it is of %v, %v, want %v", st.ModTime(), err, want)
			}
		}
	}
	text, err := os.ReadFile(path)
	if want := "one and more\ntwo\n\na piece of a long one\nno date\n"; string(text) != want || err != nil {
		t.Errorf("it holds %q, %v, want %q", text, err, want)
	}
}
