package config

import (
	"bytes"
	"errors"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"vpn/internal/vpn"
)

// Keys returns the names of all keys.
func Keys() []string {
	out := make([]string, 0, len(keys))
	for _, k := range keys {
		out = append(out, k.name)
	}
	return out
}

// Choices returns the values that a key may have, if they are few words, and
// nothing otherwise.
func Choices(name string) []string {
	for _, k := range keys {
		if k.name == name {
			return slices.Clone(k.choices)
		}
	}
	return nil
}

// Get returns one value of c by its key. An unknown key is an error of kind
// [vpn.Invalid].
func (c Config) Get(name string) (Value, error) {
	if _, err := byName(name); err != nil {
		return Value{}, err
	}
	values := c.Values()
	return values[slices.IndexFunc(values, func(v Value) bool { return v.Key == name })], nil
}

func byName(name string) (key, error) {
	for _, k := range keys {
		if k.name == name {
			return k, nil
		}
	}
	return key{}, vpn.Unknown("key", name, Keys())
}

// Check reads a file on its own and returns the first mistake in it, as Load
// does. A file that is not there is an error too.
func Check(path string) error {
	data, err := read(path)
	if err != nil {
		return fileError(path, err)
	}
	return check(path, data)
}

func check(path string, data []byte) error {
	entries, err := parse(path, data)
	if err != nil {
		return err
	}
	l := loader{config: Config{origins: map[string]Origin{}}}
	for _, e := range entries {
		if err := l.set(e.key, e.text, Origin{"file", position(path, e.line)}); err != nil {
			return err
		}
	}
	return nil
}

// Set returns the text of the file at path, which is data, with one value
// changed. Everything else stays as it is, comments and order included. A
// value that is not valid, and a file that is no configuration, are errors of
// kind [vpn.Invalid].
func Set(path string, data []byte, name, value string) ([]byte, error) {
	k, err := byName(name)
	if err != nil {
		return nil, err
	}
	if err := k.set(&Config{}, value); err != nil {
		return nil, vpn.Errorf(vpn.Invalid, "%s must be %w", k.name, err).WithHint("%s is %s, for example %s", k.name, k.help, k.example)
	}
	return edit(path, data, k, &value)
}

// Unset returns data without a key, and whether it was there.
func Unset(path string, data []byte, name string) (edited []byte, was bool, err error) {
	k, err := byName(name)
	if err != nil {
		return nil, false, err
	}
	entries, err := parse(path, data)
	if err != nil {
		return nil, false, err
	}
	if !slices.ContainsFunc(entries, func(e entry) bool { return e.key.name == k.name }) {
		return data, false, nil
	}
	edited, err = edit(path, data, k, nil)
	return edited, true, err
}

// edit sets k to value, or removes it if there is none. It works on the lines,
// so that what people wrote stays as they wrote it, and on the parsed document
// where lines will not do: a value over several lines, keys in braces.
func edit(path string, data []byte, k key, value *string) ([]byte, error) {
	entries, err := parse(path, data)
	if err != nil {
		return nil, err
	}
	want := slices.DeleteFunc(slices.Clone(entries), func(e entry) bool { return e.key.name == k.name })
	if value != nil {
		want = append(want, entry{key: k, text: *value})
	}
	for _, way := range []func() ([]byte, error){
		func() ([]byte, error) { return editLines(path, data, k, value) },
		func() ([]byte, error) { return editDocument(path, data, k, value) },
	} {
		edited, err := way()
		if err != nil {
			continue
		}
		if got, err := parse(path, edited); err == nil && same(got, want) {
			return edited, nil
		}
	}
	return nil, vpn.Errorf(vpn.Invalid, "%s is written in a way that cannot be edited", path).WithHint("edit it by hand, then: vpn config validate")
}

// same reports whether two lists hold the same keys and values, in any order
// and on any line.
func same(a, b []entry) bool {
	if len(a) != len(b) {
		return false
	}
	for _, x := range a {
		if !slices.ContainsFunc(b, func(y entry) bool { return x.key.name == y.key.name && x.text == y.text }) {
			return false
		}
	}
	return true
}

var errNoKeys = errors.New("there are no keys to edit")

// editLines changes the one line that holds k, or adds one: below the line of
// the sample that explains it or, failing that, at the end.
func editLines(path string, data []byte, k key, value *string) ([]byte, error) {
	root, err := document(path, data)
	if err != nil {
		return nil, err
	}
	lines := bytes.SplitAfter(data, []byte("\n"))
	at := -1
	var old *yaml.Node
	if root != nil {
		if i := keyAt(root, k); i >= 0 {
			at, old = root.Content[i].Line-1, root.Content[i+1]
		}
	}
	if at < 0 {
		return insertLine(lines, k, scalar(*value)), nil
	}
	line, start := string(lines[at]), old.Column-1
	end, oneLine := 0, false
	if old.Line-1 == at && start <= len(line) {
		end, oneLine = valueEnd(line, start, old.Style)
	}
	next := at + 1
	for !oneLine && next < len(lines) && indented(lines[next]) {
		next++
	}
	switch {
	case value == nil:
		lines = slices.Delete(lines, at, next)
	case oneLine:
		lines[at] = []byte(line[:start] + scalar(*value) + line[end:])
	default:
		lines = slices.Replace(lines, at, next, []byte(k.name+": "+scalar(*value)+"\n"))
	}
	return bytes.Join(lines, nil), nil
}

// indented reports whether a line goes on with the value above it.
func indented(line []byte) bool { return len(line) > 0 && (line[0] == ' ' || line[0] == '\t') }

// keyAt returns the index of k among what root holds, or -1; its value follows.
func keyAt(root *yaml.Node, k key) int {
	for i := 0; i+1 < len(root.Content); i += 2 {
		if root.Content[i].Value == k.name {
			return i
		}
	}
	return -1
}

// valueEnd returns where the value that begins at start ends on its line.
func valueEnd(line string, start int, style yaml.Style) (end int, ok bool) {
	rest := strings.TrimRight(line[start:], "\r\n")
	switch {
	case style&(yaml.LiteralStyle|yaml.FoldedStyle|yaml.TaggedStyle) != 0:
		return 0, false
	case style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0:
		// What may be escaped inside is found out by parsing the result.
		n := strings.IndexByte(rest[1:], rest[0])
		return start + n + 2, n >= 0
	}
	if comment := strings.Index(rest, " #"); comment >= 0 {
		rest = rest[:comment]
	}
	return start + len(strings.TrimRight(rest, " \t")), true
}

func insertLine(lines [][]byte, k key, text string) []byte {
	line := []byte(k.name + ": " + text + "\n")
	explains := regexp.MustCompile(`^#\s*` + k.name + `:`)
	at := len(lines)
	for i, l := range lines {
		if explains.Match(l) {
			at = i + 1
		}
	}
	if at > 0 && len(lines[at-1]) > 0 && !bytes.HasSuffix(lines[at-1], []byte("\n")) {
		lines[at-1] = append(slices.Clone(lines[at-1]), '\n')
	}
	return bytes.Join(slices.Insert(lines, at, line), nil)
}

// scalar writes a value as YAML, in quotes if it would be taken for something
// else than text.
func scalar(value string) string {
	b, err := yaml.Marshal(value)
	if err != nil {
		panic("config: text cannot be written as YAML: " + err.Error())
	}
	return strings.TrimSuffix(string(b), "\n")
}

// editDocument does the same on the parsed document. Comments and order stay;
// spaces may not.
func editDocument(path string, data []byte, k key, value *string) ([]byte, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, syntaxError(path, err)
	}
	if len(doc.Content) == 0 || doc.Content[0].Kind != yaml.MappingNode {
		return nil, errNoKeys
	}
	root := doc.Content[0]
	i := keyAt(root, k)
	switch {
	case i < 0:
		name, text := &yaml.Node{}, &yaml.Node{}
		name.SetString(k.name)
		text.SetString(*value)
		root.Content = append(root.Content, name, text)
	case value == nil:
		root.Content = slices.Delete(root.Content, i, i+2)
	default:
		comment := root.Content[i+1].LineComment
		root.Content[i+1] = &yaml.Node{}
		root.Content[i+1].SetString(*value)
		root.Content[i+1].LineComment = comment
	}
	return yaml.Marshal(&doc)
}

// File returns the path of the file that s reads, whether or not it is there,
// and the one that a change is to be written to. It is empty if there is no
// place for one.
func File(s Sources) string {
	if s.Getenv == nil {
		s.Getenv = func(string) string { return "" }
	}
	if s.File != "" {
		return s.File
	}
	if path := s.Getenv("VPN_CONFIG"); path != "" {
		return path
	}
	return DefaultFile(s)
}

// FileToChange is File for whoever wants to change it. A person who uses the
// system's installation is told so, with kind [vpn.Denied], and does not get a
// file of his own that the daemon would never read.
func FileToChange(s Sources) (string, error) { return fileToChange(s, SystemDataDir) }

func fileToChange(s Sources, system string) (string, error) {
	path := File(s)
	if path == "" {
		return "", vpn.Errorf(vpn.Invalid, "there is no place for the configuration file: HOME is not set").WithHint("name one with --config")
	}
	if s.Root || path != DefaultFile(s) || exists(path) {
		return path, nil
	}
	if c, err := load(s, system); err == nil && c.DataDir == system {
		return "", &vpn.Error{
			Kind: vpn.Denied, Err: fs.ErrPermission,
			Message: "the system's installation is configured in " + SystemFile + ", which is not yours to change",
			Hint:    "use sudo, or name a file of your own with --config",
		}
	}
	return path, nil
}
