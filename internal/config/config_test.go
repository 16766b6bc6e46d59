package config

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"vpn/internal/vpn"
)

// person returns sources of somebody with an empty home directory.
func person(t *testing.T, env map[string]string) Sources {
	t.Helper()
	home := t.TempDir()
	return Sources{Getenv: func(name string) string {
		if name == "HOME" && env["HOME"] == "" {
			return home
		}
		return env[name]
	}}
}

func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// nowhere is a system data directory that is not there.
func nowhere(t *testing.T) string { return filepath.Join(t.TempDir(), "nowhere") }

func mustLoad(t *testing.T, s Sources) Config {
	t.Helper()
	c, err := load(s, nowhere(t))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func wantConfig(t *testing.T, got, want Config) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Config{})); diff != "" {
		t.Error(diff)
	}
}

func TestDefaults(t *testing.T) {
	s := person(t, nil)
	wantConfig(t, mustLoad(t, s), Config{
		DataDir: filepath.Join(s.Getenv("HOME"), ".local/share/vpn"), LogLevel: slog.LevelInfo, LogFormat: "text",
		WorkerUIDs: vpn.UIDRange{Base: 471000, Count: 1000}, Runtime: vpn.RuntimeProcess,
	})
}

// Each layer covers the one below it, value by value.
func TestLayers(t *testing.T) {
	s := person(t, map[string]string{"VPN_LOG_LEVEL": "warn", "VPN_LOG_FORMAT": "json", "VPN_PUBLIC_HOST": "", "VPN_OUTPUT": "json"})
	s.File = writeFile(t, `
data_dir: /srv/file
log_level: debug
log_format: text
public_host: file.example.com
worker_uids: 2000-2999 # a comment
runtime: docker
`)
	s.Flags = map[string]string{"log_format": "text", "data_dir": "/srv/flag/../flag/"}
	got := mustLoad(t, s)
	wantConfig(t, got, Config{
		DataDir: "/srv/flag", LogLevel: slog.LevelWarn, LogFormat: "text",
		PublicHost: "file.example.com", WorkerUIDs: vpn.UIDRange{Base: 2000, Count: 1000}, Runtime: vpn.RuntimeDocker,
	})

	var origins []string
	for _, v := range got.Values() {
		if v.Help == "" {
			t.Errorf("%s has no help", v.Key)
		}
		origins = append(origins, fmt.Sprintf("%s = %s (%s)", v.Key, v.Value, strings.Replace(v.Origin.String(), s.File, "FILE", 1)))
	}
	if diff := cmp.Diff([]string{
		"data_dir = /srv/flag (flag --data-dir)",
		"public_host = file.example.com (file FILE:5)",
		"log_level = warn (environment VPN_LOG_LEVEL)",
		"log_format = text (flag --log-format)",
		"worker_uids = 2000-2999 (file FILE:6)",
		"runtime = docker (file FILE:7)",
	}, origins); diff != "" {
		t.Error(diff)
	}
	if v := mustLoad(t, person(t, nil)).Values()[2]; v.Origin.String() != "default" || v.Value != "info" {
		t.Errorf("got %+v", v)
	}
}

func TestWorkersWithoutUIDs(t *testing.T) {
	s := person(t, map[string]string{"VPN_WORKER_UIDS": "none"})
	got := mustLoad(t, s)
	if got.WorkerUIDs != (vpn.UIDRange{}) || got.Values()[4].Value != "none" {
		t.Errorf("got %+v", got)
	}
}

func TestRelativeDirectories(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	s := person(t, map[string]string{"VPN_DATA_DIR": "data"})
	if got := mustLoad(t, s).DataDir; got != filepath.Join(here, "data") {
		t.Errorf("from the environment: %s", got)
	}
	s.Flags = map[string]string{"data_dir": "./flag"}
	if got := mustLoad(t, s).DataDir; got != filepath.Join(here, "flag") {
		t.Errorf("from a flag: %s", got)
	}
	s = person(t, nil)
	s.File = writeFile(t, "data_dir: data")
	wantError(t, "in a file", s, vpn.Invalid, s.File+":1: data_dir must be an absolute path")
}

func TestWhichFileIsRead(t *testing.T) {
	s := person(t, nil)
	usual := filepath.Join(s.Getenv("HOME"), ".config/vpn/config.yaml")
	if got := DefaultFile(s); got != usual {
		t.Errorf("the usual file is %s, want %s", got, usual)
	}
	if err := os.MkdirAll(filepath.Dir(usual), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(usual, []byte("log_level: warn"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := mustLoad(t, s).LogLevel; got != slog.LevelWarn {
		t.Errorf("the usual file: %v", got)
	}
	named := writeFile(t, "log_level: error")
	withEnv := Sources{Getenv: func(name string) string {
		if name == "VPN_CONFIG" {
			return named
		}
		return s.Getenv(name)
	}}
	if got := mustLoad(t, withEnv).LogLevel; got != slog.LevelError {
		t.Errorf("VPN_CONFIG: %v", got)
	}
	withEnv.File = writeFile(t, "log_level: debug")
	if got := mustLoad(t, withEnv).LogLevel; got != slog.LevelDebug {
		t.Errorf("--config: %v", got)
	}

	xdg := person(t, map[string]string{"XDG_CONFIG_HOME": "/xdg", "XDG_DATA_HOME": "/data"})
	if got := DefaultFile(xdg); got != "/xdg/vpn/config.yaml" {
		t.Errorf("with XDG_CONFIG_HOME: %s", got)
	}
	if got := mustLoad(t, xdg).DataDir; got != "/data/vpn" {
		t.Errorf("with XDG_DATA_HOME: %s", got)
	}
	relative := person(t, map[string]string{"XDG_CONFIG_HOME": "xdg", "HOME": "/home/a"})
	if got := DefaultFile(relative); got != "/home/a/.config/vpn/config.yaml" {
		t.Errorf("a relative XDG_CONFIG_HOME counts: %s", got)
	}
	if got := DefaultFile(Sources{Root: true}); got != SystemFile {
		t.Errorf("root's file is %s", got)
	}
}

// Nobody gets a second, empty installation beside the system's unasked.
func TestWhichDataDirectoryIsMeant(t *testing.T) {
	system := t.TempDir()
	s := person(t, nil)
	own := filepath.Join(s.Getenv("HOME"), ".local/share/vpn")
	at := func(s Sources, system string) string {
		c, err := load(s, system)
		if err != nil {
			t.Fatal(err)
		}
		return c.DataDir
	}
	if got := at(s, nowhere(t)); got != own {
		t.Errorf("nothing there yet: %s", got)
	}
	if got := at(s, system); got != system {
		t.Errorf("only the system's is there: %s", got)
	}
	if err := os.MkdirAll(own, 0o700); err != nil {
		t.Fatal(err)
	}
	if got := at(s, system); got != own {
		t.Errorf("both are there: %s", got)
	}
	s.Root, s.File = true, writeFile(t, "")
	if got := at(s, system); got != system {
		t.Errorf("root: %s", got)
	}
	homeless := Sources{}
	wantError(t, "no HOME", homeless, vpn.Invalid, "HOME is not set")
	homeless.Flags = map[string]string{"data_dir": "/srv/vpn"}
	if got := at(homeless, system); got != "/srv/vpn" {
		t.Errorf("a flag: %s", got)
	}
}

func TestMistakesInTheFile(t *testing.T) {
	for text, want := range map[string]string{
		"data_dri: /planted":                       "FILE:1: unknown key \"data_dri\"",
		"\n\nlog-level: planted":                   "FILE:3: unknown key \"log-level\"",
		"users: [planted]":                         "FILE:1: unknown key \"users\"",
		"<<: {log_level: planted}":                 "FILE:1: unknown key \"<<\"",
		"? [a, b]\n: planted":                      "FILE:1: unknown key \"\"",
		"log_level: info\nlog_level: planted":      "FILE:2: log_level stands in line 1 already",
		"log_level:":                               "FILE:1: log_level has no value",
		"log_level: ~":                             "FILE:1: log_level has no value",
		"log_level: 5":                             "FILE:1: log_level must be text",
		"log_level: true":                          "FILE:1: log_level must be text",
		"log_level: [planted]":                     "FILE:1: log_level must be text",
		"log_level: {planted: planted}":            "FILE:1: log_level must be text",
		"log_level: !!binary cGxhbnRlZA==":         "FILE:1: log_level must be text",
		"log_format: &a text\nlog_level: *a":       "FILE:2: log_level must be text",
		"log_format: text\nlog_level: *planted":    "FILE:", // the parser knows no line
		"log_level: planted":                       "FILE:1: log_level must be debug, info, warn or error",
		"log_level: INFO":                          "FILE:1: log_level must be debug, info, warn or error",
		"log_format: planted":                      "FILE:1: log_format must be text or json",
		"public_host: planted:443":                 "FILE:1: public_host must be a domain name or an address",
		"public_host: https://planted":             "FILE:1: public_host must be a domain name or an address",
		"data_dir: ~/planted":                      "FILE:1: data_dir must be an absolute path",
		"data_dir: \"/planted\\n\"":                "FILE:1: data_dir must be an absolute path without line breaks",
		"data_dir: ''":                             "FILE:1: data_dir must be an absolute path",
		"worker_uids: planted":                     "FILE:1: worker_uids must be a range",
		"worker_uids: 999-2000":                    "FILE:1: worker_uids must be a range",
		"worker_uids: 2000-1999":                   "FILE:1: worker_uids must be a range",
		"worker_uids: 2000-4294967295":             "FILE:1: worker_uids must be a range",
		"worker_uids: 2000-99999999999":            "FILE:1: worker_uids must be a range",
		"worker_uids: \"2000\"":                    "FILE:1: worker_uids must be a range",
		"runtime: kubernetes":                      "FILE:1: runtime must be process or docker",
		"- planted":                                "FILE:1: the file must hold keys with values",
		"planted":                                  "FILE:1: the file must hold keys with values",
		"log_level: info\n---\nlog_level: planted": "FILE:2: a second document begins",
		"log_level: info\n\tpublic_host: planted":  "FILE:2: this is not YAML",
		"log_level: \"planted":                     "FILE: this is not YAML",
		"log_level: info: planted":                 "FILE: this is not YAML",
		"log_level: @planted":                      "FILE: this is not YAML",
		"log_level: \x01planted":                   "FILE: this is not YAML",
		"log_level: \xffplanted":                   "FILE: this is not YAML",
	} {
		s := person(t, nil)
		s.File = writeFile(t, text)
		wantError(t, text, s, vpn.Invalid, strings.ReplaceAll(want, "FILE", s.File))
	}
}

func TestMistakesElsewhere(t *testing.T) {
	wantError(t, "variable", person(t, map[string]string{"VPN_LOG_LEVEL": "planted"}), vpn.Invalid,
		"VPN_LOG_LEVEL: log_level must be debug, info, warn or error")
	s := person(t, nil)
	s.Flags = map[string]string{"public_host": "planted planted"}
	wantError(t, "flag", s, vpn.Invalid, "--public-host: public_host must be a domain name or an address")
	s.Flags = map[string]string{"data_dir": ""}
	wantError(t, "empty flag", s, vpn.Invalid, "--data-dir: data_dir must be an absolute path")
}

func TestHints(t *testing.T) {
	for text, want := range map[string]string{
		"data_dri: /x":     "did you mean data_dir?",
		"log-level: info":  "did you mean log_level?",
		"socket: /x":       "there is: data_dir, public_host, log_level, log_format, worker_uids, runtime",
		"log_format: yaml": "log_format is how the daemon and all servers write their logs: text or json, for example text",
	} {
		_, err := load(Sources{File: writeFile(t, text)}, nowhere(t))
		if e, ok := errors.AsType[*vpn.Error](err); !ok || e.Hint != want {
			t.Errorf("%s: %v, hint %q; want %q", text, err, e.Hint, want)
		}
	}
}

func TestFilesThatCannotBeRead(t *testing.T) {
	s := person(t, nil)
	s.File = filepath.Join(t.TempDir(), "missing.yaml")
	wantError(t, "missing", s, vpn.Invalid, "missing.yaml: no such file")
	s.File = t.TempDir()
	wantError(t, "directory", s, vpn.Invalid, "is a directory")
	s.File = writeFile(t, strings.Repeat("#\n", maxFile))
	wantError(t, "endless", s, vpn.Invalid, "longer than")
	wantError(t, "missing by variable", person(t, map[string]string{"VPN_CONFIG": "/nonexistent/vpn.yaml"}), vpn.Invalid, "no such file")
	if got := vpn.KindOf(fileError("x", &os.PathError{Op: "open", Path: "x", Err: os.ErrPermission})); got != vpn.Denied {
		t.Errorf("a file that may not be read gives %s", got)
	}
}

func TestEmptyFiles(t *testing.T) {
	for _, text := range []string{"", "\n", "# nothing\n", "---\n", "{}", "null"} {
		s := person(t, nil)
		s.File = writeFile(t, text)
		if got := mustLoad(t, s).LogLevel; got != slog.LevelInfo {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// The sample changes nothing as it is, and everything in it is right.
func TestSample(t *testing.T) {
	s := person(t, nil)
	s.File = writeFile(t, string(Sample()))
	want := mustLoad(t, person(t, map[string]string{"HOME": s.Getenv("HOME")}))
	wantConfig(t, mustLoad(t, s), want)

	var set strings.Builder
	for line := range strings.Lines(string(Sample())) {
		text := strings.TrimPrefix(line, "# ")
		if key, _, ok := strings.Cut(text, ": "); ok && !strings.Contains(key, " ") {
			set.WriteString(text)
		}
	}
	s.File = writeFile(t, set.String())
	for _, v := range mustLoad(t, s).Values() {
		if v.Origin.Layer != "file" {
			t.Errorf("%s is not in the sample", v.Key)
		}
	}
}

func TestConfigStaysSmall(t *testing.T) {
	if len(keys) > 12 {
		t.Errorf("%d keys: is all of it needed before the store is open?", len(keys))
	}
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte("data_dir: /srv/vpn\nlog_level: debug # x\n"))
	f.Add(Sample())
	f.Add([]byte("a: &a [*a, *a]\n? {b: c}\n: |\n  d\n"))
	f.Add([]byte("%YAML 1.1\n---\n!!map {log_format: \"json\"}\n..."))
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, err := parse("FILE", data)
		if err != nil {
			e, ok := errors.AsType[*vpn.Error](err)
			if !ok || e.Kind != vpn.Invalid || e.Hint == "" || !strings.HasPrefix(e.Message, "FILE:") || strings.ContainsAny(e.Message, "\n\x00\x1b") {
				t.Fatalf("%#v", err)
			}
			return
		}
		l := loader{config: Config{origins: map[string]Origin{}}}
		for _, e := range entries {
			if err := l.set(e.key, e.text, Origin{"file", "FILE:1"}); err != nil && len(e.text) > 8 && strings.Contains(err.Error(), e.text) {
				t.Errorf("%v shows %q", err, e.text)
			}
		}
	})
}

func wantError(t *testing.T, what string, s Sources, kind vpn.Kind, says string) {
	t.Helper()
	_, err := load(s, nowhere(t))
	e, ok := errors.AsType[*vpn.Error](err)
	switch {
	case !ok || e.Kind != kind:
		t.Errorf("%q: %v; want an error of kind %s", what, err, kind)
	case !strings.Contains(e.Message, says) || e.Hint == "":
		t.Errorf("%q: %q, hint %q; want %q and a hint", what, e.Message, e.Hint, says)
	case strings.Contains(e.Message+e.Hint+fmt.Sprint(e.Err), "planted"):
		t.Errorf("%q: the error shows the value: %v; %v", what, e, e.Hint)
	}
}

// What has to be done whatever the configuration is like goes by what is right
// in it, and by flags first.
func TestLoadAnyway(t *testing.T) {
	bad := writeFile(t, "public_host: vpn.example.org\nlog_levl: x\n")
	s := person(t, map[string]string{"VPN_LOG_LEVEL": "loud"})
	s.File, s.Flags = bad, map[string]string{"data_dir": "/srv/vpn"}
	if _, err := Load(s); err == nil {
		t.Fatal("it is a good configuration")
	}
	c, err := LoadAnyway(s)
	if err != nil || c.DataDir != "/srv/vpn" || c.LogLevel != slog.LevelInfo || c.LogFormat != "text" {
		t.Errorf("%+v %v", c, err)
	}
	s.File = filepath.Join(t.TempDir(), "nowhere.yaml")
	if c, err := LoadAnyway(s); err != nil || c.DataDir != "/srv/vpn" {
		t.Errorf("without a file: %+v %v", c, err)
	}
}
