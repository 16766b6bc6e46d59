package cli

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"vpn/internal/client"
	"vpn/internal/compose"
	"vpn/internal/compose/containers"
	"vpn/internal/config"
	"vpn/internal/daemon"
	"vpn/internal/docker"
	"vpn/internal/vpn"
)

func composeCommand(p *program) *cobra.Command {
	return group("compose", "Run everything as a Docker Compose project", `  vpn compose up                        the daemon and its servers, in containers
  vpn compose ps
  vpn compose logs -f --level warn`,
		composeGenerate(p), composeUp(p), composeDown(p), composePs(p), composeLogs(p), composeRestart(p), composeConfig(p), composeEnv(p),
	)
}

// dirFlag says where the project's files are.
func dirFlag(cmd *cobra.Command, to *string) {
	cmd.Flags().StringVar(to, "dir", "", "`DIR` of the project's files (default: compose in the data directory)")
}

// A composed is a project's directory, and what is in force there.
type composed struct {
	dir    string
	choice compose.Choice
}

// composeDir returns the directory of a project's files.
func composeDir(p *program, dir string) (string, config.Config, error) {
	cfg, err := p.config()
	if err != nil {
		return "", cfg, err
	}
	if dir == "" {
		return compose.Dir(cfg.DataDir), cfg, nil
	}
	dir, err = filepath.Abs(dir)
	return dir, cfg, err
}

// findComposed reads what is in force in a directory.
func findComposed(p *program, dir string) (composed, error) {
	dir, _, err := composeDir(p, dir)
	if err != nil {
		return composed{}, err
	}
	text, err := os.ReadFile(filepath.Join(dir, compose.EnvFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return composed{}, vpn.Errorf(vpn.NotFound, "there is no Compose project in %s", dir).WithHint("make one: vpn compose generate")
	case errors.Is(err, fs.ErrPermission):
		return composed{}, vpn.Errorf(vpn.Denied, "the Compose project in %s is not open to you: %w", dir, err).WithHint("use sudo")
	case err != nil:
		return composed{}, vpn.Errorf(vpn.Unavailable, "the Compose project in %s cannot be read: %w", dir, err)
	}
	c := composed{dir: dir}
	if c.choice, err = compose.ReadChoice(string(text)); err != nil {
		return composed{}, err
	}
	_, err = os.Lstat(filepath.Join(dir, compose.LocalFile))
	c.choice.Local = err == nil
	return c, nil
}

// project reads the files that are in force.
func (c composed) project() (compose.Project, error) {
	var files []compose.File
	for _, name := range c.choice.Files() {
		text, err := os.ReadFile(filepath.Join(c.dir, name))
		if err != nil {
			return compose.Project{}, vpn.Errorf(vpn.Unavailable, "the Compose project cannot be read: %w", err).WithHint("write it anew: vpn compose generate")
		}
		files = append(files, compose.File{Name: name, Text: text})
	}
	return compose.Load(files...)
}

// engineOf returns the Docker engine that is meant.
func engineOf(p *program) *docker.Engine { return docker.New(docker.Options{Getenv: p.Getenv}) }

// onContainers runs fn on the project's containers, with the services that
// words name.
func onContainers(p *program, dir string, words []string, fn func(*containers.Containers, []string) error) error {
	c, err := findComposed(p, dir)
	if err != nil {
		return err
	}
	project, err := c.project()
	var services []string
	for _, word := range words {
		name := word
		if err == nil { // what is broken can still be stopped
			found, unknown := project.Find(word)
			if unknown != nil {
				return unknown
			}
			name = found
		}
		services = append(services, name)
	}
	e := engineOf(p)
	defer e.Close()
	return fn(containers.New(e, c.choice.Project), services)
}

// isComposed reports whether the control plane that used the data directory
// last is that of a project.
func isComposed(dataDir string) bool {
	socket, err := daemon.SocketIn(dataDir)
	return err == nil && strings.HasPrefix(socket, compose.Sockets(dataDir)+"/")
}

// containerTable shows containers.
func containerTable(list []containers.Container) *table {
	t := &table{head: []string{"SERVICE", "STATE", "HEALTH", "SERVER", "STATUS", "+CONTAINER", "+IMAGE", "+CREATED", "+ID"}}
	for _, c := range list {
		t.add(c.Service, c.State, orDash(c.Health), orDash(c.Server), c.Status, c.Name, c.Image, timeCell(c.Created), c.ID[:min(12, len(c.ID))])
	}
	return t
}

func servicesOf(list []containers.Container) []string {
	return namesOf(list, func(c containers.Container) string { return c.Service })
}

// said tells on standard error what is done, as it is done.
func said(p *program) containers.Say {
	out := p.printer()
	return func(done, service string) { out.note("%s %s", done, service) }
}

// storeIn returns the id of the store in a data directory that has been
// opened before.
func storeIn(dataDir string) (string, error) {
	socket, err := daemon.SocketIn(dataDir)
	if err != nil {
		return "", err
	}
	return filepath.Base(filepath.Dir(socket)), nil
}

// settingsOf returns what is configured otherwise than by default, but for
// what a project says itself.
func settingsOf(cfg config.Config) map[string]string {
	out := map[string]string{}
	for _, v := range cfg.Values() {
		if v.Origin.Layer != "default" && !slices.Contains([]string{"data_dir", "runtime", "worker_uids"}, v.Key) {
			out["VPN_"+strings.ToUpper(v.Key)] = v.Value
		}
	}
	return out
}

// mayCompose returns an error if something outside of containers runs the
// servers: they would be run a second time.
func mayCompose(ctx context.Context, p *program, cfg config.Config) error {
	if isComposed(cfg.DataDir) {
		return nil
	}
	_, err := p.running(ctx, cfg)
	switch {
	case err == nil:
		return vpn.Errorf(vpn.Conflict, "a daemon runs on %s, and Compose would run its servers a second time", cfg.DataDir).
			WithHint("end it with its servers first: vpn service uninstall, systemctl stop vpn, or ^C where it runs")
	case vpn.KindOf(err) != vpn.Unavailable || errors.Is(err, client.ErrSilent):
		return err
	}
	return nil
}
