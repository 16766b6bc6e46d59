// Package cli is the command line: flags in, one call to the API, text out.
// There is one file per command, named like it. It knows the product through
// package client, decides nothing about users and servers, and holds no state
// between runs: [Main] may be called many times in one process.
//
// Data goes to standard output and messages to standard error. Nothing is
// asked of the terminal, no command waits for an answer that nobody can give,
// and the exit status says what sort of failure it was.
package cli

import (
	"context"
	"io"
	"os"
	"reflect"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"vpn/internal/config"
)

// IO is what the command line touches of the process around it.
type IO struct {
	In       io.Reader
	Out, Err io.Writer
	Getenv   func(string) string
	Now      func() time.Time

	// A stream that is a terminal has a person at its other end.
	InTerminal, OutTerminal, ErrTerminal bool
	Width                                int // of the terminal at Out, in cells; 0 if not known
}

// OS returns the IO of this process.
func OS() IO {
	isTerminal := func(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }
	width, _, err := term.GetSize(int(os.Stdout.Fd()))
	if err != nil {
		width = 0
	}
	return IO{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Getenv: os.Getenv, Now: time.Now,
		InTerminal: isTerminal(os.Stdin), OutTerminal: isTerminal(os.Stdout), ErrTerminal: isTerminal(os.Stderr),
		Width: width,
	}
}

// Main runs the command that args (without the program's name) ask for and
// returns the exit status. It ends soon after ctx does, with status 130 if the
// command was not done.
func Main(ctx context.Context, args []string, sys IO) int {
	return newProgram(sys).run(ctx, args)
}

// program is one run of the command line: what its commands share.
type program struct {
	IO
	global globalFlags
	loaded *config.Config // once it has been read

	// What a command answers with, and in which form: see answer.go.
	shapes map[*cobra.Command]func(args []string) reflect.Type
	shape  reflect.Type
	picked selection

	doing  string // what progress says
	delay  time.Duration
	busy   *progress
	asking *prompter

	// stay is what the process does for as long as it lives, if that is what the
	// command is for. It begins when all commands and flags, of which it is one,
	// can be given back: they are a fifth of what an idle worker would hold.
	stay func(context.Context) error

	// dial is how commands reach the control plane; tests put a fake here.
	dial func(context.Context, intent) (*connection, error)
}

func newProgram(sys IO) *program {
	p := &program{IO: sys, shapes: map[*cobra.Command]func([]string) reflect.Type{}, delay: progressDelay}
	p.dial = p.connect
	return p
}

func (p *program) run(ctx context.Context, args []string) (status int) {
	defer func() {
		if v := recover(); v != nil {
			status = p.reportPanic(v, debug.Stack())
		}
	}()
	err := execute(ctx, p, args)
	if err == nil && p.stay != nil {
		err = p.stay(ctx)
	}
	p.busy.end()
	return p.report(err)
}

// execute runs the command that args ask for, up to what it stays for.
func execute(ctx context.Context, p *program, args []string) error {
	root := commandsFor(p, args)
	if completing(args) {
		addCompletions(p, root)
	}
	root.SetArgs(append([]string{}, args...)) // nil would mean os.Args to cobra
	defer clear(p.shapes)                     // which hold the commands
	return root.ExecuteContext(ctx)
}
