package daemon

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vpn/internal/app"
	"vpn/internal/logging"
	"vpn/internal/vpn"
)

// journalOf merges the logs in dir of some servers, whose names are their ids.
func journalOf(ctx context.Context, t *testing.T, dir string, q vpn.LogQuery, servers ...string) iter.Seq[[]vpn.LogLine] {
	t.Helper()
	from := app.LogSources{ControlPlane: true, Servers: func(context.Context) (out []vpn.Server, err error) {
		for _, s := range servers {
			out = append(out, vpn.Server{ID: vpn.ServerID(s), Name: s})
		}
		return out, nil
	}}
	lines, err := logs{dir: dir}.Lines(ctx, from, q)
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

func messages(lines iter.Seq[[]vpn.LogLine]) string {
	var out []string
	for batch := range lines {
		for _, l := range batch {
			out = append(out, l.Source+":"+l.Message)
		}
	}
	return strings.Join(out, " ")
}

// logged is a line that was logged at a second of a day.
func logged(second int, level, msg string) string {
	return fmt.Sprintf("time=%s level=%s msg=%s\n", time.Date(2026, 11, 1, 0, 0, second, 0, time.UTC).Format(time.RFC3339), level, msg)
}

func TestLogsAreMergedByTime(t *testing.T) {
	dir := t.TempDir()
	appendTo(t, filepath.Join(dir, "a.log"), logged(1, "INFO", "a1")+logged(3, "WARN", "a3")+"not a log's line\n"+logged(5, "INFO", "a5"))
	appendTo(t, filepath.Join(dir, "b.log.1"), logged(0, "ERROR", "b0"))
	appendTo(t, filepath.Join(dir, "b.log"), logged(2, "INFO", "b2")+logged(4, "ERROR", "b4")+logged(4, "DEBUG", "b5")+"unfinished")
	appendTo(t, filepath.Join(dir, ownLogFile), `{"time":"2026-11-01T00:00:02.5Z","level":"INFO","msg":"own"}`+"\n")
	second := func(n int) time.Time { return time.Date(2026, 11, 1, 0, 0, n, 0, time.UTC) }
	for want, q := range map[string]vpn.LogQuery{
		"b:b0 a:a1 b:b2 control plane:own a:a3 a:not a log's line b:b4 b:b5 a:a5": {Tail: 100},
		"b:b5 a:a5":      {Tail: 2},
		"b:b0 a:a3 b:b4": {Tail: 100, Level: vpn.LogWarn},
		"b:b0 b:b4":      {Tail: 100, Level: vpn.LogError},
		"b:b4":           {Tail: 1, Level: vpn.LogError},
		"b:b4 b:b5 a:a5": {Tail: 100, Since: second(4)},
		"":               {Tail: 100, Since: second(6)},
	} {
		if got := messages(journalOf(t.Context(), t, dir, q, "a", "b", "without-a-log")); got != want {
			t.Errorf("%+v:\n got %s\nwant %s", q, got, want)
		}
	}
	if got := messages(journalOf(t.Context(), t, dir, vpn.LogQuery{})); got != "" {
		t.Errorf("a tail of nothing: %s", got)
	}
}

// Who follows misses no line: not of a server that comes later, not through a
// rotation, not one that was written in two parts.
func TestMergedLogsAreFollowed(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	a, b := filepath.Join(dir, "a.log"), filepath.Join(dir, "b.log")
	appendTo(t, a, logged(1, "INFO", "before"))
	next, stop := iter.Pull(journalOf(ctx, t, dir, vpn.LogQuery{Tail: 1, Follow: true, Level: vpn.LogInfo}, "a", "b"))
	defer stop()
	hears := func(want ...string) {
		t.Helper()
		for len(want) > 0 {
			batch, ok := next()
			if !ok {
				t.Fatalf("the logs end before %q", want)
			}
			for _, l := range batch {
				if len(want) == 0 || l.Message != want[0] {
					t.Fatalf("got %+v, want %q", l, want)
				}
				want = want[1:]
			}
		}
	}
	hears("before")
	appendTo(t, b, logged(2, "INFO", "new")+logged(2, "DEBUG", "light"))
	hears("new")
	whole := logged(3, "INFO", "in-two-parts")
	appendTo(t, a, whole[:20])
	appendTo(t, b, logged(3, "INFO", "between"))
	hears("between")
	appendTo(t, a, whole[20:])
	hears("in-two-parts")
	// Written, and rotated before the next look.
	appendTo(t, a, logged(4, "INFO", "last-of-the-old"))
	if err := os.Rename(a, a+".1"); err != nil {
		t.Fatal(err)
	}
	appendTo(t, a, logged(5, "INFO", "first-of-the-new"))
	hears("last-of-the-old", "first-of-the-new")
	cancel()
	if batch, ok := next(); ok {
		t.Errorf("after the end: %+v", batch)
	}
}

// A log without end is looked through from where it is worth it, and a line
// without end is one of many.
func TestHugeLogs(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.log")
	appendTo(t, path, logged(0, "ERROR", "far-away")+strings.Repeat("x", maxSearched)+"\n"+logged(1, "ERROR", "near"))
	lines := 0
	for batch := range journalOf(t.Context(), t, dir, vpn.LogQuery{Tail: 100_000, Level: vpn.LogError}, "a") {
		for _, l := range batch {
			lines++
			if len(l.Message) > maxLine || l.Message == "far-away" {
				t.Fatalf("a line of %d bytes", len(l.Message))
			}
		}
	}
	if lines != 1 {
		t.Errorf("%d lines", lines)
	}
}

// What the control plane logs is kept from the beginning, and the files have
// a bound.
func TestOwnLog(t *testing.T) {
	dir := t.TempDir()
	own := &ownLog{}
	log := logging.Also(slog.New(slog.DiscardHandler), own, slog.LevelInfo)
	log.Info("before-it-is-open", slog.String("link", "vless://secret"))
	if err := own.open(dir); err != nil {
		t.Fatal(err)
	}
	for i := range 3 * maxOwnLog / 1000 {
		log.Info("line", slog.Int("n", i), slog.String("pad", strings.Repeat("x", 1000)))
	}
	log.Warn("at-the-end")
	own.close()
	log.Warn("after-the-end")
	var size int64
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 2 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		st, err := os.Stat(f)
		if err != nil || st.Mode().Perm() != 0o600 {
			t.Fatal(st.Mode(), err)
		}
		size += st.Size()
	}
	if size > 2*maxOwnLog {
		t.Errorf("%d bytes are kept", size)
	}
	if got := messages(journalOf(t.Context(), t, dir, vpn.LogQuery{Tail: 2})); got != "control plane:line control plane:at-the-end" {
		t.Errorf("got %s", got)
	}

	own = &ownLog{}
	log = logging.Also(slog.New(slog.DiscardHandler), own, slog.LevelInfo)
	log.Info("of-another-life", slog.String("link", "vless://secret"))
	if err := own.open(dir); err != nil {
		t.Fatal(err)
	}
	for batch := range journalOf(t.Context(), t, dir, vpn.LogQuery{Tail: 1}) {
		if l := batch[0]; l.Message != "of-another-life" || l.Fields["link"] != "vless://[secret]" {
			t.Errorf("got %+v", l)
		}
	}
	if err := (&ownLog{}).open(filepath.Join(dir, "missing")); err == nil {
		t.Error("a directory that is not there was opened")
	}
}
