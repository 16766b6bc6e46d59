package cli

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"vpn/internal/config"
	"vpn/internal/service"
	"vpn/internal/vpn"
)

func serviceInstall(p *program) *cobra.Command {
	in := &installation{program: p}
	cmd := &cobra.Command{
		Use: "install", Short: "Start the daemon now and with the machine, by systemd or OpenRC", Args: exactly(),
		Long: `Install the daemon as a service of the init system, systemd or OpenRC: write its
unit, make the group vpn and the data directory, enable and start it. A program
that lies where it will not stay is copied to ` + service.ProgramPath + ` first.
Installing again brings unit and program up to date; connections go on.`,
		Example: `  vpn service install
  vpn service install --yes             ask nothing: for scripts
  vpn service install --no-start        write everything, start it later`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := mustBeRoot("vpn service install"); err != nil {
				return err
			}
			return in.run(cmd.Context())
		},
	}
	cmd.Flags().BoolVar(&in.force, "force", false, "replace a unit or a program that is not vpn's, or was changed by hand")
	cmd.Flags().BoolVar(&in.noStart, "no-start", false, "do not start it now")
	return changes[serviceChange](p, cmd)
}

// installation is one run of the command.
type installation struct {
	*program
	force, noStart bool
	cfg            config.Config
	service        *service.Service
	before         service.Status
	plan           service.Plan
}

func (in *installation) run(ctx context.Context) error {
	if err := in.look(ctx); err != nil {
		return err
	}
	if in.global.dryRun {
		return in.tell()
	}
	if err := in.leave(ctx); err != nil {
		return err
	}
	if in.plan.Copy {
		question := fmt.Sprintf("A service cannot rely on %s, which may go away or be changed by others than root. Copy it to %s?",
			in.plan.Program, in.plan.Binary)
		if err := in.confirm(ctx, question); err != nil {
			return err
		}
	}
	out := in.printer()
	out.warn(deaf(in.cfg)...)
	if in.before.File == service.Missing && len(in.plan.Members) > 0 {
		out.warn("the group vpn was there already; whoever is in it can administer vpn: " + strings.Join(in.plan.Members, ", "))
	}
	changed, err := in.service.Install(ctx, in.plan, func(what string) { out.note("%s", what) })
	if err != nil {
		return err
	}
	running := in.before.State == service.Running
	changed = changed || running && !in.before.Runs(in.plan.Binary)
	switch {
	case !in.noStart:
		if err := in.start(ctx, changed); err != nil {
			return err
		}
	case changed && running:
		out.note("what runs is what was installed before; to change over, keeping connections: %s", in.service.Command("restart"))
	}
	return in.report(ctx)
}

// look finds out what there is and what has to be done.
func (in *installation) look(ctx context.Context) (err error) {
	if in.service, err = service.Detect(); err != nil {
		return err
	}
	if in.cfg, err = in.config(); err != nil {
		return err
	}
	if in.before, err = in.service.Status(ctx); err != nil {
		return unanswered(in.before, err)
	}
	if err := noOtherDaemon(ctx, in.program, in.cfg, in.before); err != nil {
		return err
	}
	wish, err := in.wish()
	if err != nil {
		return err
	}
	if in.plan, err = in.service.Plan(ctx, wish); err != nil {
		return err
	}
	return in.mayLeave(ctx)
}

// moves reports whether the service that is there has another data directory.
func (in *installation) moves() bool {
	return in.before.DataDir != "" && in.before.DataDir != in.cfg.DataDir
}

// mayLeave refuses to leave servers alone in the data directory that the
// service has so far: nobody would look after them, and their ports are taken.
func (in *installation) mayLeave(ctx context.Context) error {
	if !in.moves() {
		return nil
	}
	servers, err := serversIn(ctx, in.program, in.before.DataDir)
	if err != nil || servers == 0 || in.force {
		return err
	}
	again := "vpn service install --data-dir " + in.cfg.DataDir
	return vpn.Errorf(vpn.Conflict, "the service runs %s of the data directory %s", many(servers, "server"), in.before.DataDir).
		WithHint("to stop it with them first: vpn service uninstall; then: %s; or both at once: %s --force", again, again)
}

// leave stops the service with its servers if it is to have another data
// directory.
func (in *installation) leave(ctx context.Context) error {
	if !in.moves() {
		return nil
	}
	out, old := in.printer(), in.before.DataDir
	servers, err := serversIn(ctx, in.program, old)
	if err != nil {
		return err
	}
	if servers > 0 {
		question := fmt.Sprintf("Stop the servers of %s, which ends every connection?", old)
		if err := in.confirm(ctx, question); err != nil {
			return err
		}
	}
	if err := in.service.Stop(ctx, endServers(in.program, old), func(what string) { out.note("%s", what) }); err != nil {
		return err
	}
	in.before.State = service.Stopped
	return nil
}

// wish is what the flags and the configuration ask for.
func (in *installation) wish() (service.Wish, error) {
	self, err := os.Executable()
	if err != nil {
		return service.Wish{}, fmt.Errorf("find this program: %w", err)
	}
	w := service.Wish{Program: self, Settings: service.Settings{DataDir: in.cfg.DataDir}, Force: in.force}
	w.Config = cmp.Or(in.global.configFile, in.Getenv("VPN_CONFIG"))
	if w.Config != "" {
		w.Config, err = filepath.Abs(w.Config)
	}
	return w, err
}

// deaf warns of what is set here and does not reach the service.
func deaf(cfg config.Config) (warnings []string) {
	for _, v := range cfg.Values() {
		if v.Origin.Layer == "environment" && v.Key != "data_dir" {
			warnings = append(warnings, v.Origin.Where+" is not handed to the service; write "+v.Key+" into "+config.SystemFile)
		}
	}
	return warnings
}

// answerWait is how long a service may take to answer after its init system
// calls it started.
const answerWait = 30 * time.Second

// start brings what is installed to run, and waits until it answers.
func (in *installation) start(ctx context.Context, changed bool) error {
	s, was := in.service, in.before.State
	var err error
	switch {
	case was == service.Running && !changed:
		return nil
	case was == service.Running, was == service.Starting: // again and again, perhaps, as it was before
		in.printer().note("restarting the service; connections go on")
		err = s.Restart(ctx)
	default:
		in.printer().note("starting the service")
		err = s.Start(ctx)
	}
	deadline := time.After(answerWait)
	for err == nil {
		if _, noDaemon := in.running(ctx, in.cfg); noDaemon == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-deadline:
			err = fmt.Errorf("it has not answered for %v", answerWait)
		case <-time.After(lookAgain):
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	why := s.LastWords(ctx)
	if why == "" {
		why = err.Error()
	}
	return vpn.Errorf(vpn.Unavailable, "the service is installed but does not start: %s", why).WithHint("its log: %s", s.FollowLog())
}

// report prints what there is now, and what can be done with it.
func (in *installation) report(ctx context.Context) error {
	s := in.service
	st, err := s.Status(ctx)
	if err != nil {
		return unanswered(st, err)
	}
	done := "the service runs, and starts with the machine"
	if st.State != service.Running {
		done = "the service is installed; start it: " + s.Command("start")
	}
	next := []string{
		"its state: vpn service status; its log: " + s.FollowLog(),
		"what it serves: vpn status; a server: vpn server create; a user: vpn users create NAME",
	}
	if in.moves() {
		next = append(next, "users, servers and keys of before stay in "+in.before.DataDir)
	}
	if user := in.Getenv("SUDO_USER"); user != "" && user != "root" && !slices.Contains(in.plan.Members, user) {
		next = append(next, fmt.Sprintf("to use vpn without sudo, which is to administer it: sudo usermod -aG %s %s, then log in again", service.Name, user))
	}
	return in.printer().show(answer{data: serviceChange{Status: st}, names: []string{service.Name}, plain: serviceRow(st), done: done, next: next})
}

// tell says what would be done.
func (in *installation) tell() error {
	would := in.steps()
	done := "would install the service of " + in.before.Init + " for " + in.plan.Binary + ", with its data in " + in.cfg.DataDir
	if len(would) > 0 {
		done += ": " + strings.Join(would, ", ")
	}
	return in.printer().show(answer{
		data: serviceChange{in.before, would, true}, names: []string{service.Name}, plain: serviceRow(in.before), done: done, warnings: deaf(in.cfg),
	})
}

// steps are what would be done, in its order.
func (in *installation) steps() (steps []string) {
	running := in.before.State == service.Running
	if in.moves() && in.before.State != service.Stopped {
		steps, running = append(steps, "stop the service and its servers"), false
	}
	plan := in.service.Steps(in.plan)
	steps = append(steps, plan...)
	switch {
	case in.noStart:
	case !running:
		steps = append(steps, "start the service")
	case len(plan) > 0 || !in.before.Runs(in.plan.Binary):
		steps = append(steps, "restart the service")
	}
	return steps
}

// serviceRow is a service in plain: state and process.
func serviceRow(st service.Status) *table {
	t := &table{}
	t.add(string(st.State), strconv.Itoa(st.PID), st.Definition)
	return t
}

// unanswered is what to say when the init system does not do as it is told.
func unanswered(st service.Status, err error) error {
	return vpn.Errorf(vpn.Unavailable, "%s does not answer: %w", st.Init, err)
}
