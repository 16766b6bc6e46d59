// Package service installs the daemon as the operating system's service, by
// the init system that has booted the machine: systemd or OpenRC. It writes
// the service's definition, makes what the service needs to run, asks the init
// system to act, and takes all of it away again.
//
// It knows nothing of users, servers and the store: who ends workers and
// removes data is package daemon. It asks no questions: what it is about to do
// is in a [Plan] first.
package service

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"

	"vpn/internal/vpn"
)

// Name is the service's name, and its group's.
const Name = "vpn"

// Service is the daemon's service on this machine. Its methods may not be
// called concurrently.
type Service struct {
	machine
	init initSystem
}

// initSystem is what the init systems have in common. The definition is the
// file that describes the service.
type initSystem interface {
	name() string
	path() string // of the definition
	executable() bool
	render(Settings) string
	extras() []string   // patterns of files beside the definition that belong to it
	log() (path string) // where the daemon logs to, if that is a file
	follow() string     // the command that shows the log
	command(verb string) string

	foreign(ctx context.Context) (string, error) // another definition that has the name
	reload(ctx context.Context) error            // after the definition has changed
	do(ctx context.Context, verb string) error   // enable, disable, start, restart, stop
	state(ctx context.Context, st *Status) error
	lastWords(ctx context.Context) string
}

// Detect finds the init system of this machine. Where there is none that it
// knows, the error is of kind [vpn.Unavailable] and says what to do instead.
func Detect() (*Service, error) { return detect(machine{run: execute}) }

func detect(m machine) (*Service, error) {
	switch {
	case m.isDir("/run/systemd/system"): // as sd_booted(3) says it
		return &Service{m, &systemd{m}}, nil
	case m.isDir("/run/openrc"):
		return &Service{m, &openRC{m}}, nil
	}
	why := "neither systemd nor OpenRC has booted this machine"
	if m.exists("/sbin/openrc-run") {
		why = "OpenRC is installed, but it has not booted this machine"
	}
	hint := `let your supervisor run "vpn serve --supervised", or run "vpn serve" in the foreground`
	if m.exists("/.dockerenv") || m.exists("/run/.containerenv") {
		hint = `in a container, make "vpn serve" its command`
	}
	return nil, vpn.Errorf(vpn.Unavailable, "there is no init system to install a service with: %s", why).WithHint("%s", hint)
}

// InitSystem returns "systemd" or "openrc".
func (s *Service) InitSystem() string { return s.init.name() }

// Definition returns the path of the file that describes the service.
func (s *Service) Definition() string { return s.init.path() }

// Command returns what a person types to start or stop the service.
func (s *Service) Command(verb string) string { return s.init.command(verb) }

// FollowLog returns the command with which a person reads the daemon's log.
func (s *Service) FollowLog() string { return s.init.follow() }

// LastWords returns the last line of the daemon's log, or nothing.
func (s *Service) LastWords(ctx context.Context) string { return s.init.lastWords(ctx) }

// Start starts the service and returns when the init system calls it started.
func (s *Service) Start(ctx context.Context) error { return s.init.do(ctx, "start") }

// Restart runs a new control plane; the workers go on.
func (s *Service) Restart(ctx context.Context) error { return s.init.do(ctx, "restart") }

// execute runs a program of the system's, in a language that can be read by
// this one, and returns its output. The error holds what it said.
func execute(ctx context.Context, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC", "EINFO_QUIET=yes", "SYSTEMD_COLORS=0", "SYSTEMD_PAGER=")
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err == nil || ctx.Err() != nil {
		return string(out), ctx.Err()
	}
	said := firstLine(errs.String())
	if said == "" {
		said = err.Error()
	}
	return string(out), &programError{program: program + " " + strings.Join(args, " "), said: said, err: err}
}

// programError is the failure of a program.
type programError struct {
	program, said string
	err           error
}

func (e *programError) Error() string { return e.program + ": " + e.said }
func (e *programError) Unwrap() error { return e.err }

// exitStatus returns with which status a program has failed, -1 if it has
// not run at all.
func exitStatus(err error) int {
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		return e.ExitCode()
	}
	return -1
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return strings.TrimSpace(line)
}
