package cli

import (
	"context"
	"slices"

	"vpn/internal/compose"
	"vpn/internal/compose/containers"
	"vpn/internal/vpn"
)

// A project is what a Docker engine has of a data directory's Compose project.
type project struct {
	name       string
	containers []containers.Container
	volumes    []string
}

// findProject returns the project of a data directory. Where there never was
// one, no engine is asked.
func findProject(ctx context.Context, p *program, dataDir string) (project, error) {
	if !exists(compose.Dir(dataDir)) {
		return project{}, nil
	}
	store, err := storeIn(dataDir)
	if err != nil {
		return project{}, nil //nolint:nilerr // it has never run: so it has no name
	}
	found := project{name: compose.ProjectName(store)}
	e := engineOf(p)
	defer e.Close()
	there := containers.New(e, found.name)
	if found.containers, err = there.List(ctx); err == nil {
		found.volumes, err = there.Volumes(ctx)
	}
	if err != nil && !isComposed(dataDir) {
		return project{}, nil // its servers have run without it since, and without any engine
	}
	if err != nil {
		return project{}, vpn.Errorf(vpn.KindOf(err), "what the Compose project %s has in the engine cannot be removed: %w", found.name, err).
			WithHint("%s; then run it again; if Docker is gone for good: rm -r %s", vpn.HintOf(err), compose.Dir(dataDir))
	}
	return found, nil
}

// parts names all that is to go.
func (p project) parts(keepVolumes bool) (out []string) {
	for _, c := range p.containers {
		out = append(out, "container "+c.Name)
	}
	for _, name := range p.volumes {
		if !keepVolumes {
			out = append(out, "volume "+name)
		}
	}
	return out
}

// dirs are where the project's files are, if that is not in the data directory.
func (p project) dirs(dataDir string) (out []string) {
	for _, c := range p.containers {
		if c.Dir != "" && c.Dir != compose.Dir(dataDir) && !slices.Contains(out, c.Dir) {
			out = append(out, c.Dir)
		}
	}
	return out
}

// takeDown stops and removes the project, servers first, so that all that they
// counted is stored.
func (u *uninstall) takeDown(ctx context.Context) error {
	if u.project.name == "" {
		return nil
	}
	e := engineOf(u.program)
	defer e.Close()
	there := containers.New(e, u.project.name)
	if err := there.Down(ctx, said(u.program)); err != nil {
		return err
	}
	if !u.keepData {
		if err := there.RemoveVolumes(ctx, u.project.volumes, said(u.program)); err != nil {
			return err
		}
	}
	u.removed = append(u.removed, u.project.parts(u.keepData)...)
	return nil
}
