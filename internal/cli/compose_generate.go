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
	"vpn/internal/config"
	"vpn/internal/docker"
	"vpn/internal/vpn"
	"vpn/internal/worker"
)

func composeGenerate(p *program) *cobra.Command {
	var env string
	cmd := &cobra.Command{
		Use: "generate [DIR]", Short: "Write a Compose project of what there is", Args: exactly("[DIR]"),
		Long: `Write a Compose project: the daemon and each server that is meant to run is a
service. Nothing is started. The project uses the data directory where it is,
and holds no secret. What you want otherwise belongs into ` + compose.LocalFile + `,
which is laid over the other files and never written.`,
		Example: `  vpn compose generate
  vpn compose generate --env development
  vpn compose generate /srv/vpn --dry-run`,
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := ""
			if len(args) > 0 {
				dir = args[0]
			}
			g := &generation{program: p, environment: env}
			if err := g.run(cmd.Context(), dir); err != nil {
				return err
			}
			return g.tell()
		},
	}
	environmentFlag(cmd, &env)
	return changes[generated](p, cmd)
}

func environmentFlag(cmd *cobra.Command, to *string) {
	cmd.Flags().Var(&choice{to: to, what: "environment", of: environmentNames(), kind: "ENV"}, "env",
		"development, staging or production (default: the one in force, else production)")
}

func environmentNames() []string {
	return namesOf(compose.Environments(), func(e compose.Environment) string { return string(e) })
}

// generated is what "compose generate -o json" prints.
type generated struct {
	Dir         string              `json:"dir"`
	Project     string              `json:"project"`
	Environment compose.Environment `json:"environment"`
	Image       string              `json:"image"`
	Services    []string            `json:"services"`
	Files       []string            `json:"files"`
	DryRun      bool                `json:"dry_run,omitempty"`
}

// A generation writes a project.
type generation struct {
	*program
	environment string

	cfg     config.Config
	dir     string
	input   compose.Input
	project compose.Project // without what is laid over it
	files   []compose.File
	result  generated
}

// run makes the project of what the store holds, and writes it.
func (g *generation) run(ctx context.Context, dir string) (err error) {
	if err := servesHere(); err != nil {
		return err
	}
	if g.dir, g.cfg, err = composeDir(g.program, dir); err != nil {
		return err
	}
	if err := becomeOwner(g.cfg.DataDir, ""); err != nil {
		return err
	}
	if err := g.ours(); err != nil {
		return err
	}
	if err := g.look(ctx); err != nil {
		return err
	}
	if g.project, err = compose.New(g.input); err != nil {
		return err
	}
	if g.files, err = g.project.Files(); err != nil {
		return err
	}
	environment, err := g.chosen()
	if err != nil {
		return err
	}
	g.result = generated{
		Dir: g.dir, Project: compose.ProjectName(g.input.Store), Environment: environment, Image: g.input.Image,
		Services: g.project.Names(), DryRun: g.global.dryRun,
	}
	for _, f := range g.files {
		g.result.Files = append(g.result.Files, filepath.Join(g.dir, f.Name))
	}
	if g.global.dryRun {
		return nil
	}
	return errors.Join(g.write(environment), g.makeDirs())
}

// ours returns an error if the directory holds a project of somebody else's.
func (g *generation) ours() error {
	names := []string{compose.CommonFile}
	for _, e := range compose.Environments() {
		names = append(names, e.FileName())
	}
	for _, name := range names {
		path := filepath.Join(g.dir, name)
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fileProblem("read", path, err)
		}
		if !compose.Ours(text) {
			return vpn.Errorf(vpn.Conflict, "%s was not made by vpn, and is left alone", path).
				WithHint("choose another directory: vpn compose generate DIR")
		}
	}
	return nil
}

// look finds out what the project is to hold.
func (g *generation) look(ctx context.Context) error {
	g.input = compose.Input{DataDir: g.cfg.DataDir, Settings: settingsOf(g.cfg)}
	err := g.read(ctx, func(ctx context.Context, c *client.Client) error {
		list, err := c.Servers.List(ctx)
		for _, s := range list {
			g.input.Servers = append(g.input.Servers, s.Server)
		}
		return err
	})
	if err != nil {
		return err
	}
	info, err := os.Stat(g.cfg.DataDir)
	if err != nil {
		return fileProblem("look at", g.cfg.DataDir, err)
	}
	owner := idsOf(info)
	g.input.UID, g.input.GID = owner.uid, owner.gid
	if g.input.Store, err = storeIn(g.cfg.DataDir); err != nil {
		return err
	}
	g.input.Image, err = g.image().Tag()
	return err
}

// image returns the one that the project's containers are made of.
func (g *generation) image() *docker.Image {
	return docker.NewImage("", buildInfo().Version, g.input.Store)
}

// chosen returns the environment that is to be in force.
func (g *generation) chosen() (compose.Environment, error) {
	if g.environment != "" {
		return compose.ParseEnvironment(g.environment)
	}
	if text, err := os.ReadFile(filepath.Join(g.dir, compose.EnvFile)); err == nil {
		if c, err := compose.ReadChoice(string(text)); err == nil {
			return c.Environment, nil
		}
	}
	return compose.Production, nil
}

func (g *generation) write(e compose.Environment) error {
	for _, f := range g.files {
		if err := replaceFile(filepath.Join(g.dir, f.Name), f.Text, 0o600); err != nil {
			return err
		}
	}
	return writeChoice(g.dir, compose.Choice{Project: g.result.Project, Environment: e})
}

// writeChoice puts a choice into force, with a local file if there is one.
func writeChoice(dir string, c compose.Choice) error {
	path := filepath.Join(dir, compose.EnvFile)
	before, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fileProblem("read", path, err)
	}
	_, err = os.Lstat(filepath.Join(dir, compose.LocalFile))
	c.Local = err == nil
	return replaceFile(path, []byte(c.Write(string(before))), 0o600)
}

// makeDirs makes the directories of the servers' containers, for whoever will
// use them, and removes those of servers that are no more.
func (g *generation) makeDirs() error {
	uid, gid := g.input.WorkerUser()
	var known []string
	for _, s := range g.input.Servers {
		known = append(known, string(s.ID))
		dirs := compose.Dirs(g.cfg.DataDir, s.ID)
		for _, dir := range []string{dirs.Run, dirs.State} {
			err := os.MkdirAll(dir, 0o700)
			if err == nil && os.Geteuid() == 0 {
				err = os.Chown(dir, uid, gid)
			}
			if err != nil {
				return fileProblem("make", dir, err)
			}
		}
	}
	at := compose.Workers(g.cfg.DataDir)
	entries, err := os.ReadDir(at)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fileProblem("read", at, err)
	}
	for _, e := range entries {
		if slices.Contains(known, e.Name()) {
			continue
		}
		left, err := worker.Finals(compose.Dirs(g.cfg.DataDir, vpn.ServerID(e.Name())).State)
		if err != nil || len(left) > 0 {
			continue // the control plane has not taken over what it counted
		}
		if err := os.RemoveAll(filepath.Join(at, e.Name())); err != nil {
			return fileProblem("remove", filepath.Join(at, e.Name()), err)
		}
	}
	return nil
}

func (g *generation) tell() error {
	r := g.result
	next := []string{"start it: vpn compose up"}
	if g.global.dryRun {
		next = nil
	}
	return g.printer().show(answer{
		data: r, names: r.Services, plain: paths(r.Files), quiet: r.Files,
		done: did(r.DryRun, "write", "wrote", "the Compose project %s, with %s", r.Project, many(len(r.Services), "service")),
		fields: []any{
			"dir", r.Dir, "environment", string(r.Environment), "image", r.Image,
			"services", strings.Join(r.Services, ", "),
		},
		next: next,
	})
}
