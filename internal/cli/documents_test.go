package cli

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

var (
	spans = regexp.MustCompile("`[^`\n]+`")
	typed = regexp.MustCompile(`(?:^|[ (|;&'"])(?:bin/)?vpn( [^|;&>)'",]+)`)
	aWord = regexp.MustCompile(`^[a-z][a-z-]*$`)
	aFlag = regexp.MustCompile(`^--?[a-z][a-z0-9-]*`)
)

// Whatever command a document, an example in a help text, an error or a hint
// names, there is, with its flags, wherever it stands. (What stands in a guide's blocks is run too, by
// TestGuide of test/e2e, and README's tour by TestReadmeTour.)
func TestDocumentsNameCommandsThatExist(t *testing.T) {
	root := rootCommand(newRunner().program())
	found := 0
	look := func(where, text string) {
		if strings.Contains(text, "journalctl") {
			return // of the unit of that name
		}
		for _, m := range typed.FindAllStringSubmatch(text, -1) {
			found++
			if err := names(root, strings.Fields(m[1])); err != nil {
				t.Errorf("%s: vpn%s: %v", where, m[1], err)
			}
		}
	}
	for path, text := range documents(t) {
		for k, line := range strings.Split(text, "\n") {
			where := fmt.Sprintf("%s:%d", path, k+1)
			for _, span := range spans.FindAllString(line, -1) {
				look(where, strings.Trim(span, "`"))
			}
			if strings.HasPrefix(line, "$ ") || strings.HasPrefix(line, "vpn ") {
				look(where, line)
			}
		}
	}
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		for line := range strings.Lines(cmd.Example) {
			line, _, _ = strings.Cut(strings.TrimSpace(line), "   ") // what it does
			look("an example of "+cmd.CommandPath(), line)
		}
		for _, c := range cmd.Commands() {
			walk(c)
		}
	}
	walk(root)
	for where, text := range sayings(t) {
		for line := range strings.Lines(text) {
			line, _, _ = strings.Cut(line, "   ")
			m := typed.FindStringSubmatch(line)
			if m != nil && names(root, strings.Fields(m[1])[:1]) == nil { // and no prose about vpn
				look(where, line)
			}
		}
	}
	if found < 500 {
		t.Errorf("only %d commands were found", found)
	}
	for line, wrong := range map[string]string{
		"users frobnicate alice": "frobnicate", "users create alice --colour red": "--colour", "user add NAME -q": "", "server …": "", "frobnicate": "frobnicate",
		"users list -z": "-z", "monitor": "", "users device add alice phone": "", "users device put": "put",
	} {
		if err := names(root, strings.Fields(line)); (err != nil) != (wrong != "") || err != nil && !strings.Contains(err.Error(), wrong) {
			t.Errorf("vpn %s: %v", line, err)
		}
	}
}

// names returns an error if words, behind vpn, begin with a command or hold
// a flag that there is not. What is no word, such as NAME or …, stands for one.
func names(root *cobra.Command, words []string) error {
	cmd := root
	for _, word := range words {
		switch {
		case strings.HasPrefix(word, "#"):
			return nil
		case aFlag.MatchString(word):
			name := aFlag.FindString(word)
			known := cmd.Flag(strings.TrimLeft(name, "-")) != nil || name == "--help"
			if len(name) == 2 {
				known = name == "-h" || cmd.Flags().ShorthandLookup(name[1:]) != nil || cmd.InheritedFlags().ShorthandLookup(name[1:]) != nil
			}
			if !known {
				return fmt.Errorf("there is no flag %s", name)
			}
		case cmd.HasSubCommands() && word == "help":
		case cmd.HasSubCommands() && aWord.MatchString(word):
			k := slices.IndexFunc(cmd.Commands(), func(c *cobra.Command) bool { return c.Name() == word || c.HasAlias(word) })
			if k < 0 {
				return fmt.Errorf("there is no command %s", word)
			}
			cmd = cmd.Commands()[k]
		case cmd.HasSubCommands():
			return nil // NAME or …: what follows may be anything
		}
	}
	return nil
}

// documents returns the texts of all documents by their paths, but for
// decisions, which tell of what was.
func documents(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && slices.Contains([]string{".git", ".cache", "adr", "testdata", "bin"}, d.Name()):
			return fs.SkipDir
		case filepath.Ext(path) != ".md":
			return nil
		}
		text, err := os.ReadFile(path)
		out[path] = string(text)
		return err
	})
	if err != nil || len(out) < 10 {
		t.Fatal(len(out), err)
	}
	return out
}

// sayings returns the texts in the product's code by where they stand.
func sayings(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir("..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return err
		}
		files := token.NewFileSet()
		f, err := parser.ParseFile(files, path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				text, _ := strconv.Unquote(lit.Value)
				out[files.Position(lit.Pos()).String()] = text
			}
			return true
		})
		return nil
	})
	if err != nil || len(out) == 0 {
		t.Fatal(len(out), err)
	}
	return out
}
