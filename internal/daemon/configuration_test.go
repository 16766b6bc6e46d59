package daemon

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vpn/internal/config"
	"vpn/internal/vpn"
)

// thatRead is the configuration of a control plane that read a file with
// this text.
func thatRead(t *testing.T, text string, env map[string]string) (*configuration, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := config.Sources{File: path, Getenv: func(k string) string { return env[k] }, Flags: map[string]string{"data_dir": "/srv/vpn"}}
	now, err := config.Load(s)
	if err != nil {
		t.Fatal(err)
	}
	return &configuration{
		sources: s, inForce: func() config.Config { return now },
		replace: func(path string, data []byte) error { return os.WriteFile(path, data, 0o600) },
	}, path
}

func textOf(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestConfigurationIsShown(t *testing.T) {
	c, path := thatRead(t, "log_level: warn\n", map[string]string{"VPN_LOG_FORMAT": "json"})
	show := func() map[string]vpn.ConfigValue {
		t.Helper()
		got, err := c.Show(t.Context())
		if err != nil || got.File != path || len(got.Values) != len(config.Keys()) {
			t.Fatalf("got %+v, %v", got, err)
		}
		out := map[string]vpn.ConfigValue{}
		for _, v := range got.Values {
			if v.Doc == "" || v.Example == "" {
				t.Errorf("%s is not explained", v.Key)
			}
			out[v.Key] = v
		}
		return out
	}
	got := show()
	for key, want := range map[string][3]string{
		"log_level": {"warn", "file", path + ":1"}, "log_format": {"json", "environment", "VPN_LOG_FORMAT"},
		"public_host": {"", "default", ""}, "data_dir": {"/srv/vpn", "flag", "--data-dir"},
	} {
		v := got[key]
		if d := cmp.Diff(want, [3]string{v.Value, v.Origin.Layer, v.Origin.Where}); d != "" || v.Pending != nil {
			t.Errorf("%s: %s, pending %v", key, d, v.Pending)
		}
	}
	if v := got["log_level"]; v.Default != "info" || len(v.Choices) != 4 {
		t.Errorf("got %+v", v)
	}
	// What somebody has written since is to come.
	if err := os.WriteFile(path, []byte("log_level: error\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if v := show()["log_level"]; v.Value != "warn" || v.Pending == nil || *v.Pending != "error" {
		t.Errorf("got %+v", v)
	}
	if err := os.WriteFile(path, []byte("log_level: loud\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Show(t.Context()); err != nil || got.Problem == "" || got.Values[2].Value != "warn" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestConfigurationIsChanged(t *testing.T) {
	const before = "# mine\nlog_level: warn\npublic_host: vpn.example.org\n"
	c, path := thatRead(t, before, map[string]string{"VPN_LOG_FORMAT": "json"})
	patch := vpn.ConfigPatch{Set: map[string]string{"log_level": "debug", "log_format": "text"}, Unset: []string{"public_host"}}
	want := vpn.ConfigChange{
		File: path, Written: true, DryRun: true,
		Changes:  []vpn.ConfigDiff{{Key: "public_host", From: "vpn.example.org"}, {Key: "log_level", From: "warn", To: "debug"}},
		Warnings: []string{"VPN_LOG_FORMAT is set for the daemon, and rules over the file"},
	}
	got, err := c.Change(t.Context(), patch, true)
	if d := cmp.Diff(want, got); err != nil || d != "" {
		t.Error(err, d)
	}
	if text := textOf(t, path); text != before {
		t.Errorf("a dry run has written %q", text)
	}
	want.DryRun = false
	got, err = c.Change(t.Context(), patch, false)
	if d := cmp.Diff(want, got); err != nil || d != "" {
		t.Error(err, d)
	}
	if text := textOf(t, path); text != "# mine\nlog_level: debug\nlog_format: text\n" {
		t.Errorf("the file is %q", text)
	}
	// Once more it is written already, and a reload brings the same.
	want.Written = false
	got, err = c.Change(t.Context(), patch, false)
	if d := cmp.Diff(want, got); err != nil || d != "" {
		t.Error(err, d)
	}
}

// A broken value never replaces the file, and who may not write is told so.
func TestConfigurationIsNotBroken(t *testing.T) {
	const good = "log_level: warn\n"
	c, path := thatRead(t, good, nil)
	for what, p := range map[string]vpn.ConfigPatch{
		"nothing":             {},
		"a wrong value":       {Set: map[string]string{"log_level": "loud"}},
		"one that is wrong":   {Set: map[string]string{"log_format": "json", "worker_uids": "1-2"}},
		"an unknown key":      {Set: map[string]string{"colour": "red"}},
		"an unknown key less": {Unset: []string{"colour"}},
		"both ways":           {Set: map[string]string{"log_level": "info"}, Unset: []string{"log_level"}},
	} {
		if _, err := c.Change(t.Context(), p, false); vpn.KindOf(err) != vpn.Invalid || textOf(t, path) != good {
			t.Errorf("%s: got %v, and the file is %q", what, err, textOf(t, path))
		}
	}
	set := vpn.ConfigPatch{Set: map[string]string{"log_level": "info"}}
	for _, cause := range []error{&fs.PathError{Op: "open", Path: path, Err: syscall.EROFS}, fs.ErrPermission} {
		c.replace = func(string, []byte) error { return cause }
		if _, err := c.Change(t.Context(), set, false); vpn.KindOf(err) != vpn.Denied {
			t.Errorf("%v: got %v", cause, err)
		}
	}
	// A file that is broken already is not mended by what makes it no better.
	c, path = thatRead(t, good, nil)
	if err := os.WriteFile(path, []byte("log_level: loud\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Change(t.Context(), vpn.ConfigPatch{Set: map[string]string{"log_format": "json"}}, false); vpn.KindOf(err) != vpn.Invalid {
		t.Errorf("got %v", err)
	}
	if _, err := c.Change(t.Context(), set, false); err != nil || textOf(t, path) != "log_level: info\n" {
		t.Errorf("got %v, and the file is %q", err, textOf(t, path))
	}
	// What takes more than a reload is said.
	c, _ = thatRead(t, "data_dir: /srv/other\n", nil)
	c.sources.Flags = nil
	now := mustLoad(t, c.sources)
	c.inForce = func() config.Config { return now }
	got, err := c.Change(t.Context(), vpn.ConfigPatch{Set: map[string]string{"data_dir": "/srv/vpn"}}, true)
	if err != nil || !cmp.Equal(got.Restart, []string{"data_dir"}) || len(got.Warnings) != 1 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func mustLoad(t *testing.T, s config.Sources) config.Config {
	t.Helper()
	c, err := config.Load(s)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
