package router

import (
	"os"
	"path/filepath"
	"testing"
)

// A buffer that is too small for a fast line is allowed to be larger, and one
// that is large enough stays as it is.
func TestWiden(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rmem_max")
	for _, c := range []struct{ was, is, said string }{
		{"212992\n", "4194304", "=4194304 (was 212992)"},
		{"4194304\n", "4194304\n", ""},
		{"7500000\n", "7500000\n", ""},
		{"nonsense", "nonsense", ""},
	} {
		if err := os.WriteFile(path, []byte(c.was), 0o600); err != nil {
			t.Fatal(err)
		}
		changes := widen(path, 4<<20)
		b, err := os.ReadFile(path)
		if err != nil || string(b) != c.is {
			t.Errorf("%q became %q, %v", c.was, b, err)
		}
		if said := len(changes) == 1; said != (c.said != "") || said && changes[0].String() != changes[0].Name+c.said {
			t.Errorf("of %q it is said: %v", c.was, changes)
		}
	}
	if changes := widen(filepath.Join(t.TempDir(), "none"), 4<<20); changes != nil {
		t.Errorf("where there is no such setting it is said: %v", changes)
	}
}
