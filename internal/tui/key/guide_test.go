package key_test

import (
	"flag"
	"os"
	"strings"
	"testing"

	"vpn/internal/tui/key"
)

var update = flag.Bool("update", false, "write the keys into the guide")

const guide = "../../../docs/guide/tui.md"

// The guide's table is the one that the UI goes by.
func TestGuide(t *testing.T) {
	const begin, end = "<!-- keys -->\n", "<!-- end of keys -->"
	text, err := os.ReadFile(guide)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the keys", guide)
	}
	want := before + begin + key.Markdown() + end + after
	switch {
	case string(text) == want:
	case *update:
		if err := os.WriteFile(guide, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s has other keys: go test ./internal/tui/key -update", guide)
	}
}
