// Summary reads what "go test -json" prints, shows each test as it ends and
// what a failed one has said, and closes with what came of all of them. Its
// status is 0 if something was tested and nothing failed.
//
//	go test -json ./test/e2e | go run ./test/summary
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
)

func main() {
	if err := summarize(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "summary:", err)
		os.Exit(1)
	}
}

// event is what test2json calls TestEvent, as far as it is looked at.
type event struct {
	Action, Package, Test, Output string
	Elapsed                       float64 // seconds
}

// slowest is how many of the slowest tests are named.
const slowest = 25

// race is how the race detector begins a report.
const race = "WARNING: DATA RACE"

// summarize copies events that somebody should see. Subtests count as a part
// of their test.
func summarize(in io.Reader, out io.Writer) error {
	var (
		took          = map[string]float64{}
		said          = map[string]*strings.Builder{}
		ended         = map[string][]string{} // tests, by how
		races         int
		packages, bad []string
	)
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil { // of the build, which prints what it likes
			fmt.Fprintln(out, lines.Text())
			continue
		}
		top, _, sub := strings.Cut(e.Test, "/")
		switch e.Action {
		case "output", "build-output":
			races += strings.Count(e.Output, race)
			switch {
			case top == "":
				if e.Output != "PASS\n" {
					fmt.Fprint(out, e.Output)
				}
			case !strings.HasPrefix(e.Output, "=== "):
				if said[top] == nil {
					said[top] = &strings.Builder{}
				}
				said[top].WriteString(e.Output)
			}
		case "pass", "skip", "fail":
			if top == "" {
				packages = append(packages, e.Package)
				if e.Action == "fail" {
					bad = append(bad, e.Package)
				}
				continue
			}
			took[top] = max(took[top], e.Elapsed) // of parts that run side by side it has the time before them
			if sub {
				continue
			}
			if e.Action == "fail" {
				if said[top] != nil {
					fmt.Fprint(out, said[top])
				}
			} else {
				fmt.Fprintf(out, "%s %s %.1f s\n", e.Action, top, took[top])
			}
			ended[e.Action] = append(ended[e.Action], top)
			delete(said, top)
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	for _, test := range slices.Sorted(maps.Keys(said)) { // which never ended
		fmt.Fprint(out, said[test])
	}
	names := slices.SortedFunc(maps.Keys(took), func(a, b string) int {
		return cmp.Or(cmp.Compare(took[b], took[a]), cmp.Compare(a, b))
	})
	fmt.Fprintln(out, "the slowest tests:")
	for _, name := range names[:min(slowest, len(names))] {
		fmt.Fprintf(out, "%7.1f s  %s\n", took[name], name)
	}
	for _, how := range []string{"skip", "fail"} {
		if len(ended[how]) > 0 {
			fmt.Fprintf(out, "%s: %s\n", how, strings.Join(ended[how], " "))
		}
	}
	fmt.Fprintf(out, "%d tests: %d passed, %d skipped, %d failed; %d reports of races\n",
		len(ended["pass"])+len(ended["skip"])+len(ended["fail"]), len(ended["pass"]), len(ended["skip"]), len(ended["fail"]), races)
	switch {
	case len(bad) > 0:
		return fmt.Errorf("failed: %s", strings.Join(bad, " "))
	case len(packages) == 0 || len(took) == 0:
		return errors.New("nothing was tested")
	case len(said) > 0:
		return fmt.Errorf("never ended: %s", strings.Join(slices.Sorted(maps.Keys(said)), " "))
	}
	return nil
}
