package vpn_test

import (
	"regexp"
	"strings"
	"testing"

	"vpn/internal/vpn"
)

func TestValidName(t *testing.T) {
	for _, name := range []string{"a", "0", "alice", "alice.b-c_d@example.com", strings.Repeat("a", 63)} {
		if err := vpn.ValidName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{
		"", " ", "Alice", "alice ", " alice", "al ice", "alice\n", "\nalice", "al\x00ice", "al\x1b[2Jice", "al\tice",
		"älice", "аlice" /* Cyrillic а */, "al\u200bice", "al\u202eice", "alice\u0301", "🙂", "\xff",
		".alice", "-alice", "_alice", "@alice", "../alice", "al/ice", `al\ice`, "al:ice", "al#ice", "al%ice", "al'ice", `al"ice`,
		strings.Repeat("a", 64), strings.Repeat("ä", 5000),
	} {
		err := vpn.ValidName(name)
		if err == nil {
			t.Errorf("%q is taken as a name", name)
			continue
		}
		wantInvalid(t, err)
	}
}

func FuzzValidName(f *testing.F) {
	f.Add("alice")
	f.Add("al\nice")
	f.Fuzz(func(t *testing.T, name string) {
		err := vpn.ValidName(name)
		if err != nil {
			wantInvalid(t, err)
			return
		}
		if len(name) > 63 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789._@-") != "" {
			t.Errorf("%q is taken as a name", name)
		}
	})
}

func TestNewID(t *testing.T) {
	shape := regexp.MustCompile(`^[a-z2-7]{16}$`)
	seen := map[string]bool{}
	for range 1000 {
		id := vpn.NewID()
		if !shape.MatchString(id) || seen[id] {
			t.Fatalf("%q is badly shaped or came twice", id)
		}
		seen[id] = true
	}
}
