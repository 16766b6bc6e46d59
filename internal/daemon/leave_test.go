package daemon

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"vpn/internal/config"
	"vpn/internal/store/sqlite"
	"vpn/internal/vpn"
)

// Run directories that somebody uses, or needs, are left alone.
func TestVacate(t *testing.T) {
	base, data := t.TempDir(), t.TempDir()
	dir := func(name string) string {
		path := filepath.Join(base, name)
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		return path
	}
	put := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	own, dead, locked, counted := dir("own"), dir("dead"), dir("locked"), dir("counted")
	put(filepath.Join(own, "aaaaaaaaaaaaaaaa.final"), "{}")
	put(filepath.Join(dead, "aaaaaaaaaaaaaaaa.final"), "")
	put(filepath.Join(counted, "aaaaaaaaaaaaaaaa.final"), "{}")
	lock, err := sqlite.Lock(t.Context(), locked, 0)
	if err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{
		filepath.Join(data, runLink):    own,
		filepath.Join(base, socketName): filepath.Join(own, socketName),
	} {
		if err := os.Symlink(to, name); err != nil {
			t.Fatal(err)
		}
	}
	o := Options{Config: config.Config{DataDir: data}}
	used, err := vacate(t.Context(), o, base)
	slices.Sort(used)
	if err != nil || !slices.Equal(used, []string{counted, locked}) {
		t.Errorf("in use: %q %v", used, err)
	}
	entries, err := filepath.Glob(filepath.Join(base, "*"))
	if err != nil || !slices.Equal(entries, []string{counted, locked}) {
		t.Errorf("left: %q %v", entries, err)
	}

	// What nobody uses any more goes, and the directory with it.
	_ = lock.Close()
	_ = os.Remove(filepath.Join(counted, "aaaaaaaaaaaaaaaa.final"))
	if used, err := vacate(t.Context(), o, base); err != nil || len(used) > 0 {
		t.Errorf("in use: %q %v", used, err)
	}
	if _, err := os.Stat(base); !os.IsNotExist(err) {
		t.Errorf("the base is left: %v", err)
	}
	if _, err := vacate(t.Context(), o, base); err != nil {
		t.Errorf("nothing is there: %v", err)
	}
}

// A run directory that a control plane has is not taken from under it.
func TestVacateWaitsForNobody(t *testing.T) {
	base, data := t.TempDir(), t.TempDir()
	own := filepath.Join(base, "own")
	if err := os.Mkdir(own, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(own, filepath.Join(data, runLink)); err != nil {
		t.Fatal(err)
	}
	lock, err := sqlite.Lock(t.Context(), own, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	used, err := vacate(t.Context(), Options{Config: config.Config{DataDir: data}}, base)
	if vpn.KindOf(err) != vpn.Unavailable || !slices.Equal(used, []string{own}) {
		t.Errorf("%q %v", used, err)
	}
}
