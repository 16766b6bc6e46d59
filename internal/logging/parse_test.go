package logging_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"vpn/internal/logging"
	"vpn/internal/vpn"
)

// What a logger writes, in either format, is read back as it was meant.
func TestLinesAreReadBack(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		var b bytes.Buffer
		log, err := logging.New(&b, logging.Options{Level: slog.LevelDebug, Format: format})
		if err != nil {
			t.Fatal(err)
		}
		log = log.With(slog.String("server", "main"))
		before := time.Now()
		log.Warn(`it is "so" = so`, slog.Int("n", 12345678901), slog.Bool("ok", true), slog.Any("err", errors.New("a b=c\nd")),
			slog.Group("g", slog.String("x", "y")), slog.Duration("took", 1500*time.Millisecond), slog.String("odd key", "")) //nolint:sloglint // somebody else's may be like that
		r := logging.Reader{Source: "main"}
		l, ok := r.Line(b.Bytes())
		if !ok || l.At.Before(before.Add(-time.Millisecond)) || l.At.After(time.Now()) {
			t.Fatalf("%s: got %+v of %s", format, l, &b)
		}
		took := "1.5s"
		if format == "json" {
			took = "1500000000"
		}
		want := vpn.LogLine{
			At: l.At, Level: vpn.LogWarn, Source: "main", Message: `it is "so" = so`,
			Fields: map[string]string{"server": "main", "n": "12345678901", "ok": "true", "err": "a b=c d", "g.x": "y", "took": took, "odd key": ""},
		}
		if d := cmp.Diff(want, l); d != "" {
			t.Errorf("%s: %s", format, d)
		}
	}
}

// What no logger wrote stands by the line before it, harmless and masked.
func TestForeignLines(t *testing.T) {
	began := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	at := time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC)
	r := logging.Reader{Source: "main", Began: began}
	for _, c := range []struct {
		text    string
		at      time.Time
		level   vpn.LogLevel
		message string
	}{
		{"loading", began, vpn.LogInfo, "loading"},
		{"time=2026-11-02T00:00:00.000Z level=WARN msg=hello user=bob", at, vpn.LogWarn, "hello"},
		{"and more", at, vpn.LogInfo, "and more"},
		{"panic: vless://secret@host", at, vpn.LogError, "panic: vless://[secret]"},
		{"", at, "", ""},
		{"\tmain.go:12\x1b]52;c;aGk=\x07 \u009b2J", at, vpn.LogError, "main.go:12]52;c;aGk= 2J"},
		{"time=2026-11-02T00:00:00.000Z level=INFO msg=unfinished x=\"y", at, vpn.LogError, "time=2026-11-02T00:00:00.000Z level=INFO msg=unfinished x=\"y"},
		{`{"time":"2026-11-02T00:00:00Z","level":"ERROR+1","msg":"json"}`, at, vpn.LogError, "json"},
		{`{"time":"yesterday","level":"INFO","msg":"json"}`, at, vpn.LogInfo, `{"time":"yesterday","level":"INFO","msg":"json"}`},
	} {
		l, ok := r.Line([]byte(c.text + "\n"))
		if ok != (c.text != "") {
			t.Errorf("%q: %v", c.text, ok)
		}
		if ok && (!l.At.Equal(c.at) || l.Level != c.level || l.Message != c.message || l.Source != "main") {
			t.Errorf("%q: got %+v", c.text, l)
		}
	}
}

// Whatever stands in a log, its lines steer no terminal.
func FuzzLines(f *testing.F) {
	f.Add([]byte("time=2026-11-02T00:00:00.000Z level=WARN msg=hello user=\"a\\x1b[2J\""))
	f.Add([]byte(`{"time":"2026-11-02T00:00:00Z","level":"INFO","msg":"\u001b[2J","a":{"b":[1,null]}}`))
	f.Add([]byte("panic: \x00\xff"))
	f.Fuzz(func(t *testing.T, text []byte) {
		r := logging.Reader{Source: "x"}
		l, ok := r.Line(text)
		if !ok {
			return
		}
		all := l.Message
		for k, v := range l.Fields {
			all += k + v
		}
		if strings.ContainsFunc(all, func(r rune) bool { return !unicode.IsPrint(r) }) || !l.Level.AtLeast(vpn.LogDebug) {
			t.Errorf("%q became %+v", text, l)
		}
	})
}

// What is kept beside the log may weigh less, is JSON, and holds no secret.
func TestAlso(t *testing.T) {
	var out, kept bytes.Buffer
	log, err := logging.New(&out, logging.Options{Level: slog.LevelWarn})
	if err != nil {
		t.Fatal(err)
	}
	level := new(slog.LevelVar)
	both := logging.Also(log, &kept, level).With(slog.String("a", "b")).WithGroup("g")
	both.Info("quiet", slog.String("link", "vless://secret@host"))
	both.Warn("loud")
	level.Set(slog.LevelError)
	both.Info("nowhere")
	if strings.Contains(out.String(), "quiet") || !strings.Contains(out.String(), "loud") {
		t.Errorf("the log is %s", &out)
	}
	var r logging.Reader
	lines := strings.Split(strings.TrimSpace(kept.String()), "\n")
	if len(lines) != 2 {
		t.Fatalf("kept: %s", &kept)
	}
	l, _ := r.Line([]byte(lines[0]))
	if d := cmp.Diff(map[string]string{"a": "b", "g.link": "vless://[secret]"}, l.Fields); l.Message != "quiet" || d != "" {
		t.Errorf("kept %+v %s", l, d)
	}
}
