//go:build linux && e2e

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"vpn/test/e2e/rig"
)

// benchTUI measures the terminal UI on a pseudo-terminal of 120 by 40 cells,
// with 10,000 users in the store.
func benchTUI(t *testing.T, r *report) {
	i, logins := install(t, few)
	grow(t, i, thousands-few)
	fillLog(t, i)
	i.World.Xray(t, logins[0]).MustOpen(t, 0, false)
	open := func() *rig.PTY { return rig.OpenPTY(t, 120, 40, nil, i.Bin, "tui", "--data-dir", i.Data) }

	var first []time.Duration
	for range 15 {
		p := open()
		first = append(first, p.Wrote("Dashboard").Sub(p.Started))
		p.Press("q")
	}
	const budget = 100 * time.Millisecond
	r.durations(t, "`vpn tui`: the first frame, 10,000 users", first, median, budget)

	p := open()
	p.Wrote("Dashboard")
	p.Press("5")
	p.Wrote("INF")
	pause(t.Context(), 5*time.Second) // for all of the log
	p.Press("2")
	p.Wrote("▌")
	var moved []time.Duration
	for k := range 60 {
		at := p.Press([]string{"j", "k"}[k%2])
		moved = append(moved, p.Wrote("▌").Sub(at))
		pause(t.Context(), 30*time.Millisecond)
	}
	r.durations(t, "`vpn tui`: a move among 10,000 users and its frame, in process", benchMove(t), least, time.Millisecond)
	r.durations(t, "`vpn tui`: a key until its row is on the screen, 10,000 users", moved, median, 20*time.Millisecond)
	bytes, err := rig.Memory(p.PID())
	if err != nil {
		t.Fatal(err)
	}
	r.size(t, "memory (PSS) of `vpn tui`, 10,000 users and 20,000 lines of logs", 50e6, bytes)

	p.Press("1")
	pause(t.Context(), 3*time.Second)
	before, err := rig.CPU(p.PID())
	if err != nil {
		t.Fatal(err)
	}
	const span = 30 * time.Second
	pause(t.Context(), span)
	after, err := rig.CPU(p.PID())
	if err != nil {
		t.Fatal(err)
	}
	perSecond := (after - before) / (span / time.Second)
	r.durations(t, "processor time of `vpn tui` on its dashboard in a second, 10,000 users", []time.Duration{perSecond}, median, 15*time.Millisecond)
}

// benchMove measures a move in process, some times.
func benchMove(t *testing.T) []time.Duration {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "test", "-run", "^$", "-bench", "^BenchmarkMove$", "-benchtime", "500x", "-count", "5", "../../internal/tui/page/users")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var samples []time.Duration
	for _, m := range regexp.MustCompile(`BenchmarkMove\S*\s+\d+\s+(\d+) ns/op`).FindAllSubmatch(out, -1) {
		n, err := strconv.Atoi(string(m[1]))
		if err != nil {
			t.Fatal(err)
		}
		samples = append(samples, time.Duration(n))
	}
	if len(samples) != 5 {
		t.Fatalf("no figures in: %s", out)
	}
	return samples
}

// least returns the smallest: what others do on the machine only adds to it.
func least(samples []time.Duration) time.Duration { return slices.Min(samples) }

// fillLog makes a worker's log as long as the UI keeps lines.
func fillLog(t *testing.T, i *rig.Instance) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(i.Data, "logs", "*.log"))
	if err != nil || len(files) == 0 {
		t.Fatalf("logs: %v, %v", files, err)
	}
	f, err := os.OpenFile(files[0], os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b strings.Builder
	for k := range 20_500 {
		fmt.Fprintf(&b, "time=%s level=INFO msg=\"a line for the log\" number=%d user=many%d source=192.0.2.%d:40000\n", time.Now().UTC().Format(time.RFC3339Nano), k, k%thousands, k%250)
	}
	if _, err := f.WriteString(b.String()); err != nil {
		t.Fatal(err)
	}
}
