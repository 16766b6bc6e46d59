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
	own, dead, locked, counted, others := dir("own"), dir("dead"), dir("locked"), dir("counted"), dir("others")
	there := t.TempDir() // another data directory, which nobody uses at the moment
	put(filepath.Join(there, StoreFile), "")
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
		filepath.Join(others, dataLink): there,
	} {
		if err := os.Symlink(to, name); err != nil {
			t.Fatal(err)
		}
	}
	o := Options{Config: config.Config{DataDir: data}}
	// Of the one that is locked nobody knows more than that before it is tried.
	if goes, err := vacates(t.Context(), o, base); err != nil || !slices.Equal(goes, []string{dead, locked, own}) {
		t.Errorf("what would go: %q %v", goes, err)
	}
	removed, used, err := vacate(t.Context(), o, base)
	if err != nil || !slices.Equal(used, []string{counted, locked, others}) || !slices.Equal(removed, []string{dead, own}) {
		t.Errorf("removed: %q; in use: %q %v", removed, used, err)
	}
	entries, err := filepath.Glob(filepath.Join(base, "*"))
	if err != nil || !slices.Equal(entries, []string{counted, locked, others}) {
		t.Errorf("left: %q %v", entries, err)
	}
	if goes, err := vacates(t.Context(), Options{Config: config.Config{DataDir: there}}, base); err != nil || slices.Contains(goes, base) || !slices.Contains(goes, others) {
		t.Errorf("of the other, what would go: %q %v", goes, err)
	}

	// What nobody uses any more goes, and the directory with it.
	_ = lock.Close()
	_ = os.Remove(filepath.Join(counted, "aaaaaaaaaaaaaaaa.final"))
	_ = os.Remove(filepath.Join(there, StoreFile))
	want := []string{counted, locked, others, base}
	if goes, err := vacates(t.Context(), o, base); err != nil || !slices.Equal(goes, want) {
		t.Errorf("what would go: %q %v", goes, err)
	}
	if removed, used, err := vacate(t.Context(), o, base); err != nil || len(used) > 0 || !slices.Equal(removed, want) {
		t.Errorf("removed: %q; in use: %q %v", removed, used, err)
	}
	if _, err := os.Stat(base); !os.IsNotExist(err) {
		t.Errorf("the base is left: %v", err)
	}
	if removed, _, err := vacate(t.Context(), o, base); err != nil || len(removed) > 0 {
		t.Errorf("nothing is there: %q, %v", removed, err)
	}
	if goes, err := vacates(t.Context(), o, base); err != nil || len(goes) > 0 {
		t.Errorf("nothing is there: %q, %v", goes, err)
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
	_, used, err := vacate(t.Context(), Options{Config: config.Config{DataDir: data}}, base)
	if vpn.KindOf(err) != vpn.Unavailable || !slices.Equal(used, []string{own}) {
		t.Errorf("%q %v", used, err)
	}
}

// A data directory's run directories are found whatever has become of its
// store, and never those of the one that it is a copy of.
func TestRunDirs(t *testing.T) {
	base, data, twin := t.TempDir(), t.TempDir(), t.TempDir()
	var dirs []string
	for _, name := range []string{"before", "now", "others"} {
		dir := filepath.Join(base, name)
		dirs = append(dirs, dir)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name, to := range map[string]string{
		filepath.Join(dirs[0], dataLink): data,
		filepath.Join(dirs[1], dataLink): data,
		filepath.Join(dirs[2], dataLink): t.TempDir(),
		filepath.Join(data, runLink):     dirs[1],
		filepath.Join(twin, runLink):     dirs[1],
	} {
		if err := os.Symlink(to, name); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{data, twin} {
		if err := os.WriteFile(filepath.Join(dir, StoreFile), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got := runDirs(data, base)
	slices.Sort(got)
	if !slices.Equal(got, dirs[:2]) {
		t.Errorf("%q", got)
	}
	if got := runDirs(twin, base); len(got) > 0 {
		t.Errorf("of a copy: %q", got)
	}
	if err := os.RemoveAll(data); err != nil {
		t.Fatal(err)
	}
	if got := runDirs(data, base); len(got) != 2 {
		t.Errorf("of a directory that is gone: %q", got)
	}
}
