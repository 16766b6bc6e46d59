package cli

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vpn/internal/client"
	"vpn/internal/config"
	"vpn/internal/daemon"
	"vpn/internal/protocol/all"
	"vpn/internal/vpn"
)

func upCommand(p *program) *cobra.Command { return newUp(p).cmd }

func newUp(p *program) *up {
	up := &up{program: p}
	up.cmd = &cobra.Command{
		Use: "up", Short: "Start here and now: a server, a user, a QR code", Args: exactly(),
		Long: `Run everything in the foreground: the daemon, a first server and a first user,
whose link and QR code are printed. What is there already is kept. ^C stops it
all. Where a daemon runs already, only link and code are printed.`,
		Example: `  vpn up
  vpn up --user alice --public-host vpn.example.org
  vpn up --dry-run                           see what it would make`,
		RunE: func(cmd *cobra.Command, _ []string) error { return up.run(cmd.Context()) },
	}
	fs := up.cmd.Flags()
	fs.StringVar(&up.server, "name", "main", "the server's `NAME`")
	fs.StringVar(&up.user, "user", "", "the user's `NAME` (default the first there is, or "+firstUser+")")
	up.flags.protocols = all.Protocols()
	up.flags.add(fs)
	changes[upResult](p, up.cmd)
	return up
}

// firstUser is the user that is made if nobody says another name.
const firstUser = "me"

// up is one run of the command.
type up struct {
	*program
	cmd          *cobra.Command
	server, user string
	flags        serverFlags
}

func (u *up) run(ctx context.Context) error {
	in, err := u.flags.newServer(u.cmd.Flags())
	if err != nil {
		return err
	}
	in.Name = u.server
	if u.global.dryRun {
		return u.use(ctx, orMakeStore, func(c *connection) error { return u.tell(ctx, c, in) })
	}
	if u.global.socket != "" {
		c, err := u.named(ctx)
		if err != nil {
			return err
		}
		return u.welcome(ctx, c.Client, in, true)
	}
	if err := servesHere(); err != nil {
		return err
	}
	cfg, err := u.config()
	if err != nil {
		c, err := u.despite(ctx, err)
		if err != nil {
			return err
		}
		return u.welcome(ctx, c.Client, in, true)
	}
	c, err := u.running(ctx, cfg)
	if err == nil {
		return u.welcome(ctx, c.Client, in, true)
	}
	if vpn.KindOf(err) != vpn.Unavailable {
		return err
	}
	if err := actAsOwner(cfg.DataDir); err != nil {
		return err
	}
	return u.foreground(ctx, cfg, in)
}

// foreground runs the daemon until a signal comes or it fails. If another one
// was a moment faster, it is that one that welcomes.
func (u *up) foreground(ctx context.Context, cfg config.Config, in vpn.NewServer) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGHUP)
	defer stop()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	ready := make(chan http.Handler, 1)
	options, endSignals, err := serveOptions(u.program, cfg, slog.LevelWarn, daemon.UpgradeSignal)
	if err != nil {
		return err
	}
	defer endSignals()
	options.StopWorkers = true
	options.Ready = func(h http.Handler) { ready <- h }
	served := make(chan error, 1)
	go func() { served <- daemon.Serve(ctx, options) }()

	look := time.NewTicker(lookAgain)
	defer look.Stop()
	for {
		select {
		case err := <-served:
			return err
		case <-look.C:
			if c := u.another(ctx, cfg); c != nil {
				cancel()
				<-served // it had not got the data directory
				return u.welcome(u.cmd.Context(), c.Client, in, true)
			}
		case h := <-ready:
			if err := u.welcome(ctx, client.InProcess(h), in, false); err != nil {
				cancel()
				if stopErr := <-served; stopErr != nil {
					u.printer().warn(stopErr.Error())
				}
				return err
			}
			return <-served
		}
	}
}

// another returns a connection to the daemon of cfg's data directory if one
// answers and it is not this process.
func (u *up) another(ctx context.Context, cfg config.Config) *connection {
	c, err := u.running(ctx, cfg)
	if err != nil {
		return nil
	}
	if status, err := c.System.Status(ctx); err != nil || status.PID == os.Getpid() {
		return nil
	}
	return c
}

// welcome sees to it that there is a server and a user, and prints what a
// person needs to connect.
func (u *up) welcome(ctx context.Context, c *client.Client, in vpn.NewServer, already bool) error {
	server, warnings, err := u.firstServer(ctx, c.Servers, in)
	if err != nil {
		return err
	}
	user, access, err := u.firstUser(ctx, c.Users)
	if err != nil {
		return err
	}
	u.busy.begin("waiting for server " + server.Name)
	status, err := awaitServer(ctx, c.System, server.Name)
	if err != nil {
		return err
	}
	for _, s := range status.Servers {
		if s.Name == server.Name {
			server = s
		}
	}
	if !server.Enabled {
		warnings = append(warnings, fmt.Sprintf("server %s is stopped; start it: vpn server start %s", server.Name, server.Name))
	}
	for _, w := range append(status.Warnings, problem(server)...) {
		if !slices.Contains(warnings, w) {
			warnings = append(warnings, w)
		}
	}
	return u.print(upResult{Server: server, User: user, Access: access, Warnings: warnings}, already)
}

// upResult is what "up -o json" prints.
type upResult struct {
	Server   vpn.ServerInfo `json:"server"`
	User     vpn.UserInfo   `json:"user"`
	Access   []vpn.Access   `json:"access"`
	Warnings []string       `json:"warnings,omitempty"`
	DryRun   bool           `json:"dry_run,omitempty"`
}

type serverKeeper interface {
	List(context.Context) ([]vpn.ServerInfo, error)
	Create(context.Context, vpn.NewServer) (vpn.ServerChange, error)
	Update(context.Context, string, vpn.ServerPatch) (vpn.ServerChange, error)
}

// firstServer returns the server of the wanted name, or any if no name was
// wanted, or else makes it.
func (u *up) firstServer(ctx context.Context, servers serverKeeper, in vpn.NewServer) (vpn.ServerInfo, []string, error) {
	list, err := servers.List(ctx)
	if err != nil {
		return vpn.ServerInfo{}, nil, err
	}
	if i := named(list, in.Name); i >= 0 {
		return u.kept(ctx, servers, list[i], in)
	}
	if len(list) > 0 && !u.cmd.Flags().Changed("name") {
		first := slices.MinFunc(list, func(a, b vpn.ServerInfo) int { return a.CreatedAt.Compare(b.CreatedAt) })
		return u.kept(ctx, servers, first, in)
	}
	if !u.global.dryRun {
		u.printer().note("making server %s …", in.Name) // it may take a while, to look at other sites
	}
	u.busy.begin("making server " + in.Name)
	change, err := servers.Create(ctx, in)
	if vpn.KindOf(err) == vpn.Conflict { // another "vpn up" may have been faster
		if list, listErr := servers.List(ctx); listErr == nil {
			if i := named(list, in.Name); i >= 0 {
				return u.kept(ctx, servers, list[i], in)
			}
		}
	}
	return change.Server, change.Warnings, err
}

func named(list []vpn.ServerInfo, name string) int {
	return slices.IndexFunc(list, func(s vpn.ServerInfo) bool { return s.Name == name })
}

// kept is a server that is there already. It keeps what it is but for the
// address in its links, about which "up" warns and so has to be told.
func (u *up) kept(ctx context.Context, servers serverKeeper, s vpn.ServerInfo, in vpn.NewServer) (vpn.ServerInfo, []string, error) {
	ignored := u.ignored(s)
	if !u.cmd.Flags().Changed("public-host") || in.PublicHost == s.PublicHost {
		return s, ignored, nil
	}
	change, err := servers.Update(ctx, s.Name, vpn.ServerPatch{PublicHost: &in.PublicHost})
	return change.Server, append(ignored, change.Warnings...), err
}

// ignored says that flags about a new server change nothing of one that is
// there.
func (u *up) ignored(s vpn.ServerInfo) []string {
	var flags []string
	u.cmd.Flags().Visit(func(f *pflag.Flag) {
		if f.Name == "port" || f.Name == "protocol" || u.flags.settings.values[f.Name] != nil {
			flags = append(flags, "--"+f.Name)
		}
	})
	if len(flags) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("server %s is there already, so %s is ignored", s.Name, strings.Join(flags, ", "))}
}

type userKeeper interface {
	List(context.Context, vpn.UserFilter) ([]vpn.UserInfo, error)
	Create(context.Context, vpn.NewUser) (vpn.UserChange, error)
	Access(context.Context, string) ([]vpn.Access, error)
}

// firstUser returns the wanted user, or the first if none was wanted, or else
// makes it.
func (u *up) firstUser(ctx context.Context, users userKeeper) (vpn.UserInfo, []vpn.Access, error) {
	user, access, err := u.userThere(ctx, users)
	if vpn.KindOf(err) != vpn.NotFound {
		return user, access, err
	}
	change, err := users.Create(ctx, vpn.NewUser{Name: cmp.Or(u.user, firstUser)})
	if vpn.KindOf(err) == vpn.Conflict { // another "vpn up" was faster
		return u.userThere(ctx, users)
	}
	return change.User, change.Access, err
}

// userThere returns the wanted user, or the first; an error of kind NotFound
// if there is none.
func (u *up) userThere(ctx context.Context, users userKeeper) (vpn.UserInfo, []vpn.Access, error) {
	list, err := users.List(ctx, vpn.UserFilter{})
	if err != nil {
		return vpn.UserInfo{}, nil, err
	}
	slices.SortStableFunc(list, func(a, b vpn.UserInfo) int { return a.CreatedAt.Compare(b.CreatedAt) })
	for _, user := range list {
		if u.user == "" || u.user == user.Name {
			access, err := users.Access(ctx, user.Name)
			return user, access, err
		}
	}
	return vpn.UserInfo{}, nil, vpn.Errorf(vpn.NotFound, "no user is there yet")
}

const (
	startWait = 10 * time.Second // for a server's worker to begin, or to fail
	startPoll = 50 * time.Millisecond
)

// awaitServer returns the status once the server's worker is past its start,
// or when that takes too long.
func awaitServer(ctx context.Context, system statusShower, name string) (vpn.Status, error) {
	deadline := time.After(startWait)
	for {
		status, err := system.Status(ctx)
		if err != nil {
			return status, err
		}
		for _, s := range status.Servers {
			if s.Name == name && s.State != vpn.Starting && s.State != vpn.Syncing {
				return status, nil
			}
		}
		select {
		case <-deadline:
			return status, nil
		case <-ctx.Done():
			return status, ctx.Err()
		case <-time.After(startPoll):
		}
	}
}
