package app

import (
	"context"
	"maps"
	"slices"
	"strings"

	"vpn/internal/vpn"
)

// Configuration is the configuration of the control plane, as its own use
// cases see it.
type Configuration interface {
	// Show returns what is in force, and what a reload would make of it.
	Show(ctx context.Context) (vpn.Configuration, error)

	// Change changes the file, or with dry says what that would do. A file
	// that would be refused as a whole, or in which a value is wrong, is not
	// written.
	Change(ctx context.Context, p vpn.ConfigPatch, dry bool) (vpn.ConfigChange, error)
}

// Configuration returns the configuration that is in force.
func (s *SystemInfo) Configuration(ctx context.Context) (vpn.Configuration, error) {
	if _, err := authorize(ctx, "config.show"); err != nil {
		return vpn.Configuration{}, err
	}
	if s.Config.Configuration == nil {
		return vpn.Configuration{}, noDaemon()
	}
	return s.Config.Configuration.Show(ctx)
}

// Configure changes the configuration's file. It comes into force with a
// [SystemInfo.Reload].
func (s *SystemInfo) Configure(ctx context.Context, p vpn.ConfigPatch) (vpn.ConfigChange, error) {
	actor, err := authorize(ctx, "config.update")
	if err != nil {
		return vpn.ConfigChange{}, err
	}
	if s.Config.Configuration == nil {
		return vpn.ConfigChange{}, noDaemon()
	}
	c, err := s.Config.Configuration.Change(ctx, p, s.dryRun())
	if err == nil && c.Written && !s.dryRun() {
		keys := append(slices.Collect(maps.Keys(p.Set)), p.Unset...)
		slices.Sort(keys)
		s.note(ctx, actor, "config.update", "", strings.Join(keys, ", ")+" in "+c.File)
	}
	return c, err
}
