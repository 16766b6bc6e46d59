package logging

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"vpn/internal/vpn"
)

// A Reader makes lines of what loggers of this package have written, in either
// format. What is none of theirs, as the last words of a program that broke,
// has the time of the line before it, and the weight of that if it was none
// either. Each log has its own reader; secrets are masked, and what could steer a terminal is taken out.
type Reader struct {
	// Source is what the lines say where they are from.
	Source string

	// Began is the time of lines before the first that has one.
	Began time.Time

	last  vpn.LogLine
	alien bool // the last was none of a logger's
}

// Line reads one line, without its end. An empty one is none.
func (r *Reader) Line(text []byte) (vpn.LogLine, bool) {
	text = bytes.TrimSpace(text)
	if len(text) == 0 {
		return vpn.LogLine{}, false
	}
	l, ok := parseJSON(text)
	if !ok {
		l, ok = parseText(string(text))
	}
	if !ok {
		l = r.foreign(string(masked(text)))
	}
	l.Source = r.Source
	r.last, r.alien = l, !ok
	return l, true
}

// foreign is a line that no logger wrote.
func (r *Reader) foreign(text string) vpn.LogLine {
	l := vpn.LogLine{At: r.last.At, Level: vpn.LogInfo, Message: harmless(text)}
	if r.alien {
		l.Level = r.last.Level
	}
	if l.At.IsZero() {
		l.At = r.Began
	}
	for _, begins := range []string{"panic:", "fatal error:", "runtime: ", "SIG", "goroutine "} {
		if strings.HasPrefix(text, begins) {
			l.Level = vpn.LogError
		}
	}
	return l
}

// harmless takes out of text what is not to be seen, and makes one line of
// it.
func harmless(text string) string {
	clean := func(r rune) bool { return unicode.IsPrint(r) }
	if strings.IndexFunc(text, func(r rune) bool { return !clean(r) }) < 0 {
		return text
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case clean(r):
			return r
		}
		return -1
	}, text)
}

// put keeps a value under its key, which may be one that every line has.
func put(l *vpn.LogLine, key, value string) bool {
	switch key {
	case "time":
		at, err := time.Parse(time.RFC3339, value)
		l.At = at.UTC()
		return err == nil
	case "level":
		name, _, _ := strings.Cut(strings.ToLower(value), "+") // ERROR+1
		name, _, _ = strings.Cut(name, "-")
		l.Level = vpn.LogLevel(name)
		return l.Level.AtLeast(vpn.LogDebug)
	case "msg":
		l.Message = harmless(value)
	default:
		if l.Fields == nil {
			l.Fields = map[string]string{}
		}
		l.Fields[harmless(key)] = harmless(value)
	}
	return true
}

// parseJSON reads a line of [slog.JSONHandler]. Groups become dots.
func parseJSON(text []byte) (l vpn.LogLine, ok bool) {
	if text[0] != '{' {
		return l, false
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v map[string]any
	if d.Decode(&v) != nil {
		return l, false
	}
	for _, must := range []string{"time", "level", "msg"} {
		if s, isText := v[must].(string); !isText || !put(&l, must, s) {
			return l, false
		}
		delete(v, must)
	}
	flatten(&l, "", v)
	return l, true
}

func flatten(l *vpn.LogLine, prefix string, v map[string]any) {
	for key, value := range v {
		switch value := value.(type) {
		case map[string]any:
			flatten(l, prefix+key+".", value)
		case string:
			put(l, prefix+key, value)
		case nil:
			put(l, prefix+key, "")
		case []any:
			text, err := json.Marshal(value)
			if err == nil {
				put(l, prefix+key, string(text))
			}
		default:
			put(l, prefix+key, fmt.Sprint(value))
		}
	}
}

// parseText reads a line of [slog.TextHandler].
func parseText(text string) (l vpn.LogLine, ok bool) {
	if !strings.HasPrefix(text, "time=") {
		return l, false
	}
	for text != "" {
		key, rest, found := strings.Cut(text, "=")
		if !found {
			return l, false
		}
		var value string
		if strings.HasPrefix(rest, `"`) {
			quoted, err := strconv.QuotedPrefix(rest)
			if err != nil {
				return l, false
			}
			if value, err = strconv.Unquote(quoted); err != nil {
				return l, false
			}
			rest = rest[len(quoted):]
		} else {
			value, _, _ = strings.Cut(rest, " ")
			rest = rest[len(value):]
		}
		if strings.HasPrefix(key, `"`) {
			if plain, err := strconv.Unquote(key); err == nil {
				key = plain
			}
		}
		if !put(&l, key, value) {
			return l, false
		}
		text = strings.TrimPrefix(rest, " ")
	}
	return l, !l.At.IsZero() && l.Level != ""
}
