// Package figures reads the table of docs/benchmarks.md back, so that a run
// can be compared with the one that was written down. It measures nothing and
// judges no budget.
package figures

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A Figure is what one row of the table comes down to: a median where there
// are several samples, since one slow run of a noisy machine does not move it.
type Figure struct {
	What   string
	Value  float64
	Unit   string // "ms", "MB", or "" for a ratio
	Higher bool   // more is better
}

// forms are the ways in which a row gives its result. The first number is the
// one that counts.
var forms = []struct {
	pattern *regexp.Regexp
	unit    string
	higher  bool
}{
	{regexp.MustCompile(`^\*\*([0-9.]+)\*\* \[`), "", true}, // a ratio, made so that more is better
	{regexp.MustCompile(`^median ([0-9.e+]+) ms\b`), "ms", false},
	{regexp.MustCompile(`^mean ([0-9.e+]+) ms\b`), "ms", false},
	{regexp.MustCompile(`^ours ([0-9.e+]+) ms\b`), "ms", false},
	{regexp.MustCompile(`^([0-9.]+) MB\b`), "MB", false},
	{regexp.MustCompile(`^([0-9.]+) KB\b`), "KB", false},
}

// Parse returns the figures of the rows of a Markdown table, in order. A row
// that it cannot read is an error: a figure nobody compares is none.
func Parse(markdown string) ([]Figure, error) {
	var figures []Figure
	for line := range strings.Lines(markdown) {
		cells := strings.Split(strings.TrimSpace(line), " | ")
		if len(cells) != 4 || !strings.HasPrefix(cells[0], "| ") || cells[0] == "| what" {
			continue
		}
		f := Figure{What: strings.TrimPrefix(cells[0], "| ")}
		if !f.read(cells[1]) {
			return nil, fmt.Errorf("the row %q has a result that cannot be compared: %q", f.What, cells[1])
		}
		if slices.ContainsFunc(figures, func(other Figure) bool { return other.What == f.What }) {
			return nil, fmt.Errorf("the row %q stands there twice", f.What)
		}
		figures = append(figures, f)
	}
	return figures, nil
}

func (f *Figure) read(result string) bool {
	for _, form := range forms {
		if m := form.pattern.FindStringSubmatch(result); m != nil {
			v, err := strconv.ParseFloat(m[1], 64)
			f.Value, f.Unit, f.Higher = v, form.unit, form.higher
			return err == nil && v > 0
		}
	}
	return false
}

// String returns the value with its unit.
func (f Figure) String() string {
	return strings.TrimSpace(strconv.FormatFloat(f.Value, 'g', 4, 64) + " " + f.Unit)
}

// Compare returns a line for each figure that is worse than the one that was
// recorded by more than the part tolerance (0.1 is 10 %), and for each that
// was not recorded, or has another unit there. What was recorded and is not
// measured is no news: one part of the table can be measured alone.
func Compare(recorded, measured []Figure, tolerance float64) []string {
	var lines []string
	for _, now := range measured {
		k := slices.IndexFunc(recorded, func(f Figure) bool { return f.What == now.What })
		switch {
		case k < 0:
			lines = append(lines, fmt.Sprintf("%s: %s, nothing is recorded", now.What, now))
		case recorded[k].Unit != now.Unit || recorded[k].Higher != now.Higher:
			lines = append(lines, fmt.Sprintf("%s: %s cannot be compared with the recorded %s", now.What, now, recorded[k]))
		default:
			if loss := now.loss(recorded[k]); loss > tolerance {
				lines = append(lines, fmt.Sprintf("%s: %s, recorded is %s: %.0f %% worse", now.What, now, recorded[k], 100*loss))
			}
		}
	}
	return lines
}

// loss returns by what part of then f is worse; negative: better.
func (f Figure) loss(then Figure) float64 {
	if f.Higher {
		return 1 - f.Value/then.Value
	}
	return f.Value/then.Value - 1
}
