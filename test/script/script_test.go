// Package script is the manual of the command line: every .txtar file in this
// folder is a session that is played against the real program, in processes
// of the test binary, each with a home of its own. A file is named after what
// it explains.
//
// Run one with: go test ./test/script -run TestScripts/users
// After a change that was meant: go test ./test/script -update
package script

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"vpn/internal/cli"
)

var update = flag.Bool("update", false, "rewrite the expected output in the scripts")

// Scripts wait more than they compute: for locks, for daemons, for people.
const atOnce = "4"

func TestMain(m *testing.M) {
	_ = flag.Set("test.parallel", atOnce) // -parallel rules over it
	if os.Getenv("GORACE") == "" {
		// A program with the race detector waits a second before it ends, for
		// reports that are being written. There are hundreds of programs here.
		_ = os.Setenv("GORACE", "atexit_sleep_ms=10")
	}
	testscript.Main(m, map[string]func(){"vpn": vpnMain, "leader": leaderMain})
}

// vpnMain is main of cmd/vpn.
func vpnMain() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(cli.Main(ctx, os.Args[1:], cli.OS()))
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 ".",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               setUp,
		Condition:           condition,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":     exits,
			"as":        as,
			"normalize": normalize,
			"request":   request,
			"await":     await,
			"shared":    shared,
			"owned":     owned,
			"booted":    booted,
			"guarded":   guarded,
			"freeport":  freeport,
			"hold":      hold,
			"newer":     newer,
			"fill":      fill,
			"freeze":    freeze,
			"thaw":      thaw,
			"terminal":  terminal,
			"interrupt": interrupt,
		},
	})
}

// setUp gives each script an empty home and names that no script can write
// down otherwise.
func setUp(env *testscript.Env) error {
	home := filepath.Join(env.WorkDir, "home")
	data := filepath.Join(env.WorkDir, "data")
	for k, v := range map[string]string{
		"HOME": home, "VPN_DATA_DIR": data, "NL": "\n", "ESC": "\x1b", "TAB": "\t", "CR": "\r", "NO_COLOR": "1",
	} {
		env.Setenv(k, v)
	}
	env.Defer(func() {
		stopServers(data)
		links, _ := filepath.Glob(filepath.Join(env.WorkDir, "*", "run"))
		for _, link := range links {
			if run, err := os.Readlink(link); err == nil {
				_ = os.RemoveAll(run) // on a file system that the test's end does not empty
			}
		}
	})
	return os.Mkdir(home, 0o700)
}

// stopServers ends the workers that a script left, if it failed half-way.
func stopServers(dataDir string) {
	vpn := func(args ...string) []byte {
		cmd := exec.Command("/proc/self/exe", args...)
		cmd.Args[0] = "vpn"
		cmd.Env = append(os.Environ(), "VPN_DATA_DIR="+dataDir)
		out, _ := cmd.Output() // most scripts leave nothing, some not even a store
		return out
	}
	if _, err := os.Stat(filepath.Join(dataDir, "vpn.db")); err != nil {
		return
	}
	for name := range strings.FieldsSeq(string(vpn("server", "list", "-q"))) {
		vpn("server", "stop", name, "--yes")
	}
}

// condition knows [root]. Where everything has to be tested, its absence is an
// error and no reason to skip.
func condition(name string) (bool, error) {
	if name != "root" {
		return false, fmt.Errorf("unknown condition %q", name)
	}
	if os.Geteuid() != 0 && os.Getenv("CI") != "" {
		return false, errors.New("this has to run as root")
	}
	return os.Geteuid() == 0, nil
}

// exits runs a command that must end with one status:
//
//	exits 3 vpn users show nobody
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits STATUS COMMAND [ARGS]")
	}
	status := "0"
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		e, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		status = itoa(e.ExitCode())
	}
	if status != args[0] {
		ts.Fatalf("the exit status is %s, not %s", status, args[0])
	}
}
