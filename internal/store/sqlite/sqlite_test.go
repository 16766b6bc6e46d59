package sqlite

import (
	"path/filepath"
	"testing"

	"vpn/internal/app"
	"vpn/internal/store/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) app.Store { return mustOpen(t, filepath.Join(t.TempDir(), "vpn.db")) })
}

// mustOpen opens a store, which is closed in the end.
func mustOpen(t testing.TB, path string) *Store {
	t.Helper()
	s, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}
