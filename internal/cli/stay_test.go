package cli

import (
	"runtime"
	"testing"
	"weak"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// TestStayingHoldsNoCommands: a daemon and a worker live for months; what they
// do begins when nothing holds the commands and their flags any more.
func TestStayingHoldsNoCommands(t *testing.T) {
	for _, args := range [][]string{{"serve"}, {"--quiet", "serve"}} {
		p := newRunner().program()
		var root weak.Pointer[cobra.Command]
		p.Getenv = func(string) string { // is asked while the command is prepared
			for cmd := range p.shapes {
				root = weak.Make(cmd.Root())
			}
			return ""
		}
		if err := execute(t.Context(), p, args); err != nil {
			t.Fatal(err)
		}
		if root == (weak.Pointer[cobra.Command]{}) {
			t.Fatalf("%q: no command was prepared", args)
		}
		if p.stay == nil {
			t.Fatalf("%q does not stay", args)
		}
		for range 3 { // what a finalizer holds goes one later
			runtime.GC()
		}
		if root.Value() != nil {
			t.Errorf("%q: its commands are still held when it begins to serve", args)
		}
		runtime.KeepAlive(p)
	}
}

// TestCommandsThatStandAlone: a command whose siblings are left out is the same
// as among them.
func TestCommandsThatStandAlone(t *testing.T) {
	for _, name := range []string{"serve", "worker"} {
		alone := commandsFor(newRunner().program(), []string{name})
		if n := len(alone.Commands()); n > 3 {
			t.Errorf("%s has %d commands beside it", name, n-1)
		}
		if diff := cmp.Diff(traits(t, rootCommand(newRunner().program()), name), traits(t, alone, name)); diff != "" {
			t.Errorf("%s alone is not what it is among all (-among all +alone):\n%s", name, diff)
		}
	}
}

// traits returns all that a person or mayNameSocket sees of a command.
func traits(t *testing.T, root *cobra.Command, name string) map[string]string {
	t.Helper()
	cmd, _, err := root.Find([]string{name})
	if err != nil {
		t.Fatal(err)
	}
	cmd.InitDefaultHelpFlag()
	out := map[string]string{"path": cmd.CommandPath(), "help": cmd.Long, "example": cmd.Example, "here": cmd.Annotations[hereOnly]}
	for _, fs := range []*pflag.FlagSet{cmd.LocalFlags(), cmd.InheritedFlags()} {
		fs.VisitAll(func(f *pflag.Flag) { out["--"+f.Name] = f.Shorthand + " " + f.DefValue + " " + f.Usage })
	}
	return out
}
