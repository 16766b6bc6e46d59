// Package preference is what a person wants the terminal UI to look like: a
// small YAML file of that person's own. The daemon knows nothing of it.
package preference

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"vpn/internal/tui/key"
	"vpn/internal/tui/theme"
	"vpn/internal/vpn"
)

// Preferences are what can be preferred. The zero value of each is what the
// terminal and the connection suggest.
type Preferences struct {
	Theme   theme.Name          `yaml:"theme,omitempty"`   // see [theme.Names]
	Mouse   *bool               `yaml:"mouse,omitempty"`   // nil: yes
	Refresh time.Duration       `yaml:"refresh,omitempty"` // between two looks; 0: a second
	Glyphs  string              `yaml:"glyphs,omitempty"`  // see [Glyphs]
	Keys    map[string][]string `yaml:"keys,omitempty"`    // by action, in place of its own
}

// Glyphs returns the sets of signs that can be chosen.
func Glyphs() []string { return []string{"auto", "unicode", "blocks", "ascii"} }

// File returns where the preferences of the person with that environment are,
// or nothing if there is no place for them.
func File(getenv func(string) string) string {
	if dir := getenv("XDG_CONFIG_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "vpn", "tui.yaml")
	}
	if home := getenv("HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, ".config", "vpn", "tui.yaml")
	}
	if dir := getenv("AppData"); filepath.IsAbs(dir) { // Windows
		return filepath.Join(dir, "vpn", "tui.yaml")
	}
	return ""
}

// Load reads the file at path; one that is not there holds nothing. What it
// must not hold is an error of kind [vpn.Invalid] that names the file.
func Load(path string) (Preferences, error) {
	var p Preferences
	if path == "" {
		return p, nil
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return p, vpn.Errorf(vpn.Invalid, "%w", err)
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&p); err != nil && len(bytes.TrimSpace(text)) > 0 {
		why := strings.TrimPrefix(strings.ReplaceAll(err.Error(), "yaml: unmarshal errors:\n  ", ""), "yaml: ")
		return Preferences{}, vpn.Errorf(vpn.Invalid, "%s: %s", path, why).
			WithHint("it may hold theme, mouse, refresh, glyphs and keys; without the file all is as usual")
	}
	if err := p.Check(); err != nil {
		return Preferences{}, &vpn.Error{Kind: vpn.Invalid, Message: path + ": " + err.Error(), Hint: vpn.HintOf(err), Err: err}
	}
	return p, nil
}

// Check returns an error of kind [vpn.Invalid] if p asks for what there is
// not.
func (p Preferences) Check() error {
	if p.Theme != "" {
		if err := p.Theme.Valid(); err != nil {
			return err
		}
	}
	if p.Glyphs != "" && !slices.Contains(Glyphs(), p.Glyphs) {
		return vpn.Unknown("glyphs", p.Glyphs, Glyphs())
	}
	if p.Refresh != 0 && (p.Refresh < 500*time.Millisecond || p.Refresh > time.Minute) {
		return vpn.Errorf(vpn.Invalid, "refresh %s is not between 500ms and 1m", p.Refresh)
	}
	_, err := key.New(p.Keys)
	return err
}

// Save writes p to the file at path, whole or not at all.
func Save(path string, p Preferences) error {
	if path == "" {
		return vpn.Errorf(vpn.Unavailable, "there is no place for preferences").WithHint("set HOME or XDG_CONFIG_HOME")
	}
	if err := p.Check(); err != nil {
		return err
	}
	text, err := yaml.Marshal(p)
	if err != nil {
		return fmt.Errorf("encode preferences: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return vpn.Errorf(vpn.Unavailable, "%w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".tui-*")
	if err != nil {
		return vpn.Errorf(vpn.Unavailable, "%w", err)
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return vpn.Errorf(vpn.Unavailable, "%w", err)
	}
	return nil
}
