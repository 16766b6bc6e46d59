package cli

import (
	"context"
	"fmt"
	"net"
	"strconv"

	"github.com/spf13/cobra"

	"vpn/internal/client"
	"vpn/internal/vpn"
)

func serverCommand(p *program) *cobra.Command {
	cmd := group("server", "Manage servers: create, start, stop, logs", `  vpn server create
  vpn server list
  vpn server logs main -f`,
		serverCreate(p), serverList(p), serverShow(p), serverUpdate(p), serverStart(p), serverStop(p), serverRestart(p),
		serverDelete(p), serverLogs(p), serverStatus(p), serverTest(p),
	)
	cmd.Aliases = []string{"servers"}
	return cmd
}

// serverChange is what is done to one server.
type serverChange func(context.Context, string) (vpn.ServerChange, error)

// A deed is what a command does to a server: a verb, the word for having done
// it, and the request.
type deed struct {
	verb, past string
	change     func(*client.Client) serverChange
	interrupts bool // while there are connections, which end, it is confirmed
}

// serverVerb is a command that does one thing to one server.
func serverVerb(p *program, short string, d deed) *cobra.Command {
	cmd := &cobra.Command{
		Use: d.verb + " NAME", Short: short, Annotations: map[string]string{"doing": "waiting for the server's worker"},
		Example: "  vpn server " + d.verb + " main\n  vpn server " + d.verb + " main --dry-run",
	}
	if d.interrupts {
		cmd.Long = short + ".\nWhile people are connected it is asked about, and --yes answers."
	}
	return changes[vpn.ServerChange](p, onServer(p, cmd, func(cmd *cobra.Command, name string) error {
		if d.interrupts {
			if err := confirmInterruption(cmd.Context(), p, name, d.verb); err != nil {
				return err
			}
		}
		return p.change(cmd.Context(), ofStore, func(ctx context.Context, c *client.Client) (bool, error) {
			return changeServer(ctx, p.printer(), c, name, d)
		})
	}))
}

func confirmInterruption(ctx context.Context, p *program, name, verb string) error {
	if !p.global.confirms() {
		return nil
	}
	online := 0
	err := p.read(ctx, func(ctx context.Context, c *client.Client) error {
		s, err := c.Servers.Show(ctx, name)
		online = max(s.Online, len(s.Sessions))
		return err
	})
	if err != nil || online == 0 {
		return err
	}
	return p.confirm(ctx, fmt.Sprintf("%s server %s, and close %s?", capital(verb), name, many(online, "connection")))
}

func changeServer(ctx context.Context, out *printer, c *client.Client, name string, d deed) (bool, error) {
	done, err := d.change(c)(ctx, name)
	if err != nil {
		return false, err
	}
	return done.Synced, out.show(answer{
		data: done, names: []string{done.Server.Name}, plain: serverTable(done.Server),
		done:     doneWith(done, d),
		warnings: append(done.Warnings, problem(done.Server)...),
	})
}

// doneWith says what was done, and no more than that.
func doneWith(c vpn.ServerChange, d deed) string {
	switch {
	case c.DryRun:
	case c.Server.State == vpn.Failed:
		return "server " + c.Server.Name + " is to run, and does not yet"
	case c.Server.State == vpn.Stopped && c.Server.Enabled: // without a daemon
		return "server " + c.Server.Name + " is to run"
	}
	return did(c.DryRun, d.verb, d.past, "server %s", c.Server.Name) + closing(c.DryRun, c.Connections)
}

// problem says why a server that should run does not, if it is known.
func problem(s vpn.ServerInfo) []string {
	if s.Problem == "" || s.State == vpn.Stopped {
		return nil
	}
	return []string{"server " + s.Name + " is " + string(s.State) + ": " + s.Problem}
}

func serverTable(list ...vpn.ServerInfo) *table {
	t := &table{head: []string{
		"NAME", "STATE", "PROTOCOL", "ENDPOINT", ">ONLINE", ">UP", ">DOWN", ">USED",
		"+LISTENS ON", "+RUNTIME", "+>PID", "+CONFINED", "+CREATED", "+ID", "+NETWORK", "+>CPU", "+>MEMORY", "+CONTAINER", "+IN NETWORK",
	}}
	for _, s := range list {
		none := cell{"-", ""}
		pid, confined, cpu, memory, container, network := none, none, none, none, none, none
		if c := s.Container; c != nil {
			network = cellOf(c.Network)
		}
		if name := containerName(s); name != "" {
			container = cellOf(name)
		}
		if w := s.Worker; w != nil {
			pid, confined, memory = cellOf(strconv.Itoa(w.PID)), cellOf(yesNo(w.Confined)), sizeCell(w.Memory)
			if w.CPU != nil {
				cpu = percentCell(*w.CPU)
			}
		}
		t.add(s.Name, string(s.State), string(s.Protocol), s.Endpoint, strconv.Itoa(s.Online),
			nowCell(s.Rate.Up), nowCell(s.Rate.Down), usedCell(s.Used),
			listens(s), s.Runtime, pid, confined, timeCell(s.CreatedAt), string(s.ID), networksOf(s), cpu, memory, container, network)
	}
	return t
}

// listens is the address that the server's worker binds.
func listens(s vpn.ServerInfo) string {
	return net.JoinHostPort(s.Listen.String(), strconv.Itoa(int(s.Port)))
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
