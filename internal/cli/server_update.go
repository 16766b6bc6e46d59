package cli

import (
	"context"
	"net/netip"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vpn/internal/client"
	"vpn/internal/protocol/all"
	"vpn/internal/vpn"
)

func serverUpdate(p *program) *cobra.Command {
	var flags serverPatchFlags
	cmd := &cobra.Command{
		Use: "update NAME", Short: "Change a server; live connections go on",
		Long: `Change a server while it runs. Live connections go on; what is changed holds for
new ones. If clients need new links, or connections end after all, it says so
and asks before it changes anything.

A list is given whole: what is left out of it goes.`,
		Example: `  vpn server update main --allow 10.1.0.0/16       a private network that users may reach
  vpn server update main --short-id 0a1b --short-id 2c3d
  vpn server update main --port 8443
  vpn server update main --runtime docker            move it into a container, while it is stopped
  vpn server update main --target www.example.com:443`,
	}
	flags.add(cmd.Flags())
	return changes[vpn.ServerChange](p, onServer(p, cmd, func(cmd *cobra.Command, name string) error {
		if !flags.given(cmd.Flags()) {
			return vpn.Errorf(vpn.Invalid, "there is nothing to change").
				WithHint("say what: vpn server update %s --public-host vpn.example.org", printable(name))
		}
		var patch vpn.ServerPatch
		err := p.read(cmd.Context(), func(ctx context.Context, c *client.Client) (err error) {
			patch, err = flags.patch(ctx, cmd.Flags(), c.Servers, name)
			return err
		})
		if err != nil {
			return err
		}
		if err := confirmUpdate(cmd.Context(), p, name, patch); err != nil {
			return err
		}
		return p.change(cmd.Context(), ofStore, func(ctx context.Context, c *client.Client) (bool, error) {
			return updateServer(ctx, p.printer(), c.Servers, name, patch)
		})
	}))
}

// serverPatchFlags are the flags of what can be changed about a server.
type serverPatchFlags struct {
	name, publicHost string
	port             uint16
	listen           netip.Addr
	allow            []netip.Prefix
	noCheck          bool
	settings         settingFlags
	home             homeFlags
}

func (f *serverPatchFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.name, "name", "", "the `NAME` from now on")
	fs.Var(portValue(&f.port), "port", "the port to listen on")
	fs.Var(addrValue(&f.listen), "listen", "the address to listen on; :: is every one")
	fs.StringVar(&f.publicHost, "public-host", "", "the `HOST` that clients dial; '' is the address of this machine")
	fs.Var(noneOr[netip.Prefix]{prefixList(&f.allow)}, "allow", "a private network that users may reach; may be given several times, or none")
	f.settings.add(fs, all.Protocols().All(), true)
	f.home.add(fs)
	fs.BoolVar(&f.noCheck, "no-check", false, "take the settings without a check over the network")
}

// given reports whether anything is to be changed.
func (f *serverPatchFlags) given(fs *pflag.FlagSet) bool {
	names := append([]string{"name", "port", "listen", "public-host", "allow"}, homeFlagNames()...)
	for flag := range f.settings.values {
		names = append(names, flag)
	}
	for _, name := range names {
		if fs.Changed(name) {
			return true
		}
	}
	return false
}

type serverUpdater interface {
	Update(context.Context, string, vpn.ServerPatch) (vpn.ServerChange, error)
}

// patch returns what those flags change that were given. Which settings there
// are depends on the server's protocol.
func (f *serverPatchFlags) patch(ctx context.Context, fs *pflag.FlagSet, servers serverShower, name string) (vpn.ServerPatch, error) {
	patch := vpn.ServerPatch{NoCheck: f.noCheck}
	for name, set := range map[string]func(){
		"name":        func() { patch.Name = &f.name },
		"port":        func() { patch.Port = &f.port },
		"listen":      func() { patch.Listen = &f.listen },
		"public-host": func() { patch.PublicHost = &f.publicHost },
		"allow":       func() { patch.Allow = &f.allow },
	} {
		if fs.Changed(name) {
			set()
		}
	}
	f.home.patch(fs, &patch)
	s, err := servers.Show(ctx, name)
	if err != nil {
		return patch, err
	}
	p, err := all.Protocols().Get(s.Protocol)
	if err != nil {
		return patch, err
	}
	patch.Settings, err = f.settings.of(fs, p)
	return patch, err
}

// confirmUpdate says what the update means to users, and asks if it hurts
// them. The control plane is not held while a person thinks.
func confirmUpdate(ctx context.Context, p *program, name string, patch vpn.ServerPatch) error {
	if !p.global.confirms() {
		return nil
	}
	var said vpn.ServerChange
	err := p.read(ctx, func(ctx context.Context, c *client.Client) (err error) {
		said, err = c.DryRun().Servers.Update(ctx, name, patch)
		return err
	})
	if err != nil || said.Effects == nil {
		return err
	}
	if said.Effects.Links != vpn.LinksReplaced && !said.Effects.Drops {
		return nil
	}
	p.printer().warn(effectsAhead(*said.Effects, said.Connections)...)
	return p.confirm(ctx, "Update server "+name+"?")
}

// effectsAhead says what will be, where it hurts.
func effectsAhead(e vpn.ServerEffects, online int) []string {
	var out []string
	if e.Links == vpn.LinksReplaced {
		out = append(out, "the links that clients have will work no more: every user needs a new one")
	}
	if e.Drops {
		live := "live connections"
		if online > 0 {
			live = many(online, "live connection")
		}
		out = append(out, live+" will end: the server has to start anew for this")
	}
	return out
}

func updateServer(ctx context.Context, out *printer, servers serverUpdater, name string, patch vpn.ServerPatch) (bool, error) {
	change, err := servers.Update(ctx, name, patch)
	if err != nil {
		return false, err
	}
	a := answer{
		data: change, names: []string{change.Server.Name}, plain: serverTable(change.Server),
		done:     did(change.DryRun, "update", "updated", "server %s", renamed(change.DryRun, name, change.Server.Name, patch.Name)),
		warnings: append(change.Warnings, problem(change.Server)...),
	}
	if e := change.Effects; e != nil {
		switch e.Links {
		case vpn.LinksReplaced:
			a.next = []string{"clients need new links; print them, for each user: vpn users link NAME --server " + change.Server.Name}
		case vpn.LinksChanged:
			a.next = []string{"links look different from now on; those that clients have work on"}
		}
		switch {
		case !change.DryRun:
			a.done += closing(false, change.Connections)
		case e.Drops:
			a.warnings = append(a.warnings, effectsAhead(vpn.ServerEffects{Drops: true}, change.Connections)...)
		}
	}
	return change.Synced, out.show(a)
}

// noneOr is a list that may be given as the word none, which empties it.
type noneOr[T any] struct{ *list[T] }

func (n noneOr[T]) Set(s string) error {
	if s == "none" {
		*n.to, n.texts = []T{}, []string{s}
		return nil
	}
	return n.list.Set(s)
}
