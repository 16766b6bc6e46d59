//go:build linux && e2e

package e2e

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"vpn/test/e2e/rig"
	"vpn/test/figures"
)

var update = flag.Bool("update", false, "write the figures into docs/benchmarks.md")

// benchmarks is where the figures are written down.
const benchmarks = "../../docs/benchmarks.md"

// TestBench measures the product against its budgets and against the bare
// engine, and prints a table. It takes half an hour and wants the machine for
// itself. Machines are noisy: what misses its budget is marked in the table,
// and fails the test only from three times the budget on.
func TestBench(t *testing.T) {
	if os.Getenv("VPN_E2E_BENCH") == "" {
		t.Skip("not asked for: make bench")
	}
	if rig.Instrumented() {
		t.Fatal("an instrumented binary has no speed worth measuring")
	}
	r := newReport(t)
	parts := []struct {
		name string
		run  func(*testing.T, *report)
	}{
		{"binary", benchBinary},
		{"commands", benchCommands},
		{"memory", benchMemory},
		{"speed", benchSpeed},
		{"shadowsocks", benchShadowsocks},
		{"shadowsocks 2022", benchShadowsocks2022},
		{"keys", benchKeys},
		{"proxies", benchProxies},
		{"wireguard", benchWireGuard},
		{"devices", benchDevices},
		{"tui", benchTUI},
		{"containers", benchContainers},
	}
	ran := 0
	for _, p := range parts {
		t.Run(p.name, func(t *testing.T) {
			ran++
			p.run(t, r)
		})
	}
	text := r.String()
	fmt.Println("\n" + text)
	compare(t, text)
	switch {
	case !*update:
	case t.Failed() || ran < len(parts):
		t.Errorf("%s stays as it is: not all was measured", benchmarks)
	default:
		writeDown(t, text)
	}
}

// compare prints what fell back behind the recorded figures. It warns and does
// not fail: the record may be of another machine.
func compare(t *testing.T, text string) {
	t.Helper()
	const tolerance = 0.1
	recorded, rerr := figures.Parse(readFile(t, benchmarks))
	measured, merr := figures.Parse(text)
	if err := errors.Join(rerr, merr); err != nil {
		t.Error(err)
		return
	}
	fmt.Printf("Against %s, by medians and means; more than %.0f %% counts, less is noise:\n", filepath.Base(benchmarks), 100*tolerance)
	worse := figures.Compare(recorded, measured, tolerance)
	for _, line := range worse {
		fmt.Println("WARNING:", line)
	}
	fmt.Printf("%d of %d figures are worse or new.\n\n", len(worse), len(measured))
}

// A report is the figures so far, and under what conditions they came about.
type report struct {
	begun time.Time
	load  string    // how many processes wanted to run in the minute before
	then  [2]uint64 // see stolen
	rows  []row
}

// A row is one figure.
type row struct {
	what, result string
	budget       string  // empty: there is none
	used         float64 // the part of the budget that is used; above 1 it is missed
}

func newReport(t *testing.T) *report {
	t.Helper()
	load, _, _ := strings.Cut(readFile(t, "/proc/loadavg"), " ")
	return &report{begun: time.Now(), load: load, then: stolen(t)}
}

func (r *report) add(t *testing.T, w row) {
	t.Helper()
	const absurd = 3
	r.rows = append(r.rows, w)
	t.Log(w)
	if w.used > absurd {
		t.Errorf("%s: %s, the budget is %s", w.what, w.result, w.budget)
	}
}

// durations adds a row about samples of which figure has to be within budget.
func (r *report) durations(t *testing.T, what string, samples []time.Duration, figure func([]time.Duration) time.Duration, budget time.Duration) {
	t.Helper()
	w := row{what: what, result: fmt.Sprintf("median %s, p95 %s, max %s of %d",
		ms(median(samples)), ms(quantile(samples, 0.95)), ms(quantile(samples, 1)), len(samples))}
	if budget > 0 {
		w.budget, w.used = ms(budget), figure(samples).Seconds()/budget.Seconds()
	}
	r.add(t, w)
}

// size adds a row about bytes that have to be within budget, all together.
func (r *report) size(t *testing.T, what string, budget uint64, parts ...uint64) {
	t.Helper()
	var n uint64
	var each []string
	for _, part := range parts {
		n += part
		each = append(each, fmt.Sprintf("%.1f", float64(part)/1e6))
	}
	w := row{what: what, result: fmt.Sprintf("%.1f MB", float64(n)/1e6)}
	if len(parts) > 1 {
		w.result += " = " + strings.Join(each, " + ")
	}
	if budget > 0 {
		w.budget, w.used = fmt.Sprintf("%d MB", budget/1e6), float64(n)/float64(budget)
	}
	r.add(t, w)
}

// ratios adds a row about the ratio of pairs, of which more is better. The
// budget is met if the median may be as high as that.
func (r *report) ratios(t *testing.T, what, detail string, ratios []float64, budget float64) {
	t.Helper()
	low, high := medianInterval(ratios)
	w := row{what: what, result: fmt.Sprintf("**%.3f** [%.3f, %.3f] of %d pairs; %s", median(ratios), low, high, len(ratios), detail)}
	if budget > 0 {
		w.budget, w.used = fmt.Sprint(budget), budget/high
	}
	r.add(t, w)
}

func (w row) verdict() string {
	switch {
	case w.budget == "":
		return "–"
	case w.used > 1:
		return "OVER BUDGET"
	default:
		return "PASS"
	}
}

// String returns the row as one of a Markdown table.
func (w row) String() string {
	budget := w.budget
	if budget == "" {
		budget = "–"
	}
	return fmt.Sprintf("| %s | %s | %s | %s |", w.what, w.result, budget, w.verdict())
}

// String returns the report in Markdown.
func (r *report) String() string {
	var b strings.Builder
	now := stolen(nil)
	fmt.Fprintf(&b, "%s, %d shared cores (%s), %s, load average %s before the start, %.1f %% of the processors stolen by neighbors meanwhile, %s in all.\n\n",
		r.begun.UTC().Format("2006-01-02 15:04 UTC"), runtime.NumCPU(), processor(), runtime.Version(), r.load,
		100*float64(now[0]-r.then[0])/float64(max(1, now[1]-r.then[1])), time.Since(r.begun).Round(time.Second))
	fmt.Fprintln(&b, "| what | measured | budget | |\n|---|---|---|---|")
	for _, w := range r.rows {
		fmt.Fprintln(&b, w)
	}
	return b.String()
}

// writeDown puts the report in the place of the one in the document.
func writeDown(t *testing.T, text string) {
	t.Helper()
	const begin, end = "<!-- figures -->\n", "<!-- end of figures -->"
	document := readFile(t, benchmarks)
	before, rest, found := strings.Cut(document, begin)
	_, after, found2 := strings.Cut(rest, end)
	if !found || !found2 {
		t.Fatalf("%s has no place for the figures, between %q and %q", benchmarks, begin, end)
	}
	if err := os.WriteFile(benchmarks, []byte(before+begin+text+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

func ms(d time.Duration) string { return fmt.Sprintf("%.4g ms", float64(d)/float64(time.Millisecond)) }

var modelName = regexp.MustCompile(`(?m)^model name\s*: (.*)$`)

func processor() string {
	b, _ := os.ReadFile("/proc/cpuinfo")
	if m := modelName.FindSubmatch(b); m != nil {
		return string(m[1])
	}
	return runtime.GOARCH
}

// stolen returns for how long, in ticks over all processors, the hypervisor
// has run somebody else, and how long there is in all.
func stolen(t *testing.T) (ticks [2]uint64) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		if t != nil {
			t.Fatal(err)
		}
		return ticks
	}
	line, _, _ := strings.Cut(string(b), "\n")
	const steal = 8 // cpu user nice system idle iowait irq softirq steal …
	for k, text := range strings.Fields(line)[1:] {
		n, _ := strconv.ParseUint(text, 10, 64)
		if k+1 == steal {
			ticks[0] = n
		}
		if k < steal { // what follows is contained in these
			ticks[1] += n
		}
	}
	return ticks
}
