// Package config reads what the program has to know before it can open its
// store: where things are, and how to log. Everything that can change while
// it runs (users, servers, limits) is in the store and never here. The
// package keeps nothing and watches nothing.
package config

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"vpn/internal/vpn"
)

// SystemDataDir and SystemFile belong to the installation that root runs.
const (
	SystemDataDir = "/var/lib/vpn"
	SystemFile    = "/etc/vpn/config.yaml"
)

// Config is the configuration, checked. [Load] makes it.
type Config struct {
	DataDir    string       // absolute
	PublicHost string       // what clients dial; empty: the address of the default route
	LogLevel   slog.Level   //
	LogFormat  string       // "text" or "json"
	WorkerUIDs vpn.UIDRange // users that a daemon run by root gives its workers; none: its own
	Runtime    string       // where the worker of a new server lives

	origins map[string]Origin // by key
}

// Sources are where the configuration comes from. What comes first here rules:
// a flag, then the environment (VPN_DATA_DIR and so on), then the file, then
// the default.
type Sources struct {
	Flags  map[string]string   // what was given on the command line, by key: "data_dir"
	Getenv func(string) string // nil: there is no environment
	File   string              // a file that must be there; empty: VPN_CONFIG, or the usual one if it is there
	Root   bool                // this is the system's installation, not a person's own

	instead []byte // of what the file holds, if it is not nil
}

// Load reads and checks the configuration. Errors say where the mistake is,
// by file and line, flag or variable, and never show a value. They are of
// kind [vpn.Invalid], or [vpn.Denied] for a file that may not be read.
func Load(s Sources) (Config, error) { return load(s, SystemDataDir) }

func load(s Sources, system string) (Config, error) {
	if s.Getenv == nil {
		s.Getenv = func(string) string { return "" }
	}
	l := loader{config: Config{origins: map[string]Origin{}}, system: system}
	for _, step := range []func(Sources) error{l.defaults, l.file, l.environment, l.flags, l.dataDir} {
		if err := step(s); err != nil {
			return Config{}, err
		}
	}
	return l.config, nil
}

// Try is [Load] as it would be if the file that is changed held data.
func Try(s Sources, data []byte) (Config, error) {
	s.instead = append([]byte{}, data...)
	return Load(s)
}

// LoadAnyway is [Load] for what has to be done whatever the configuration is
// like: it leaves out what is wrong. It fails only if there is no place for
// the data directory.
func LoadAnyway(s Sources) (Config, error) {
	if s.Getenv == nil {
		s.Getenv = func(string) string { return "" }
	}
	l := loader{config: Config{origins: map[string]Origin{}}, system: SystemDataDir}
	for _, step := range []func(Sources) error{l.defaults, l.file, l.environment, l.flags} {
		_ = step(s) // what it has taken before is right
	}
	err := l.dataDir(s)
	return l.config, err
}

// DefaultFile returns the file that is read if no other is named, or nothing
// if there is no place for one.
func DefaultFile(s Sources) string {
	if s.Root {
		return SystemFile
	}
	return s.home("XDG_CONFIG_HOME", ".config", "vpn", "config.yaml")
}

// home returns a path below the directory that variable names or, failing
// that, below a directory in the home directory.
func (s Sources) home(variable, dir string, rest ...string) string {
	if base := s.Getenv(variable); filepath.IsAbs(base) {
		return filepath.Join(append([]string{base}, rest...)...)
	}
	if home := s.Getenv("HOME"); filepath.IsAbs(home) {
		return filepath.Join(append([]string{home, dir}, rest...)...)
	}
	return ""
}

// loader puts one layer over the other.
type loader struct {
	config Config
	system string // the system's data directory
}

func (l *loader) defaults(Sources) error {
	for _, k := range keys {
		l.config.origins[k.name] = Origin{Layer: "default"}
		if k.preset != "" {
			if err := k.set(&l.config, k.preset); err != nil {
				panic("config: the default of " + k.name + " is " + err.Error())
			}
		}
	}
	return nil
}

func (l *loader) file(s Sources) error {
	path, mustExist := s.File, true
	if path == "" {
		path = s.Getenv("VPN_CONFIG")
	}
	if path == "" {
		path, mustExist = DefaultFile(s), false
	}
	if path == "" {
		return nil
	}
	data, err := s.instead, error(nil)
	if data == nil {
		data, err = read(path)
	}
	if errors.Is(err, fs.ErrNotExist) && !mustExist {
		return nil
	}
	if err != nil {
		return fileError(path, err)
	}
	entries, err := parse(path, data)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := l.set(e.key, e.text, Origin{"file", position(path, e.line)}); err != nil {
			return err
		}
	}
	return nil
}

func (l *loader) environment(s Sources) error {
	for _, k := range keys {
		if text := s.Getenv(k.variable()); text != "" {
			if err := l.set(k, text, Origin{"environment", k.variable()}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *loader) flags(s Sources) error {
	for _, k := range keys {
		if text, ok := s.Flags[k.name]; ok {
			if err := l.set(k, text, Origin{"flag", k.flag()}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *loader) set(k key, text string, from Origin) error {
	if k.path && text != "" && !filepath.IsAbs(text) && from.Layer != "file" {
		abs, err := filepath.Abs(text) // as a shell means it
		if err != nil {
			return vpn.Errorf(vpn.Invalid, "%s: find the working directory: %w", from.Where, err)
		}
		text = abs
	}
	if err := k.set(&l.config, text); err != nil {
		return vpn.Errorf(vpn.Invalid, "%s: %s must be %w", from.Where, k.name, err).
			WithHint("%s is %s, for example %s", k.name, k.help, k.example)
	}
	l.config.origins[k.name] = from
	return nil
}

// dataDir finds the data directory if nobody named one. A person without one
// of his own, on a machine with a system installation, means that one: never
// does he get a second one unasked.
func (l *loader) dataDir(s Sources) error {
	if l.config.DataDir != "" {
		return nil
	}
	own := s.home("XDG_DATA_HOME", filepath.Join(".local", "share"), "vpn")
	switch {
	case s.Root, !exists(own) && exists(l.system):
		l.config.DataDir = l.system
	case own != "":
		l.config.DataDir = own
	default:
		return vpn.Errorf(vpn.Invalid, "there is no place for the data directory: HOME is not set").
			WithHint("name one with --data-dir")
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return path != "" && err == nil
}
