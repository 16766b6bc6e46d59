package cli

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"vpn/internal/client"
	"vpn/internal/compose"
	"vpn/internal/compose/containers"
	"vpn/internal/compose/installed"
	"vpn/internal/docker"
	"vpn/internal/vpn"
)

func composeUp(p *program) *cobra.Command {
	u := &composeUpRun{generation: generation{program: p}}
	cmd := &cobra.Command{
		Use: "up [SERVICE...]", Short: "Start the project, and bring it up to date",
		Long: `Write the project anew, load the image where the engine lacks it, and make
containers of what is there: by Compose if it is installed (docker compose or
docker-compose), else through the Docker API. A container that is as it should
be is not touched. A server's name does for its service.`,
		Example: `  vpn compose up
  vpn compose up main                        after a new server: only that one
  vpn compose up --dry-run`,
		RunE: func(cmd *cobra.Command, args []string) error { return u.up(cmd.Context(), args) },
	}
	dirFlag(cmd, &u.at)
	environmentFlag(cmd, &u.environment)
	return changes[composedUp](p, cmd)
}

// composedUp is what "compose up -o json" prints.
type composedUp struct {
	Project    string                 `json:"project"`
	By         string                 `json:"by" doc:"what made the containers"`
	Steps      []containers.Step      `json:"steps,omitempty" doc:"with --dry-run: what would be done"`
	Containers []containers.Container `json:"containers,omitempty"`
	Synced     bool                   `json:"synced" doc:"false: not every server runs yet"`
	DryRun     bool                   `json:"dry_run,omitempty"`
}

// upWait is how long the servers may take to run once their containers do.
const upWait = 30 * time.Second

type composeUpRun struct {
	generation
	at string // --dir
}

func (u *composeUpRun) up(ctx context.Context, words []string) error {
	cfg, err := u.config()
	if err != nil {
		return err
	}
	if err := mayCompose(ctx, u.program, cfg); err != nil {
		return err
	}
	if err := u.run(ctx, u.at); err != nil {
		return err
	}
	if err := u.nobodyElse(ctx); err != nil {
		return err
	}
	project, err := u.inForce()
	if err != nil {
		return err
	}
	var services []string
	for _, word := range words {
		name, err := project.Find(word)
		if err != nil {
			return err
		}
		services = append(services, name)
	}
	e := engineOf(u.program)
	defer e.Close()
	u.busy.begin("starting the project")
	defer u.busy.end()
	there := containers.New(e, u.result.Project)
	by := installed.Find(ctx)
	if u.global.dryRun {
		return u.tellPlan(ctx, there, project, by, services)
	}
	if _, err := u.image().Ensure(ctx, e); err != nil {
		return err
	}
	if err := u.make(ctx, e, there, project, by, services); err != nil {
		return err
	}
	if _, err := docker.RemoveImages(ctx, e, u.input.Store, u.result.Image); err != nil {
		u.printer().warn("the image of an earlier version may be left in the engine: " + err.Error())
	}
	return u.await(ctx, there, by)
}

// inForce returns the project as it is with what is laid over it. In a dry run
// nothing of it was written.
func (u *composeUpRun) inForce() (compose.Project, error) {
	if u.global.dryRun {
		return u.project, nil
	}
	c, err := findComposed(u.program, u.dir)
	if err != nil {
		return compose.Project{}, err
	}
	p, err := c.project()
	if err != nil && installed.Find(context.Background()) != nil {
		return u.project, nil // Compose may know what this program does not
	}
	return p, err
}

// nobodyElse returns an error if workers run that a daemon has left.
func (u *composeUpRun) nobodyElse(ctx context.Context) error {
	if isComposed(u.cfg.DataDir) {
		return nil
	}
	return u.read(ctx, func(ctx context.Context, c *client.Client) error {
		list, err := c.Servers.List(ctx)
		for _, s := range list {
			if s.Worker != nil {
				return vpn.Errorf(vpn.Conflict, "server %s runs outside of containers: a daemon has left it running", s.Name).
					WithHint("end it first: vpn server stop %s && vpn server start %s", s.Name, s.Name)
			}
		}
		return err
	})
}

func byName(by *installed.Program) string {
	if by == nil {
		return "the Docker API"
	}
	return by.Name + " " + by.Version
}

func (u *composeUpRun) tellPlan(ctx context.Context, there *containers.Containers, p compose.Project, by *installed.Program, services []string) error {
	steps, err := there.Plan(ctx, p, services...)
	if err != nil {
		return err
	}
	t := &table{head: []string{"SERVICE", "WOULD BE"}}
	for _, s := range steps {
		would := s.Past()
		if would == "" {
			would = "kept"
		}
		t.add(s.Service, would)
	}
	return u.printer().show(answer{
		data:  composedUp{Project: u.result.Project, By: byName(by), Steps: steps, Synced: true, DryRun: true},
		names: namesOf(steps, func(s containers.Step) string { return s.Service }), tables: []*table{t},
		done: "would start the project " + u.result.Project + " by " + byName(by),
	})
}

// make makes the containers.
func (u *composeUpRun) make(ctx context.Context, e *docker.Engine, there *containers.Containers, p compose.Project, by *installed.Program, services []string) error {
	if by == nil {
		steps, err := there.Plan(ctx, p, services...)
		if err != nil {
			return err
		}
		c := compose.Choice{Project: u.result.Project, Environment: u.result.Environment}
		return there.Do(ctx, steps, containers.Place{Dir: u.dir, Files: c.Files()}, said(u.program))
	}
	host, err := e.Host()
	if err != nil {
		return err
	}
	if _, err := e.Facts(ctx); err != nil {
		return err // says it better than Compose
	}
	return there.While(ctx, said(u.program), func() error { return by.Up(ctx, u.dir, host, services...) })
}

// await waits until every server that has a container runs.
func (u *composeUpRun) await(ctx context.Context, there *containers.Containers, by *installed.Program) error {
	late := u.awaitServers(ctx)
	if err := ctx.Err(); err != nil {
		return err
	}
	all, err := there.List(ctx)
	if err != nil {
		return err
	}
	done := composedUp{Project: u.result.Project, By: byName(by), Containers: all, Synced: len(late) == 0}
	a := answer{
		data: done, names: servicesOf(all), quiet: servicesOf(all), tables: []*table{containerTable(all)},
		done: "the project " + done.Project + " runs, by " + done.By,
	}
	if len(late) == 0 {
		return u.printer().show(a)
	}
	a.done = ""
	for _, name := range late {
		a.warnings = append(a.warnings, name+" does not run yet; see why: vpn compose logs "+name)
	}
	return errors.Join(u.printer().show(a), errPartly)
}

// awaitServers returns the names of those that do not run in time.
func (u *composeUpRun) awaitServers(ctx context.Context) []string {
	ctx, cancel := context.WithTimeout(ctx, upWait)
	defer cancel()
	u.busy.begin("waiting for the servers")
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	late := []string{compose.Control}
	for {
		if c, err := u.running(ctx, u.cfg); err == nil && isComposed(u.cfg.DataDir) {
			if list, err := c.Servers.List(ctx); err == nil {
				late = whoIsLate(list)
			}
		}
		if len(late) == 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return late
		}
	}
}

// whoIsLate returns the names of servers that should run and do not.
func whoIsLate(list []vpn.ServerInfo) []string {
	list = slices.DeleteFunc(list, func(s vpn.ServerInfo) bool { return !s.Enabled || s.State == vpn.Running })
	return namesOf(list, func(s vpn.ServerInfo) string { return s.Name })
}
