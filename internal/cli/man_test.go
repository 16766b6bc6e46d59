package cli

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestManPages: each command that help shows has a page, which says what its
// help says.
func TestManPages(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "man")
	if got := newRunner().run(t, "man", dir); got.status != 0 || got.out != "" {
		t.Fatalf("%+v", got)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got, want []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		want = append(want, pageOf(cmd)+".1")
		b, err := os.ReadFile(filepath.Join(dir, pageOf(cmd)+".1"))
		if err != nil {
			t.Error(err)
			return
		}
		page := strings.NewReplacer(`\-`, "-", `\fB`, "", `\fI`, "", `\fR`, "", `\e`, `\`, `\&`, "").Replace(string(b))
		for line := range strings.Lines(cmd.Example) {
			if !strings.Contains(page, strings.TrimSuffix(line, "\n")) {
				t.Errorf("%s: no example %q", pageOf(cmd), line)
			}
		}
		for line := range strings.Lines(string(b)) {
			if strings.HasPrefix(line, "'") || strings.HasPrefix(line, ". ") {
				t.Errorf("%s: %q is taken for a request", pageOf(cmd), line)
			}
		}
		for _, c := range pagesBelow(cmd) {
			walk(c)
		}
	}
	walk(rootCommand(newRunner().program()))
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("pages are %v, want %v", got, want)
	}
	b, err := os.ReadFile(filepath.Join(dir, "vpn-users-create.1"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`.TH "VPN\-USERS\-CREATE" "1" `, `vpn\-users\-create \- Create a user and print its links`,
		"\\fB\\-\\-quota\\fR \\fISIZE\\fR\ntraffic, up and down together", `\fBvpn\-users\fR(1)`, ".SH \"GLOBAL OPTIONS\"",
	} {
		if !strings.Contains(string(b), want) {
			t.Errorf("there is no %q in\n%s", want, b)
		}
	}
}

func TestRoff(t *testing.T) {
	for text, want := range map[string]string{
		"plain": "plain", "a-b": `a\-b`, `a\b`: `a\eb`, ".TH": `\&.TH`, "'quoted'": `\&'quoted'`, "a.b": "a.b",
	} {
		if got := roff(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}
