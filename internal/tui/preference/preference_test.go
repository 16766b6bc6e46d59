package preference_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vpn/internal/tui/preference"
	"vpn/internal/tui/theme"
	"vpn/internal/vpn"
)

func TestSavedIsLoaded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "tui.yaml")
	if p, err := preference.Load(path); err != nil || !cmp.Equal(p, preference.Preferences{}) {
		t.Errorf("without a file: %+v, %v", p, err)
	}
	off := false
	want := preference.Preferences{Theme: theme.HighContrast, Mouse: &off, Refresh: 5 * time.Second, Glyphs: "ascii", Keys: map[string][]string{"users.delete": {"X"}}}
	if err := preference.Save(path, want); err != nil {
		t.Fatal(err)
	}
	got, err := preference.Load(path)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
}

func TestWhatMustNotBe(t *testing.T) {
	for text, want := range map[string]string{
		"theme: blue":               `unknown theme "blue"`,
		"colour: blue":              "line 1: field colour not found",
		"glyphs: emoji":             "emoji",
		"refresh: 1ms":              "between 500ms and 1m",
		"refresh: soon":             "line 1",
		"keys: {users.fly: [f]}":    "users.fly",
		"keys: {users.delete: [e]}": "key e means",
		"theme: [dark":              "line 1",
		"mouse: \x1b[31m":           "",
	} {
		path := filepath.Join(t.TempDir(), "tui.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := preference.Load(path)
		if vpn.KindOf(err) != vpn.Invalid || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q gives %v, want %q", text, err, want)
		}
	}
}

func TestAFailedSaveKeepsWhatWasThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tui.yaml")
	if err := preference.Save(path, preference.Preferences{Theme: theme.Light}); err != nil {
		t.Fatal(err)
	}
	if err := preference.Save(path, preference.Preferences{Theme: "blue"}); vpn.KindOf(err) != vpn.Invalid {
		t.Errorf("a theme that there is not: %v", err)
	}
	if p, err := preference.Load(path); err != nil || p.Theme != theme.Light {
		t.Errorf("%+v, %v", p, err)
	}
}

// What the guide shows as a file is one.
func TestTheGuidesFile(t *testing.T) {
	text, err := os.ReadFile("../../../docs/guide/tui.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(text), "```yaml\n")[1:]
	if len(blocks) == 0 {
		t.Fatal("the guide shows no file")
	}
	for _, block := range blocks {
		content, _, _ := strings.Cut(block, "```")
		path := filepath.Join(t.TempDir(), "tui.yaml")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		p, err := preference.Load(path)
		if err != nil || cmp.Equal(p, preference.Preferences{}) {
			t.Errorf("%+v, %v, of:\n%s", p, err, content)
		}
	}
}

func TestFileOfAPerson(t *testing.T) {
	for want, env := range map[string]map[string]string{
		"/x/vpn/tui.yaml":              {"XDG_CONFIG_HOME": "/x", "HOME": "/home/a", "AppData": "/roaming"},
		"/home/a/.config/vpn/tui.yaml": {"XDG_CONFIG_HOME": "not absolute", "HOME": "/home/a", "AppData": "/roaming"},
		"/roaming/vpn/tui.yaml":        {"AppData": "/roaming"}, // Windows has no HOME
		"":                             {},
	} {
		if got := preference.File(func(name string) string { return env[name] }); got != want {
			t.Errorf("with %v: %q, want %q", env, got, want)
		}
	}
}
