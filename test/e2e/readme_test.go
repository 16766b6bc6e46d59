//go:build linux && e2e

package e2e

import (
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"vpn/test/e2e/rig"
)

// What README.md tells a newcomer to type, it also does.

func TestReadmeNamesTheTwoCommandsFirst(t *testing.T) {
	readme := readFile(t, "../../README.md")
	makefile := readFile(t, "../../Makefile")
	lines := strings.Split(readme, "\n")
	for i, want := range []string{"make up", "make test"} {
		if got := strings.TrimSpace(lines[2+i]); !strings.HasPrefix(got, want) {
			t.Errorf("line %d of README.md is %q, want %q", 3+i, got, want)
		}
		target := strings.TrimPrefix(want, "make ")
		if !strings.Contains(makefile, "\n"+target+":") {
			t.Errorf("the Makefile has no target %s", target)
		}
	}
}

// Whatever make is told to make in a document exists, and is explained by
// make help.
func TestDocumentsNameTargetsThatExist(t *testing.T) {
	makefile := readFile(t, "../../Makefile")
	for _, document := range []string{"README.md", "CONTRIBUTING.md", "docs/benchmarks.md", "docs/ARCHITECTURE.md", "docs/third-party.md"} {
		for _, m := range regexp.MustCompile("(?m)(?:`|^ *)make ([a-z0-9-]+)").FindAllStringSubmatch(readFile(t, "../../"+document), -1) {
			if !regexp.MustCompile(`(?m)^` + m[1] + `:.*## .`).MatchString(makefile) {
				t.Errorf("%s says make %s, which make help does not know", document, m[1])
			}
		}
	}
}

// The tour, command by command, beside a "vpn up" as the README says.
func TestReadmeTour(t *testing.T) {
	t.Parallel()
	i := rig.NewWorld(t).Instance(t)
	up := i.Launch("up", "--target", "self")
	rig.Until(t, 20*time.Second, func() error { _, err := i.Status(); return err })
	rig.Until(t, 20*time.Second, func() error { return printed(up, "vless://") })
	for _, args := range tour(t) {
		if r := i.Run(args...); r.Status != 0 {
			t.Errorf("vpn %s: exit %d\n%s", strings.Join(args, " "), r.Status, r.Err)
		}
	}
	if status := up.Stop(t); status != 0 {
		t.Errorf("vpn up ends with %d after a signal", status)
	}
	if left := i.Workers(); len(left) > 0 {
		t.Errorf("workers %v outlive vpn up", left)
	}
}

func printed(p *rig.Process, what string) error {
	if strings.Contains(p.Output(), what) {
		return nil
	}
	return errNotYet
}

// tour returns the commands of the README's console blocks.
func tour(t *testing.T) [][]string {
	t.Helper()
	var out [][]string
	for _, block := range regexp.MustCompile("(?s)```console\n(.*?)```").FindAllStringSubmatch(readFile(t, "../../README.md"), -1) {
		for line := range strings.Lines(block[1]) {
			cmd, ok := strings.CutPrefix(strings.TrimSpace(line), "$ vpn ")
			if !ok {
				t.Fatalf("README.md's tour has what is not run: %q", line)
			}
			out = append(out, strings.Fields(cmd))
		}
	}
	if len(out) < 5 {
		t.Fatalf("README.md has a tour of only %d commands", len(out))
	}
	return out
}

var errNotYet = errors.New("not yet")

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
