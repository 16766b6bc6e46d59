package daemon

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vpn/internal/vpn"
)

// names lists what is in a directory, and below.
func names(t *testing.T, dir string) string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		out = append(out, path+" "+info.ModTime().String())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(out, "\n")
}

func TestCheckMakesNothing(t *testing.T) {
	dir := t.TempDir()
	r, err := Check(t.Context(), Options{Config: configured(t, filepath.Join(dir, "a", "b"))})
	if err != nil || !strings.Contains(r.Store, "will be made") {
		t.Errorf("where nothing is: %+v, %v", r, err)
	}
	if got := names(t, dir); strings.Contains(got, "\n") {
		t.Errorf("there is now:\n%s", got)
	}
}

// A daemon that is at work is no hindrance, and is not disturbed.
func TestCheckBesideADaemon(t *testing.T) {
	dir := t.TempDir()
	p := newPlant(t, dir)
	r, err := Check(t.Context(), Options{Config: configured(t, dir)})
	if err != nil || !strings.HasPrefix(r.Store, "version ") || len(r.Migrations) > 0 || !strings.HasPrefix(r.RunDir, "/") {
		t.Errorf("beside a daemon: %+v, %v", r, err)
	}
	if _, err := p.client.Users.Create(t.Context(), vpn.NewUser{Name: "alice"}); err != nil {
		t.Error(err)
	}
	if err := p.end(); err != nil {
		t.Fatal(err)
	}
	before := names(t, dir)
	if _, err := Check(t.Context(), Options{Config: configured(t, dir)}); err != nil {
		t.Error(err)
	}
	if after := names(t, dir); after != before {
		t.Errorf("it was:\n%s\nand is:\n%s", before, after)
	}
}

func TestCheckRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	store := t.TempDir()
	if err := os.WriteFile(filepath.Join(store, StoreFile), []byte("not a store at all, by far"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		dir, says string
	}{
		"a file":          {file, "is not a directory"},
		"a foreign store": {store, "is damaged"},
		"below a file":    {filepath.Join(file, "x"), "cannot be used"},
	} {
		_, err := Check(t.Context(), Options{Config: configured(t, c.dir), Log: slog.New(slog.DiscardHandler)})
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
	if _, err := checkUIDs(vpn.UIDRange{Base: 5000, Count: 2}, 3); os.Geteuid() == 0 && vpn.KindOf(err) != vpn.Unavailable {
		t.Errorf("too few user ids: %v", err)
	}
}
