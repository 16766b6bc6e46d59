// Package selfupdate looks at a program file before anybody runs it as this
// product's next version, and puts it in the place of the installed one. It
// downloads nothing, trusts no network and restarts nobody: who gives it a
// file answers for that file.
package selfupdate

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"vpn/internal/vpn"
)

const (
	askWait   = 10 * time.Second // for a program to tell its version
	checkWait = 30 * time.Second // and whether it could take over
	maxOutput = 64 << 10
)

// Inspect returns the version of the program in file. It is refused with kind
// [vpn.Invalid] unless it is this product, built for this machine, and runs.
func Inspect(ctx context.Context, file string) (version string, err error) {
	if err := identify(file); err != nil {
		return "", err
	}
	return inspect(ctx, file, file)
}

// inspect calls the file name in what it says.
func inspect(ctx context.Context, file, name string) (version string, err error) {
	ctx, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	out, err := run(ctx, file, "version", "-o", "json")
	if err != nil {
		return "", vpn.Errorf(vpn.Invalid, "%s does not run: %w", name, err).WithHint("is it whole? copy it again")
	}
	var said struct {
		Version string `json:"version"`
	}
	if err := json.Unmarshal(out, &said); err != nil || said.Version == "" {
		return "", vpn.Errorf(vpn.Invalid, "%s does not tell its version", name).WithHint("is it whole? copy it again")
	}
	return said.Version, nil
}

// identify reads what the linker wrote into file. It runs nothing.
func identify(file string) error {
	if st, err := os.Stat(file); err == nil && !st.Mode().IsRegular() { // of a pipe, reading would wait for ever
		return vpn.Errorf(vpn.Invalid, "%s is not a file", file).WithHint("name the program's file")
	}
	info, err := buildinfo.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return vpn.Errorf(vpn.NotFound, "there is no file %s", file).WithHint("name the program's file: vpn upgrade ./vpn")
	case errors.Is(err, fs.ErrPermission):
		return vpn.Errorf(vpn.Denied, "%s may not be read: %w", file, err).WithHint("use sudo")
	case err != nil:
		return vpn.Errorf(vpn.Invalid, "%s is not a program of this product: %w", file, err).WithHint("name the program itself, unpacked and whole")
	}
	own, ok := debug.ReadBuildInfo()
	if ok && info.Path != own.Path {
		return vpn.Errorf(vpn.Invalid, "%s is another program: %s", file, info.Path)
	}
	for key, want := range map[string]string{"GOOS": runtime.GOOS, "GOARCH": runtime.GOARCH} {
		for _, s := range info.Settings {
			if s.Key == key && s.Value != want {
				return vpn.Errorf(vpn.Invalid, "%s is built for %s, and this machine is %s", file, s.Value, want).
					WithHint("take the one for %s/%s", runtime.GOOS, runtime.GOARCH)
			}
		}
	}
	return nil
}

// Check runs file with args, which must be those of a check that changes
// nothing. What it objects to becomes an error of kind [vpn.Conflict].
func Check(ctx context.Context, file string, args []string) error {
	return check(ctx, file, file, args)
}

func check(ctx context.Context, file, name string, args []string) error {
	ctx, cancel := context.WithTimeout(ctx, checkWait)
	defer cancel()
	_, err := run(ctx, file, args...)
	refusal, ok := errors.AsType[*refusal](err)
	switch {
	case ok:
		return vpn.Errorf(vpn.Conflict, "%s cannot take over: %s", name, refusal.message).WithHint("%s", refusal.hint)
	case err != nil:
		return vpn.Errorf(vpn.Conflict, "%s cannot take over: %w", name, err)
	}
	return nil
}

// refusal is what a program has said before it ended with a status that is
// not 0.
type refusal struct{ message, hint string }

func (r *refusal) Error() string { return r.message }

// private are variables that mean one process and not its children.
var private = []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "VPN_HANDOVER"}

// run runs file as the product's program, and returns what it has printed.
func run(ctx context.Context, file string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, file, args...)
	cmd.Args[0] = "vpn"
	cmd.WaitDelay = time.Second
	cmd.Env = slices.DeleteFunc(os.Environ(), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return slices.Contains(private, name)
	})
	var out, errs limited
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		return nil, errors.New("it does not answer in time")
	case errors.Is(err, syscall.ENOEXEC):
		return nil, errors.New("this machine cannot execute it")
	case err == nil:
		return out.kept.Bytes(), nil
	}
	if _, ok := errors.AsType[*exec.ExitError](err); !ok {
		return nil, err
	}
	r := &refusal{message: err.Error()}
	for line := range strings.Lines(errs.kept.String()) {
		line = strings.TrimSpace(line)
		if text, ok := strings.CutPrefix(line, "vpn: "); ok {
			r.message = text
		}
		if text, ok := strings.CutPrefix(line, "hint: "); ok {
			r.hint = text
		}
	}
	return nil, r
}

// limited is a buffer that forgets what is too much.
type limited struct{ kept bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	if room := maxOutput - l.kept.Len(); room > 0 {
		l.kept.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}
