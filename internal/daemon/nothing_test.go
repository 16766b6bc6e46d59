package daemon

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"vpn/internal/client"
	"vpn/internal/vpn"
)

// TestNothingIsLeft of a dry run where there is no data directory: no store,
// no sockets' directory.
func TestNothingIsLeft(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	l, err := OpenNothing(t.Context(), Options{Log: slog.New(slog.DiscardHandler), Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	run := l.plane.runDir
	if _, err := os.Stat(run); err != nil {
		t.Fatal(err)
	}
	change, err := client.InProcess(l.Handler()).DryRun().Users.Create(t.Context(), vpn.NewUser{Name: "alice"})
	if err != nil || !change.DryRun {
		t.Errorf("got %+v, %v", change, err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(run); !os.IsNotExist(err) {
		t.Errorf("%s is left: %v", run, err)
	}
	if left, _ := filepath.Glob(filepath.Join(tmp, "vpn-dry-run-*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}
