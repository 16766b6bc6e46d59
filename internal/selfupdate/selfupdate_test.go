package selfupdate

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vpn/internal/vpn"
)

// TestMain makes the test binary a version of itself.
func TestMain(m *testing.M) {
	if len(os.Args) < 2 || os.Args[0] != "vpn" {
		os.Exit(m.Run())
	}
	switch os.Args[1] {
	case "version":
		if os.Getenv("VPN_TEST_BROKEN") != "" {
			os.Exit(1)
		}
		fmt.Println(`{"version":"7.7.7"}`)
	case "silent":
	case "endless":
		fmt.Print(strings.Repeat("x", 1<<20))
		<-time.After(time.Hour)
	case "private":
		for _, name := range private {
			if os.Getenv(name) != "" {
				fmt.Fprintln(os.Stderr, "vpn: it was given "+name)
				os.Exit(1)
			}
		}
	default:
		fmt.Fprintln(os.Stderr, "warning: something")
		fmt.Fprintln(os.Stderr, "vpn: the store is newer")
		fmt.Fprintln(os.Stderr, "hint: use the newer program")
		os.Exit(6)
	}
}

// self returns a copy of this program, changed by edit.
func self(t *testing.T, edit func([]byte) []byte) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(exe)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "vpn")
	if err := os.WriteFile(path, edit(b), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func asIs(b []byte) []byte { return b }

func TestInspect(t *testing.T) {
	if v, err := Inspect(t.Context(), self(t, asIs)); err != nil || v != "7.7.7" {
		t.Errorf("got %q, %v", v, err)
	}
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	golang, err := exec.LookPath("go")
	must(t, err)
	other := "arm64"
	if runtime.GOARCH == other {
		other = "amd64"
	}
	for name, c := range map[string]struct {
		file string
		kind vpn.Kind
		says string
	}{
		"nothing":             {filepath.Join(t.TempDir(), "x"), vpn.NotFound, "there is no file"},
		"a directory":         {t.TempDir(), vpn.Invalid, "is not a file"},
		"a script":            {text, vpn.Invalid, "not a program of this product"},
		"a Go program":        {golang, vpn.Invalid, "is another program: cmd/go"},
		"for another machine": {self(t, machine(other)), vpn.Invalid, "is built for " + other},
		"its first half":      {self(t, func(b []byte) []byte { return b[:len(b)/2] }), vpn.Invalid, ""},
	} {
		v, err := Inspect(t.Context(), c.file)
		if vpn.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %q, %v", name, v, err)
		}
	}
}

func TestInspectOneThatDoesNotRun(t *testing.T) {
	t.Setenv("VPN_TEST_BROKEN", "1")
	if _, err := Inspect(t.Context(), self(t, asIs)); vpn.KindOf(err) != vpn.Invalid || !strings.Contains(err.Error(), "does not run: exit status 1") {
		t.Errorf("got %v", err)
	}
}

// machine changes what a program says it was built for.
func machine(arch string) func([]byte) []byte {
	return func(b []byte) []byte {
		return bytes.ReplaceAll(b, []byte("build\tGOARCH="+runtime.GOARCH+"\n"), []byte("build\tGOARCH="+arch+"\n"))
	}
}

func TestCheck(t *testing.T) {
	file := self(t, asIs)
	if err := Check(t.Context(), file, []string{"silent"}); err != nil {
		t.Error(err)
	}
	err := Check(t.Context(), file, []string{"serve", "--check"})
	e, ok := errors.AsType[*vpn.Error](err)
	if !ok || e.Kind != vpn.Conflict || !strings.HasSuffix(e.Message, "cannot take over: the store is newer") || e.Hint != "use the newer program" {
		t.Errorf("a refusal: %v", err)
	}
	for _, name := range private {
		t.Setenv(name, "x")
	}
	if err := Check(t.Context(), file, []string{"private"}); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := Check(ctx, file, []string{"endless"}); err == nil || !strings.Contains(err.Error(), "does not answer in time") {
		t.Errorf("one that does not end: %v", err)
	}
}

// installed makes an installed program and returns its name.
func installed(t *testing.T, content string) string {
	t.Helper()
	target := filepath.Join(t.TempDir(), "vpn")
	if err := os.WriteFile(target, []byte(content), 0o750); err != nil {
		t.Fatal(err)
	}
	return target
}

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestReplace(t *testing.T) {
	next := self(t, asIs)
	must(t, os.Chmod(next, 0o600)) // as a download is
	target := installed(t, "one")
	link := filepath.Join(t.TempDir(), "link")
	must(t, os.Symlink(target, link))

	c, err := Stage(next, link)
	must(t, err)
	if v, err := c.Inspect(t.Context()); err != nil || v != "7.7.7" {
		t.Errorf("the candidate: %q, %v", v, err)
	}
	if err := c.Check(t.Context(), []string{"serve"}); err == nil || !strings.HasPrefix(err.Error(), next) {
		t.Errorf("a refusal names %v", err)
	}
	must(t, c.Install())
	if content(t, target) != content(t, next) {
		t.Error("it is not installed")
	}
	must(t, c.Undo())
	if content(t, target) != "one" {
		t.Error("the program before is not back")
	}
	must(t, c.Discard())

	c, err = Stage(next, link)
	must(t, err)
	must(t, errors.Join(c.Install(), c.Keep(), c.Discard()))
	st, err := os.Stat(target)
	must(t, err)
	if content(t, target) != content(t, next) || content(t, target+OldSuffix) != "one" || st.Mode().Perm() != 0o750 {
		t.Errorf("after an upgrade: mode %o", st.Mode().Perm())
	}
	if to, err := os.Readlink(link); err != nil || to != target {
		t.Errorf("the link leads to %s, %v", to, err)
	}

	c, err = Stage(next, target)
	must(t, err)
	must(t, c.Discard())
	entries, err := os.ReadDir(filepath.Dir(target))
	must(t, err)
	if len(entries) != 2 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestStageRefuses(t *testing.T) {
	if _, err := Stage(installed(t, "text"), installed(t, "one")); vpn.KindOf(err) != vpn.Invalid {
		t.Errorf("a text: %v", err)
	}
	if _, err := Stage(self(t, asIs), filepath.Join(t.TempDir(), "vpn")); vpn.KindOf(err) != vpn.Unavailable {
		t.Errorf("nothing is installed: %v", err)
	}
}

// What setcap(8) gave the program before, the next one has too: without root
// it could not listen on low ports otherwise.
func TestCapabilitiesStay(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("this has to run as root")
		}
		t.Skip("only root may give a file capabilities")
	}
	const name, bindService = "security.capability", 10
	value := binary.LittleEndian.AppendUint32(nil, 0x02000000|1) // version 2, effective
	for _, word := range []uint32{1 << bindService, 0, 0, 0} {   // permitted and inheritable, low and high
		value = binary.LittleEndian.AppendUint32(value, word)
	}
	target := installed(t, "one")
	must(t, unix.Setxattr(target, name, value, 0))
	c, err := Stage(self(t, asIs), target)
	must(t, err)
	must(t, errors.Join(c.Install(), c.Keep()))
	got := make([]byte, 64)
	n, err := unix.Getxattr(target, name, got)
	must(t, err)
	if !bytes.Equal(got[:n], value) {
		t.Errorf("the capabilities are % x, they were % x", got[:n], value)
	}
}
