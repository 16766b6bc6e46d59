package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strconv"
	"syscall"

	"go.yaml.in/yaml/v3"

	"vpn/internal/vpn"
)

// maxFile is far more than all keys together take.
const maxFile = 1 << 20

// entry is one line of a configuration file.
type entry struct {
	key  key
	text string
	line int
}

func read(path string) ([]byte, error) {
	// Of a pipe that nobody writes to, opening it would wait for ever.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("it is longer than %d bytes", maxFile)
	}
	return data, err
}

// ReadFile returns what is in a configuration file that is to be changed. What
// is no file, such as a pipe, is refused: nobody could write it anew.
func ReadFile(path string) ([]byte, error) {
	switch info, err := os.Stat(path); {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, vpn.Errorf(vpn.Invalid, "%s is not a file", path).WithHint("the configuration is changed in a file; name it with --config")
	}
	return read(path)
}

func fileError(path string, err error) error {
	// The path is in the message already.
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		err = pathErr.Err
	}
	kind, hint := vpn.Invalid, "name another file, or none"
	if errors.Is(err, fs.ErrPermission) {
		kind, hint = vpn.Denied, "run as a user who may read it, or name another with --config"
	}
	return vpn.Errorf(kind, "read configuration file %s: %w", path, err).WithHint("%s", hint)
}

// parse returns the entries of a file. It walks the nodes by hand, because a
// decoder's errors show values, and values may be secrets that somebody put
// into the wrong file.
func parse(path string, data []byte) ([]entry, error) {
	root, err := document(path, data)
	if err != nil || root == nil {
		return nil, err
	}
	if root.Kind != yaml.MappingNode {
		return nil, wrong(path, root.Line, "the file must hold keys with values").WithHint("write it like %s: %s", keys[0].name, keys[0].example)
	}
	seen := map[string]int{}
	var out []entry
	for i := 0; i+1 < len(root.Content); i += 2 {
		name, value := root.Content[i], root.Content[i+1]
		k, err := lookUp(path, name)
		if err != nil {
			return nil, err
		}
		if line, twice := seen[k.name]; twice {
			return nil, wrong(path, name.Line, "%s stands in line %d already", k.name, line).WithHint("remove one of the two")
		}
		seen[k.name] = name.Line
		switch {
		case value.Kind == yaml.ScalarNode && value.ShortTag() == "!!null":
			return nil, wrong(path, value.Line, "%s has no value", k.name).WithHint("write one, or remove the line; %s is %s", k.name, k.help)
		case value.Kind != yaml.ScalarNode || value.ShortTag() != "!!str":
			return nil, wrong(path, value.Line, "%s must be text", k.name).
				WithHint("%s is %s, for example %s; put quotes around it if it looks like something else", k.name, k.help, k.example)
		}
		out = append(out, entry{k, value.Value, value.Line})
	}
	return out, nil
}

// document returns the only document's content, or nil if there is none.
func document(path string, data []byte) (*yaml.Node, error) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, more yaml.Node
	err := dec.Decode(&doc)
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err != nil {
		return nil, syntaxError(path, err)
	}
	err = dec.Decode(&more)
	if err == nil {
		return nil, wrong(path, more.Line, "a second document begins").WithHint("remove the line of dashes above it")
	}
	if !errors.Is(err, io.EOF) {
		return nil, syntaxError(path, err)
	}
	if len(doc.Content) == 0 || doc.Content[0].ShortTag() == "!!null" {
		return nil, nil
	}
	return doc.Content[0], nil
}

var lineNumber = regexp.MustCompile(`\bline ([0-9]+)`)

// syntaxError keeps of the parser's message the line only, if it names one:
// some show values.
func syntaxError(path string, err error) error {
	line := 0
	if m := lineNumber.FindStringSubmatch(err.Error()); m != nil {
		line, _ = strconv.Atoi(m[1]) // too long a number is no line either
	}
	return wrong(path, line, "this is not YAML").
		WithHint("what it wants: a colon and a space after each key, no tabs, quotes in pairs; the mistake may be one line above")
}

func lookUp(path string, name *yaml.Node) (key, error) {
	known := make([]string, 0, len(keys))
	for _, k := range keys {
		if name.Kind == yaml.ScalarNode && name.Value == k.name {
			return k, nil
		}
		known = append(known, k.name)
	}
	unknown := vpn.Unknown("key", name.Value, known)
	return key{}, wrong(path, name.Line, "%s", unknown.Message).WithHint("%s", unknown.Hint)
}

func wrong(path string, line int, format string, args ...any) *vpn.Error {
	return vpn.Errorf(vpn.Invalid, "%s: %s", position(path, line), fmt.Sprintf(format, args...))
}

func position(path string, line int) string {
	if line == 0 {
		return path
	}
	return path + ":" + strconv.Itoa(line)
}
