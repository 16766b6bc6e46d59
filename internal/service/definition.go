package service

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"regexp"
	"strings"

	"vpn/internal/vpn"
)

// Settings are what a definition is written for.
type Settings struct {
	Binary  string `json:"binary"`   // what the service runs, an absolute path
	DataDir string `json:"data_dir"` // an absolute path
	Config  string `json:"config,omitempty"`
}

// File says how a definition stands to the one that this program would write.
type File string

// How a definition may be found.
const (
	Missing File = "missing"
	Current File = "current"
	Old     File = "outdated" // another version of this program wrote it
	Edited  File = "edited"   // somebody has changed it since
	Foreign File = "foreign"  // this program did not write it
)

// The definitions have {{names}} in them, which fill knows. Package
// text/template would do it too, and make the program a third larger: where it
// is, the linker has to keep every method of every type.

//go:embed vpn.service.tmpl
var systemdTemplate string // docs/service.md explains each line

//go:embed vpn.openrc.tmpl
var openRCTemplate string

// Each definition has lines that say what it was written for, and what the
// rest of it was like then.
const (
	settingsMark = "# vpn-settings: "
	sumMark      = "# vpn-sum: "
)

// plain are paths that mean themselves in a unit and in a shell.
var plain = regexp.MustCompile(`^/[A-Za-z0-9/._+@:-]+$`)

// check returns an error of kind [vpn.Invalid] unless a service can have these
// settings.
func (s Settings) check() error {
	for _, path := range []string{s.Binary, s.DataDir, s.Config} {
		if path != "" && !plain.MatchString(path) {
			return vpn.Errorf(vpn.Invalid, "a service cannot be given the path %q", path).
				WithHint("choose one of letters, digits and . _ + @ : -")
		}
	}
	for _, path := range []string{s.DataDir, s.Config} {
		for _, hidden := range []string{"/home", "/root", "/run", "/tmp", "/var/tmp", "/dev", "/proc", "/sys"} {
			if path == hidden || strings.HasPrefix(path, hidden+"/") {
				return vpn.Errorf(vpn.Invalid, "a service cannot use %s: it sees nothing below %s", path, hidden).
					WithHint("choose another place: --data-dir /var/lib/vpn, --config /etc/vpn/config.yaml")
			}
		}
	}
	return nil
}

// arguments are what follows the program and its command. They always name the
// data directory: what ends the servers has to find them, whatever the
// configuration says by then.
func (s Settings) arguments() string {
	out := " --data-dir " + s.DataDir
	if s.Config != "" {
		out += " --config " + s.Config
	}
	return out
}

// fill renders a definition.
func fill(text string, s Settings) string {
	settings, err := json.Marshal(s)
	if err != nil {
		panic(err) // strings only
	}
	out := strings.NewReplacer(
		"{{settings}}", settingsMark+string(settings),
		"{{sum}}", sumMark,
		"{{program}}", s.Binary,
		"{{arguments}}", s.arguments(),
		"{{storage}}", s.storage(),
	).Replace(text)
	return strings.Replace(out, sumMark+"\n", sumMark+sum(out)+"\n", 1)
}

// storage are the lines of a unit that let the service write to the data
// directory.
func (s Settings) storage() string {
	if s.DataDir == "/var/lib/vpn" {
		return "StateDirectory=vpn\nStateDirectoryMode=0700"
	}
	return "ReadWritePaths=" + s.DataDir
}

// sum is the checksum of a definition but for the line with the checksum.
func sum(definition string) string {
	h := sha256.New()
	for line := range strings.Lines(definition) {
		if !strings.HasPrefix(line, sumMark) {
			_, _ = h.Write([]byte(line))
		}
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

// marked returns what stands behind mark in a line of a definition.
func marked(definition, mark string) (string, bool) {
	for line := range strings.Lines(definition) {
		if rest, ok := strings.CutPrefix(line, mark); ok {
			return strings.TrimSpace(rest), true
		}
	}
	return "", false
}

// judge says how a definition stands to what render makes, and what it was
// written for.
func judge(definition []byte, render func(Settings) string) (File, Settings) {
	var s Settings
	if definition == nil {
		return Missing, s
	}
	text := string(definition)
	settings, _ := marked(text, settingsMark)
	was, ok := marked(text, sumMark)
	switch {
	case !ok || json.Unmarshal([]byte(settings), &s) != nil || s.Binary == "":
		return Foreign, Settings{}
	case was != sum(text):
		return Edited, s
	case text != render(s):
		return Old, s
	}
	return Current, s
}
