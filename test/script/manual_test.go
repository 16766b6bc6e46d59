package script

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"vpn/internal/cli"
)

var commandLine = regexp.MustCompile(`(?m)^  ([a-z]+) {2,}`)

// commandsBelow returns all commands that the program's help leads to.
func commandsBelow(t *testing.T, path ...string) (out []string) {
	t.Helper()
	var text bytes.Buffer
	status := cli.Main(context.Background(), append(slices.Clone(path), "--help"), cli.IO{
		In: strings.NewReader(""), Out: &text, Err: io.Discard, Getenv: func(string) string { return "" }, Now: time.Now,
	})
	if status != 0 {
		t.Fatalf("vpn %v --help: status %d", path, status)
	}
	_, list, group := strings.Cut(text.String(), "\nCommands:\n")
	if !group {
		return []string{strings.Join(path, " ")}
	}
	list, _, _ = strings.Cut(list, "\n\n")
	for _, m := range commandLine.FindAllStringSubmatch(list, -1) {
		out = append(out, commandsBelow(t, append(slices.Clone(path), m[1])...)...)
	}
	return out
}

// The scripts are the manual: every command that there is and every exit
// status is in one of them.
func TestTheManualIsWhole(t *testing.T) {
	files, err := filepath.Glob("*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	var manual strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		manual.Write(text)
	}
	has := func(pattern string) bool { return regexp.MustCompile(`(?m)^.*` + pattern).MatchString(manual.String()) }
	commands := commandsBelow(t)
	if len(commands) < 50 {
		t.Errorf("help leads to only %d commands: %q", len(commands), commands)
	}
	for _, command := range commands {
		if !has(`\bvpn ` + command + `\b`) {
			t.Errorf("no script runs vpn %s", command)
		}
	}
	for _, status := range []string{"0", "1", "2", "3", "4", "5", "6", "7", "130"} {
		if !has(`\b(exits|interrupt) ` + status + ` `) {
			t.Errorf("no script has a command that exits with %s", status)
		}
	}
}
