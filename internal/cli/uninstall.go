package cli

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"vpn/internal/config"
	"vpn/internal/daemon"
	"vpn/internal/service"
	"vpn/internal/vpn"
)

func uninstallCommand(p *program) *cobra.Command {
	var keepData bool
	cmd := &cobra.Command{
		Use: "uninstall", Short: "Remove everything of vpn from this machine", Args: exactly(),
		Long: `Remove the system's installation: the service, its servers, the data with every
user and key, the configuration, the group and the program, as far as vpn put
them here, and what it has in the Docker engine, a Compose project included. It
lists them, and asks. Nothing else is touched.`,
		Example: `  vpn uninstall
  vpn uninstall --keep-data             users, servers and keys stay
  vpn uninstall --yes                   ask nothing: for scripts`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := mustBeRoot("vpn uninstall"); err != nil {
				return err
			}
			u := &uninstall{program: p, keepData: keepData}
			return u.run(cmd.Context())
		},
	}
	cmd.Flags().BoolVar(&keepData, "keep-data", false, "keep the data directory and the configuration")
	return changes[removal](p, cmd)
}

// removal is what "uninstall -o json" prints.
type removal struct {
	Removed []string `json:"removed"`
	DryRun  bool     `json:"dry_run,omitempty"`
}

// uninstall is one run of the command.
type uninstall struct {
	*program
	keepData bool
	cfg      config.Config
	options  daemon.Options
	service  *service.Service // nil: there is no init system
	status   service.Status
	sockets  []string // directories of sockets
	project  project  // that runs its servers, or has
	removed  []string
	problems []error
}

func (u *uninstall) run(ctx context.Context) error {
	if err := u.look(ctx); err != nil {
		return err
	}
	parts, err := service.Parts(u.service, u.cfg.DataDir, u.file(), u.keepData)
	if err != nil {
		return err
	}
	installed := u.status.File != service.Missing && u.status.File != service.Foreign || u.status.State == service.Running
	if !installed && len(parts) == 0 && len(u.sockets) == 0 && len(u.project.parts(u.keepData)) == 0 {
		return vpn.Errorf(vpn.NotFound, "there is nothing of vpn to remove from this machine")
	}
	if u.global.dryRun {
		return u.tell(parts, installed)
	}
	u.announce(parts, installed)
	if err := u.confirmName(ctx, "This cannot be undone.", service.Name); err != nil {
		return err
	}
	out := u.printer()
	if err := u.takeDown(ctx); err != nil {
		return err // the data would be taken from under its feet
	}
	if installed {
		done := func(what string) { out.note("%s", what) }
		if err := u.service.Uninstall(ctx, endServers(u.program, u.cfg.DataDir), done); err != nil {
			return err // what follows would be taken from under its feet
		}
		u.removed = append(u.removed, u.status.Definition)
	}
	if err := u.vacate(ctx); err != nil {
		return err
	}
	for _, part := range parts {
		u.remove(ctx, part)
	}
	if len(u.problems) > 0 {
		return vpn.Errorf(vpn.Unavailable, "not everything could be removed: %w", errors.Join(u.problems...)).
			WithHint("see to it, then run it again")
	}
	done := "vpn is removed"
	if u.keepData {
		done += "; the data stays in " + u.cfg.DataDir
	}
	return out.show(answer{data: removal{Removed: u.removed}, names: u.removed, plain: paths(u.removed), done: done})
}

// tell says what would be removed.
func (u *uninstall) tell(parts []service.Part, installed bool) error {
	all := u.project.parts(u.keepData)
	if installed {
		all = append(all, u.status.Definition)
	}
	all = append(all, u.sockets...)
	for _, part := range parts {
		all = append(all, part.Path)
	}
	return u.printer().show(answer{
		data: removal{Removed: all, DryRun: true}, names: all, plain: paths(all),
		done: "would remove " + strings.Join(all, ", "),
	})
}

// paths is a table of one column.
func paths(list []string) *table {
	t := &table{}
	for _, v := range list {
		t.add(v)
	}
	return t
}

// look finds out what there is, and whether it may be removed.
func (u *uninstall) look(ctx context.Context) (err error) {
	if u.cfg, err = u.config(); err != nil {
		return err
	}
	if u.options, err = u.daemonOptions(u.cfg, silent); err != nil {
		return err
	}
	u.status.File = service.Missing
	u.service, err = service.Detect()
	switch {
	case vpn.KindOf(err) == vpn.Unavailable:
		u.service = nil
	case err != nil:
		return err
	default:
		if u.status, err = u.service.Status(ctx); err != nil {
			return unanswered(u.status, err)
		}
	}
	if serves := u.status.DataDir; serves != "" && serves != u.cfg.DataDir {
		return vpn.Errorf(vpn.Conflict, "the service has its data in %s, not in %s", serves, u.cfg.DataDir).
			WithHint("vpn uninstall --data-dir %s", serves)
	}
	if st, err := os.Stat(u.cfg.DataDir); err == nil {
		if uid, ok := service.OwnerOf(st); ok && uid != os.Geteuid() {
			return vpn.Errorf(vpn.Denied, "the data directory %s belongs to uid %d: it is not the system's", u.cfg.DataDir, uid).
				WithHint("its owner can remove it")
		}
	}
	if u.sockets, err = daemon.Vacates(ctx, u.options); err != nil {
		return err
	}
	if u.project, err = findProject(ctx, u.program, u.cfg.DataDir); err != nil {
		return err
	}
	if len(u.project.containers) > 0 && isComposed(u.cfg.DataDir) {
		return nil // the daemon is one of them
	}
	return noOtherDaemon(ctx, u.program, u.cfg, u.status)
}

// file is the configuration that belongs to this installation: the system's,
// unless somebody named another data directory than the service's.
func (u *uninstall) file() string {
	if u.status.DataDir == u.cfg.DataDir || u.cfg.DataDir == config.SystemDataDir {
		return config.SystemFile
	}
	return ""
}

// announce lists what will be removed, unless nobody reads it.
func (u *uninstall) announce(parts []service.Part, installed bool) {
	out := u.printer()
	if u.global.yes && (out.form != "table" || out.quiet) {
		return
	}
	out.message("", "This ends every connection and removes from this machine:")
	if installed {
		out.message("  ", u.status.Definition+"  the service, with its servers")
	}
	for _, part := range u.project.parts(u.keepData) {
		out.message("  ", part+"  of the Compose project "+u.project.name)
	}
	for _, dir := range u.sockets {
		out.message("  ", dir+"  sockets")
	}
	for _, part := range parts {
		out.message("  ", part.Path+"  "+part.What)
	}
	for _, dir := range u.project.dirs(u.cfg.DataDir) {
		out.message("", "It keeps "+dir+" with the files of the Compose project.")
	}
	if u.keepData {
		out.message("", "It keeps "+u.cfg.DataDir+" with users, servers and keys, and the configuration.")
	}
	for _, part := range parts {
		if part.Path == service.ProgramPath {
			return
		}
	}
	if self, err := os.Executable(); err == nil {
		out.message("", "It keeps "+self+", which no vpn service install put there.")
	}
}

// vacate ends workers that nobody supervises and removes their sockets.
func (u *uninstall) vacate(ctx context.Context) error {
	if exists(filepath.Join(u.cfg.DataDir, daemon.StoreFile)) {
		ended, err := daemon.EndWorkers(ctx, u.options)
		if err == nil {
			err = ended.Unsaved
		}
		if err != nil && u.keepData {
			return err // with the last of what was counted
		}
	}
	if err := daemon.Purge(ctx, u.options); err != nil {
		return err
	}
	removed, used, err := daemon.Vacate(ctx, u.options)
	for _, dir := range removed {
		u.removed = append(u.removed, dir)
		u.printer().note("removed %s", dir)
	}
	if err != nil {
		return err
	}
	if len(used) > 0 {
		u.printer().warn("another data directory's servers are left alone: " + strings.Join(used, ", "))
	}
	return nil
}

func (u *uninstall) remove(ctx context.Context, part service.Part) {
	if err := part.Remove(ctx); err != nil {
		u.problems = append(u.problems, err)
		return
	}
	u.removed = append(u.removed, part.Path)
	u.printer().note("removed %s", part.Path)
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
