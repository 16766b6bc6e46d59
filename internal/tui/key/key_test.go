package key_test

import (
	"strings"
	"testing"

	"vpn/internal/tui/key"
	"vpn/internal/vpn"
)

// Two meanings of a key on one screen would make one of them unreachable.
func TestNoKeyMeansTwoThings(t *testing.T) {
	if _, err := key.New(nil); err != nil {
		t.Error(err)
	}
}

func TestIDsAndKeys(t *testing.T) {
	seen := map[string]bool{}
	for _, a := range key.Actions() {
		if seen[a.ID] {
			t.Errorf("two actions are called %s", a.ID)
		}
		seen[a.ID] = true
		if a.Title == "" || len(a.Keys) == 0 {
			t.Errorf("%s has no title or no key", a.ID)
		}
		// k9s users deleted what they meant to scroll past.
		for _, k := range a.Keys {
			harm := strings.HasSuffix(a.ID, ".delete") || strings.HasSuffix(a.ID, ".kick") || strings.HasSuffix(a.ID, ".reset") || strings.HasSuffix(a.ID, ".rotate")
			if harm && (strings.HasPrefix(k, "ctrl+") || k == "backspace" || k == "delete") {
				t.Errorf("%s is on %s, which is pressed by mistake", a.ID, k)
			}
		}
	}
}

func TestRebinding(t *testing.T) {
	m, err := key.New(map[string][]string{"users.delete": {"X"}})
	if err != nil {
		t.Fatal(err)
	}
	if a, ok := m.Find(key.Users, "X"); !ok || a.ID != "users.delete" {
		t.Errorf("X is %+v", a)
	}
	if a, ok := m.Find(key.Users, "d"); ok {
		t.Errorf("d still is %+v", a)
	}
	for _, wrong := range []map[string][]string{{"users.fly": {"f"}}, {"users.delete": {"e"}}, {"users.delete": {"q"}}, {"help": {"h"}, "quit": {"h"}}} {
		if _, err := key.New(wrong); vpn.KindOf(err) != vpn.Invalid || vpn.HintOf(err) == "" {
			t.Errorf("%v gives %v, hint %q", wrong, err, vpn.HintOf(err))
		}
	}
}

func TestEveryScreenHasHelpAndAWayOut(t *testing.T) {
	m, err := key.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range key.Screens() {
		for k, want := range map[string]string{"?": "help", "q": "quit", "esc": key.Back, ":": "palette", "1": "screen.dashboard"} {
			if a, _ := m.Find(s, k); a.ID != want {
				t.Errorf("on %s %s is %q, want %s", s, k, a.ID, want)
			}
		}
	}
}
