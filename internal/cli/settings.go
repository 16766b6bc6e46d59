package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/pflag"

	"vpn/internal/protocol"
	"vpn/internal/vpn"
)

// settingFlags are the settings of all protocols as flags. Protocols that
// share a key share its flag.
type settingFlags struct {
	values map[string]func() any // by flag: what was given
	owners map[string][]string   // by flag: the protocols that have it
}

// add adds the flags. With none, lists may be given as the word none, which
// empties them.
func (s *settingFlags) add(fs *pflag.FlagSet, protocols []protocol.Protocol, none bool) {
	s.values, s.owners = map[string]func() any{}, map[string][]string{}
	for _, p := range protocols {
		for _, f := range p.Fields() {
			s.owners[f.Flag()] = append(s.owners[f.Flag()], string(p.Name()))
		}
	}
	for _, p := range protocols {
		for _, f := range p.Fields() {
			if s.values[f.Flag()] == nil {
				f.Help = strings.Join(s.owners[f.Flag()], ", ") + ": " + f.Help
				s.values[f.Flag()] = addSetting(fs, f, none)
			}
		}
	}
}

// addSetting adds the flag of one setting and returns how to read it.
func addSetting(fs *pflag.FlagSet, f protocol.Field, none bool) func() any {
	switch {
	case f.List:
		var texts []string
		values := &list[string]{to: &texts, parse: asIs, kind: "TEXT"}
		if none {
			fs.Var(noneOr[string]{values}, f.Flag(), f.Help+"; may be given several times, or none")
		} else {
			fs.Var(values, f.Flag(), f.Help+"; may be given several times")
		}
		return func() any { return texts }
	case f.Bool:
		on := fs.Bool(f.Flag(), false, f.Help)
		return func() any { return *on }
	case f.File:
		var text string
		fs.Var(&value[string]{to: &text, parse: fileText, kind: "FILE"}, f.Flag(), f.Help)
		return func() any { return text }
	}
	var text string
	fs.Var(&value[string]{to: &text, parse: asIs, kind: "TEXT"}, f.Flag(), f.Help)
	return func() any { return text }
}

// of returns the settings for a server of protocol p, or nil if none was
// given. A setting of another protocol is refused rather than forgotten.
func (s *settingFlags) of(fs *pflag.FlagSet, p protocol.Protocol) (json.RawMessage, error) {
	settings := map[string]any{}
	own := map[string]bool{}
	for _, f := range p.Fields() {
		own[f.Flag()] = true
		if fs.Changed(f.Flag()) {
			settings[f.Key] = s.values[f.Flag()]()
		}
	}
	for _, flag := range slices.Sorted(maps.Keys(s.values)) {
		if fs.Changed(flag) && !own[flag] {
			return nil, vpn.Errorf(vpn.Invalid, "--%s is no setting of %s", flag, p.Name()).
				WithHint("it is one of %s", strings.Join(s.owners[flag], ", "))
		}
	}
	if len(settings) == 0 {
		return nil, nil
	}
	b, err := json.Marshal(settings)
	if err != nil {
		return nil, fmt.Errorf("encode settings: %w", err)
	}
	return b, nil
}

// fileText returns what is in a file: the control plane need not be able to
// read it, and must not read files for whoever asks.
func fileText(path string) (string, error) {
	const most = 1 << 20
	// A pipe is as good as a file; of one that nobody writes to, opening it would
	// wait for ever.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", fileProblem("read", path, err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return "", fileProblem("read", path, err)
	}
	if len(text) > most {
		return "", vpn.Errorf(vpn.Invalid, "file %s is larger than a megabyte", path).WithHint("is it the right one?")
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return "", vpn.Errorf(vpn.Invalid, "file %s is empty", path).WithHint("is it the right one?")
	}
	return string(text), nil
}

// asIs leaves the judgement to the protocol.
func asIs(s string) (string, error) { return s, nil }
