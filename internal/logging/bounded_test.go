package logging

import (
	"bytes"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vpn/internal/vpn"
)

// flood returns a logger whose clock the test turns, at debug.
func flood(t *testing.T, w io.Writer, most int64) (log *slog.Logger, next func()) {
	t.Helper()
	log, control, err := NewBounded(w, slog.LevelInfo, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := control.Adjust(vpn.Logging{Level: vpn.LogDebug}); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	b := log.Handler().(bounded).budget
	b.now, b.most = func() time.Time { return now }, most
	return log, func() { now = now.Add(time.Second) }
}

// Whatever strangers do, so much is written in a second and no more, nothing of
// weight is lost, and it is said how much is missing.
func TestAFloodIsBounded(t *testing.T) {
	var out bytes.Buffer
	log, next := flood(t, &out, most)
	strangers := log.With(slog.String("a", "b")).WithGroup("g")
	const lines = 5000
	for range 3 {
		before := out.Len()
		for range lines {
			strangers.Debug("stranger", slog.String("source", "203.0.113.7:51234"))
		}
		log.Info("a word")
		if n := out.Len() - before; n < perSecond || n > perSecond+1000 {
			t.Errorf("%d bytes in a second", n)
		}
		next()
	}
	before := out.Len()
	strangers.Debug("the last")
	strangers.Debug("the very last")
	if n := strings.Count(out.String(), "a word"); n != 3 {
		t.Errorf("%d of 3 lines at info", n)
	}
	said := strings.Count(out.String(), "msg=stranger")
	if strings.Contains(out.String(), "g.lines") {
		t.Error("what is missing is not of the group that speaks next")
	}
	if end := out.String()[before:]; strings.Count(end, "\n") != 3 || !strings.Contains(end, "were left out") {
		t.Errorf("the end is %s", end)
	}
	if said < 100 || said > 3*lines/2 {
		t.Errorf("%d lines of %d", said, 3*lines)
	}
	// A line without end, of somebody who is known.
	out.Reset()
	next()
	for range 100 {
		log.Debug("refused", slog.String("host", strings.Repeat("x", 32<<10)))
	}
	if n := out.Len(); n > perSecond+33<<10 {
		t.Errorf("%d bytes of long lines in a second", n)
	}
}

// A file that nobody keeps small, as while no control plane runs, does not grow
// without end, and is written to again once somebody does.
func TestAFileThatNobodyTrims(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	log, next := flood(t, f, 1000)
	size := func() int64 {
		st, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		return st.Size()
	}
	for range 100 {
		log.Debug("stranger", slog.String("source", "203.0.113.7:51234"))
		next()
	}
	full := size()
	if full < 1000 || full > 1200 {
		t.Errorf("it has %d bytes", full)
	}
	log.Info("a word")
	if size() <= full {
		t.Error("a line of weight is lost")
	}
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	next()
	log.Debug("stranger")
	if text, err := os.ReadFile(path); err != nil || !strings.Contains(string(text), "msg=stranger") || !strings.Contains(string(text), "were left out") {
		t.Errorf("after it was trimmed: %s, %v", text, err)
	}
}

// BenchmarkNotLogged is what a line costs that is not wanted.
func BenchmarkNotLogged(b *testing.B) {
	log, _, err := NewBounded(io.Discard, slog.LevelInfo, "")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		log.Debug("stranger", slog.String("source", "203.0.113.7:51234"))
	}
}

// BenchmarkLeftOut is what one costs that is one too many.
func BenchmarkLeftOut(b *testing.B) {
	log, control, err := NewBounded(io.Discard, slog.LevelInfo, "")
	if err != nil {
		b.Fatal(err)
	}
	_ = control.Adjust(vpn.Logging{Level: vpn.LogDebug})
	log.Handler().(bounded).budget.now = func() time.Time { return time.Unix(1, 0) }
	b.ReportAllocs()
	for b.Loop() {
		log.Debug("stranger", slog.String("source", "203.0.113.7:51234"))
	}
}
