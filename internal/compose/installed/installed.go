// Package installed runs the Compose program that is installed, where one is:
// the plug-in of docker, or docker-compose. It knows nothing of what is in a
// project, and no other program is run.
package installed

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"time"

	"vpn/internal/vpn"
)

// Program is an installed Compose.
type Program struct {
	Name    string // as a person calls it: "docker compose"
	Version string

	command []string
}

const (
	askTimeout = 30 * time.Second // a busy machine takes long to start it, and to take another way would ignore what only it knows
	upTimeout  = 5 * time.Minute
)

// Find returns the Compose that is installed; nil if none is.
func Find(ctx context.Context) *Program {
	for _, command := range [][]string{{"docker", "compose"}, {"docker-compose"}} {
		path, err := exec.LookPath(command[0])
		if err != nil {
			continue
		}
		p := &Program{Name: strings.Join(command, " "), command: append([]string{path}, command[1:]...)}
		asking, cancel := context.WithTimeout(ctx, askTimeout)
		version, err := p.make(asking, "version", "--short").Output() // a docker without the plug-in fails
		cancel()
		if err == nil {
			p.Version = strings.TrimSpace(string(version))
			return p
		}
	}
	return nil
}

func (p *Program) make(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, p.command[0], append(p.command[1:len(p.command):len(p.command)], args...)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// Up makes the engine at host run what the project in dir says: all of it, and
// nothing that is not in it any more, or only the named services and what
// they need. Which files are in force is read from dir. The error, of kind
// [vpn.Unavailable], is in the program's own words.
func (p *Program) Up(ctx context.Context, dir, host string, services ...string) error {
	ctx, cancel := context.WithTimeout(ctx, upTimeout)
	defer cancel()
	args := []string{"up", "--detach", "--no-build"}
	if len(services) == 0 {
		args = append(args, "--remove-orphans")
	}
	cmd := p.make(ctx, append(args, services...)...)
	cmd.Dir = dir
	cmd.Env = environ(os.Environ(), host)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	err := cmd.Run()
	if err == nil {
		return nil
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	return vpn.Errorf(vpn.Unavailable, "%s up failed: %s", p.Name, lastWords(said.String(), err)).
		WithHint("see all of it: cd %s && %s up", dir, p.Name)
}

// environ is the environment of a Compose that means the engine at host and
// what the project's own files say, whatever this process was told.
func environ(of []string, host string) []string {
	var out []string
	for _, v := range of {
		name, _, _ := strings.Cut(v, "=")
		if name == "DOCKER_HOST" || name == "DOCKER_CONTEXT" || strings.HasPrefix(name, "COMPOSE_") {
			continue
		}
		out = append(out, v)
	}
	return append(out, "DOCKER_HOST="+host)
}

// lastWords is what a program that failed said last, on one line.
func lastWords(said string, err error) string {
	const enough = 3
	lines := strings.FieldsFunc(said, func(r rune) bool { return r == '\n' || r == '\r' })
	if len(lines) == 0 {
		return err.Error()
	}
	lines = lines[max(0, len(lines)-enough):]
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return strings.Join(lines, "; ")
}
