package cli

import (
	"context"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vpn/internal/client"
	"vpn/internal/vpn"
)

// This file is the commands about the configuration when they ask a daemon:
// what it has read, and its own file.

// daemonFlag adds the flag that makes a command about this machine's file one
// about a daemon's configuration.
func daemonFlag(fs *pflag.FlagSet, ask *bool, usage string) { fs.BoolVar(ask, "daemon", false, usage) }

// asksDaemon reports whether cmd was given that flag.
func asksDaemon(cmd *cobra.Command) bool {
	f := cmd.Flags().Lookup("daemon")
	return f != nil && f.Changed && f.Value.String() == "true"
}

// showDaemonConfig prints those values that are wanted of what the daemon has
// read.
func showDaemonConfig(ctx context.Context, p *program, show func(vpn.Configuration) error) error {
	return p.read(ctx, func(ctx context.Context, c *client.Client) error {
		conf, err := c.Config.Show(ctx)
		if err != nil {
			return err
		}
		if conf.Problem != "" {
			p.printer().warn("a reload would refuse the configuration: " + conf.Problem)
		}
		return show(conf)
	})
}

// changeDaemonConfig has the daemon change its configuration's file, and says
// what was done to key.
func changeDaemonConfig(ctx context.Context, p *program, verb, key, value string, patch vpn.ConfigPatch) error {
	return p.read(ctx, func(ctx context.Context, c *client.Client) error {
		done, err := c.Config.Update(ctx, patch)
		if err != nil {
			return err
		}
		e := configEdit{Key: key, Value: value, File: done.File, Changed: done.Written, DryRun: done.DryRun}
		a := answer{data: e, names: []string{key}, plain: paths([]string{done.File}), warnings: done.Warnings, done: edited(e, verb)}
		reloads := slices.ContainsFunc(done.Changes, func(d vpn.ConfigDiff) bool { return !slices.Contains(done.Restart, d.Key) })
		if e.Changed && !e.DryRun && reloads {
			a.next = []string{"make the daemon read it: vpn reload"}
		}
		return p.printer().show(a)
	})
}

// edited says what was done to a configuration's file.
func edited(e configEdit, verb string) string {
	switch {
	case !e.Changed && verb == "unset":
		return e.Key + " is not set in " + e.File
	case !e.Changed:
		return e.Key + " is that already in " + e.File
	case e.DryRun:
		return "would " + verb + " " + e.Key + " in " + e.File
	}
	return verb + " " + e.Key + " in " + e.File
}
