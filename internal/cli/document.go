package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"

	"go.yaml.in/yaml/v3"
)

// A document is JSON that keeps its keys in order: an object, a list, or
// anything else as the text that it was. YAML is written from it, so that the
// two have one shape.
type (
	object []member
	member struct {
		key   string
		value any
	}
	sequence []any
)

func (o object) get(key string) (any, bool) {
	for _, m := range o {
		if m.key == key {
			return m.value, true
		}
	}
	return nil, false
}

// encode is [json.Marshal] that leaves & and < alone: links hold them.
func encode(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("encode output: %w", err)
	}
	return bytes.TrimSpace(b.Bytes()), nil
}

// parse reads a document. What encode wrote, it can read.
func parse(text json.RawMessage) (any, error) {
	if len(text) == 0 || text[0] != '{' && text[0] != '[' {
		return text, nil
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	if _, err := dec.Token(); err != nil {
		return nil, fmt.Errorf("read output: %w", err)
	}
	next := func() (any, error) {
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return nil, fmt.Errorf("read output: %w", err)
		}
		return parse(raw)
	}
	if text[0] == '[' {
		out := sequence{}
		for dec.More() {
			x, err := next()
			if err != nil {
				return nil, err
			}
			out = append(out, x)
		}
		return out, nil
	}
	out := object{}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, fmt.Errorf("read output: %w", err)
		}
		x, err := next()
		if err != nil {
			return nil, err
		}
		out = append(out, member{fmt.Sprint(key), x})
	}
	return out, nil
}

// MarshalJSON implements [json.Marshaler].
func (o object) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i, m := range o {
		if i > 0 {
			b = append(b, ',')
		}
		key, err := encode(m.key)
		if err != nil {
			return nil, err
		}
		value, err := encode(m.value)
		if err != nil {
			return nil, err
		}
		b = append(append(append(b, key...), ':'), value...)
	}
	return append(b, '}'), nil
}

// document returns v, or what --json left of it.
func (o *printer) document(v any) (any, error) {
	if o.shape != nil && reflect.TypeOf(v) != o.shape {
		return nil, fmt.Errorf("the answer is a %T, and was to be a %v", v, o.shape)
	}
	text, err := encode(v)
	if err != nil {
		return nil, err
	}
	doc, err := parse(text)
	if err != nil || o.picked == nil {
		return doc, err
	}
	return pick(doc, o.shape, o.picked), nil
}

// json prints v, which is what the API answered.
func (o *printer) json(v any) error {
	if o.picked != nil || o.shape != reflect.TypeOf(v) {
		var err error
		if v, err = o.document(v); err != nil {
			return err
		}
	}
	text, err := encode(v)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := json.Indent(&b, text, "", "  "); err != nil {
		return fmt.Errorf("indent output: %w", err)
	}
	return o.print(escaped(b.String(), jsonEscape) + "\n")
}

// writeJSONLine prints v, or what --json wants of it, in one line.
func writeJSONLine(o *printer, v any) error {
	text, err := encode(v)
	if err != nil {
		return err
	}
	if o.picked != nil {
		doc, err := parse(text)
		if err != nil {
			return err
		}
		if text, err = encode(pick(doc, reflect.TypeOf(v), o.picked)); err != nil {
			return err
		}
	}
	return o.print(escaped(string(text), jsonEscape) + "\n")
}

// escaped writes what is not printable in the strings of a text as escape
// does: it says the same, and steers no terminal.
func escaped(text string, escape func(rune) string) string {
	harmless := func(r rune) bool { return r == '\n' || unicode.IsPrint(r) }
	if strings.IndexFunc(text, func(r rune) bool { return !harmless(r) }) < 0 {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if harmless(r) {
			b.WriteRune(r)
		} else {
			b.WriteString(escape(r))
		}
	}
	return b.String()
}

func jsonEscape(r rune) string {
	var b strings.Builder
	for _, unit := range utf16.Encode([]rune{r}) {
		fmt.Fprintf(&b, `\u%04x`, unit)
	}
	return b.String()
}

func yamlEscape(r rune) string { return fmt.Sprintf(`\U%08X`, r) }

// yaml prints v as YAML, with the keys in the order that they have in JSON.
func (o *printer) yaml(v any) error {
	doc, err := o.document(v)
	if err != nil {
		return err
	}
	node, err := yamlNode(doc)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(node); err != nil {
		return fmt.Errorf("encode output: %w", err)
	}
	return o.print(escaped(b.String(), yamlEscape))
}

func yamlNode(doc any) (*yaml.Node, error) {
	switch doc := doc.(type) {
	case object:
		n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		for _, m := range doc {
			value, err := yamlNode(m.value)
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, yamlString(m.key), value)
		}
		return n, nil
	case sequence:
		n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		for _, x := range doc {
			value, err := yamlNode(x)
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, value)
		}
		return n, nil
	case json.RawMessage:
		return yamlScalar(doc)
	}
	return nil, fmt.Errorf("encode output: %T is no part of a document", doc)
}

func yamlScalar(text json.RawMessage) (*yaml.Node, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, fmt.Errorf("read output: %w", err)
	}
	switch v := v.(type) {
	case string:
		return yamlString(v), nil
	case bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: strconv.FormatBool(v)}, nil
	case json.Number:
		tag := "!!int"
		if strings.ContainsAny(v.String(), ".eE") {
			tag = "!!float"
		}
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: v.String()}, nil
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}, nil
}

// yamlString returns s as a string, whatever it looks like. What a terminal
// would obey is escaped.
func yamlString(s string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}
