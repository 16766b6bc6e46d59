package figures

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const table = `2026-11-24 04:38 UTC, 2 shared cores

| what | measured | budget | |
|---|---|---|---|
| the binary | 21.2 MB | 45 MB | PASS |
| a command | median 8.468 ms, p95 10 ms, max 10 ms of 15 | – | – |
| memory | 81.0 MB = 47.0 + 34.1 | – | – |
| speed, ours / bare | **0.990** [0.958, 1.077] of 12 pairs; ours 451, bare 445 MB/s | 0.97 | PASS |
| processor time | ours 1.724 ms, bare 1.629 ms (mean of 200) | – | – |
| processor time, ours | mean 2.351 ms of 200 | – | – |
`

func TestParse(t *testing.T) {
	got, err := Parse(table)
	if err != nil {
		t.Fatal(err)
	}
	want := []Figure{
		{"the binary", 21.2, "MB", false},
		{"a command", 8.468, "ms", false},
		{"memory", 81, "MB", false},
		{"speed, ours / bare", 0.99, "", true},
		{"processor time", 1.724, "ms", false},
		{"processor time, ours", 2.351, "ms", false},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, bad := range []string{
		"| x | fast | – | – |",
		"| x | 12 MiB | – | – |",
		"| x | median 0 ms, p95 0 ms | – | – |",
		"| x | 1 MB | – | – |\n| x | 2 MB | – | – |",
	} {
		if got, err := Parse(bad); err == nil {
			t.Errorf("%q: %v", bad, got)
		}
	}
}

func TestCompare(t *testing.T) {
	recorded, err := Parse(table)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		old, now string
		want     string // a part of the one line; empty: none
	}{
		"the same":             {"", "", ""},
		"slower within noise":  {"median 8.468 ms", "median 9.2 ms", ""},
		"slower":               {"median 8.468 ms", "median 9.4 ms", "a command: 9.4 ms, recorded is 8.468 ms: 11 % worse"},
		"twice as fast":        {"median 8.468 ms", "median 4.2 ms", ""},
		"only the worst run":   {"max 10 ms of 15", "max 900 ms of 15", ""},
		"bigger":               {"21.2 MB |", "23.4 MB |", "the binary: 23.4 MB, recorded is 21.2 MB: 10 % worse"},
		"ratio within noise":   {"**0.990**", "**0.900**", ""},
		"ratio, lower":         {"**0.990**", "**0.880**", "speed, ours / bare: 0.88, recorded is 0.99: 11 % worse"},
		"ratio, higher":        {"**0.990**", "**1.400**", ""},
		"processor time":       {"ours 1.724 ms", "ours 2.4 ms", "processor time: 2.4 ms, recorded is 1.724 ms: 39 % worse"},
		"a new row":            {"| memory |", "| memory now |", "memory now: 81 MB, nothing is recorded"},
		"a row in other units": {"81.0 MB =", "median 81 ms,", "memory: 81 ms cannot be compared with the recorded 81 MB"},
	} {
		text := table
		if c.old != "" {
			text = strings.Replace(table, c.old, c.now, 1)
			if text == table {
				t.Fatalf("%s: %q is not in the table", name, c.old)
			}
		}
		measured, err := Parse(text)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		switch got := Compare(recorded, measured, 0.1); {
		case c.want == "" && len(got) > 0:
			t.Errorf("%s: %q", name, got)
		case c.want != "" && (len(got) != 1 || got[0] != c.want):
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	if got := Compare(recorded, recorded[1:2], 0.1); len(got) > 0 {
		t.Errorf("a part alone: %q", got)
	}
}

// What is written down today can be compared with.
func TestTheRecordCanBeRead(t *testing.T) {
	text, err := os.ReadFile("../../docs/benchmarks.md")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Parse(string(text)); err != nil || len(got) < 20 {
		t.Errorf("%d figures, %v", len(got), err)
	}
}
