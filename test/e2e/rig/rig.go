//go:build linux

// Package rig is the little internet in which the product is tested from end
// to end: three hosts as network namespaces, the real binary, real client
// programs, a site for Reality to hide behind and a server to move bytes to.
//
//	client 203.0.113.10-14 ── 203.0.113.1 server 203.0.113.129 ── 203.0.113.130 outside
//
// A client reaches the outside through the product only. The addresses are
// public by the egress guard's lights, so it stays on.
//
// The package knows the product by its command line, its API and its links,
// like any user. It imports the vocabulary to read the answers, and nothing
// else of it. Everything it starts ends with the test.
package rig

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// Names of environment variables that choose what is tested.
const (
	envBinary = "VPN_E2E_BINARY"   // a vpn binary to test instead of building one
	envRace   = "VPN_E2E_RACE"     // build it with the race detector; "static": as containers need it
	envCover  = "VPN_E2E_COVERDIR" // build it to write coverage there

	envPrograms = "VPN_E2E_PROGRAMS" // not chosen: where those are that tests build
)

// atOnce is how many tests run side by side, on however few processors: they
// wait more than they compute. Those that measure time run alone.
const atOnce = "4"

// Main runs m with a fresh build of the product, and returns the exit status.
// It belongs into TestMain.
func Main(m *testing.M) int {
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "e2e: network namespaces need root")
		if os.Getenv("CI") != "" {
			return 1
		}
		fmt.Fprintln(os.Stderr, "e2e: SKIPPED, nothing was tested")
		return 0
	}
	_ = flag.Set("test.parallel", atOnce) // -parallel rules over it
	dir, err := os.MkdirTemp("", "vpn-e2e-bin-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	_ = os.Setenv(envPrograms, dir)
	if os.Getenv(envBinary) == "" {
		bin := filepath.Join(dir, "vpn")
		if err := build(bin); err != nil {
			fmt.Fprintln(os.Stderr, "e2e:", err)
			return 1
		}
		_ = os.Setenv(envBinary, bin)
	}
	return m.Run()
}

// build compiles the product as users get it, or instrumented if asked.
func build(bin string) error {
	args := []string{"build", "-trimpath", "-o", bin}
	env := append(os.Environ(), "CGO_ENABLED=0")
	switch {
	case os.Getenv(envRace) != "":
		// As in the Makefile.
		args = append(args, "-race", "-gcflags=github.com/xtls/xray-core/...=-d=checkptr=0", "-gcflags=modernc.org/sqlite/lib=-race=false")
		env = append(env, "CGO_ENABLED=1")
		if os.Getenv(envRace) == "static" {
			args = append(args, "-ldflags=-linkmode external -extldflags -static", "-tags=netgo,osusergo")
		}
	case os.Getenv(envCover) != "":
		args = append(args, "-cover", "-coverpkg=./cmd/...,./internal/...")
	default:
		args = append(args, "-ldflags=-s -w")
	}
	cmd := exec.Command("go", append(args, "./cmd/vpn")...)
	root, err := repository()
	if err != nil {
		return err
	}
	cmd.Dir, cmd.Env = root, env
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the product: %w\n%s", err, out)
	}
	return nil
}

// Slow reports that the binary has the race detector, so that its times and
// its memory say nothing. Counting coverage costs little: what is promised
// holds with it, too.
func Slow() bool { return os.Getenv(envRace) != "" }

// Instrumented reports that the binary is not the one that users get.
func Instrumented() bool { return Slow() || os.Getenv(envCover) != "" }

// repository returns the root of the source tree.
func repository() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; dir != "/"; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
	}
	return "", errors.New("find go.mod above the working directory")
}

// CacheFile returns the path of name in the repository's cache, such as
// bin/xray; the Makefile fills it.
func CacheFile(t testing.TB, name string) string {
	t.Helper()
	root, err := repository()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(root, ".cache", name)
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v\nhint: make fixtures", err)
	}
	return path
}

// Until polls check until it returns nil, and fails the test with its last
// error if that takes longer than timeout. It returns how long it took.
func Until(t testing.TB, timeout time.Duration, check func() error) time.Duration {
	t.Helper()
	start := time.Now()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check()
		took := time.Since(start)
		if err == nil {
			return took
		}
		if took > timeout {
			t.Fatalf("after %v: %v", took.Round(time.Millisecond), err)
		}
		<-tick.C
	}
}

// Throughout polls check for d and fails the test at its first error.
func Throughout(t testing.TB, d time.Duration, check func() error) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for start := time.Now(); time.Since(start) < d; <-tick.C {
		if err := check(); err != nil {
			t.Fatalf("after %v: %v", time.Since(start).Round(time.Millisecond), err)
		}
	}
}
