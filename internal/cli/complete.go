package cli

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vpn/internal/client"
	"vpn/internal/config"
	"vpn/internal/protocol/all"
	"vpn/internal/vpn"
)

// completionWait is how long a person who pressed tab waits for names. A
// daemon that takes longer has none.
const completionWait = 300 * time.Millisecond

// completionEnd is how long is waited beyond that for what was begun to end,
// so that no ssh stays behind.
const completionEnd = 100 * time.Millisecond

// completing reports whether a shell asks what may come next.
func completing(args []string) bool {
	return len(args) > 0 && (args[0] == cobra.ShellCompRequestCmd || args[0] == cobra.ShellCompNoDescRequestCmd)
}

// A completer returns what may stand at one place, after the arguments before
// it. It asks nothing, says nothing and makes nothing.
type completer func(ctx context.Context, before []string) []string

// addCompletions tells each command what may follow. It follows from how the
// command is used: NAME is a user's below users and a server's below server.
func addCompletions(p *program, cmd *cobra.Command) {
	if cmd.Runnable() && !cmd.HasSubCommands() && cmd.ValidArgsFunction == nil {
		cmd.ValidArgsFunction = argumentsOf(p, cmd)
	}
	add := func(f *pflag.Flag) {
		_ = cmd.RegisterFlagCompletionFunc(f.Name, valuesOf(p, f)) // it fails if the flag has one already
	}
	cmd.Flags().VisitAll(add)
	cmd.PersistentFlags().VisitAll(add)
	for _, c := range cmd.Commands() {
		addCompletions(p, c)
	}
}

// argumentsOf completes the arguments that a command's use names.
func argumentsOf(p *program, cmd *cobra.Command) cobra.CompletionFunc {
	words := slices.DeleteFunc(strings.Fields(cmd.Use)[1:], func(w string) bool { return w == "[flags]" })
	return func(cmd *cobra.Command, args []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) >= len(words) && (len(words) == 0 || !strings.Contains(words[len(words)-1], "...")) {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		word := strings.Trim(words[min(len(args), len(words)-1)], "[].")
		if word == "FILE" {
			return nil, cobra.ShellCompDirectiveDefault
		}
		var found []string
		if complete := argument(p, cmd, word); complete != nil {
			found = complete(cmd.Context(), args)
		}
		return candidates(found, prefix, args), cobra.ShellCompDirectiveNoFileComp
	}
}

// argument returns what completes the word of a command's use, or nil.
func argument(p *program, cmd *cobra.Command, word string) completer {
	switch word {
	case "SHELL":
		return fixed(shells())
	case "KEY":
		return fixed(config.Keys())
	case "VALUE":
		return func(_ context.Context, before []string) []string { return config.Choices(before[0]) }
	case "DEVICE":
		if cmd.Name() == "add" {
			return nil // a new one
		}
		return deviceNames(p)
	case "NAME", "NAME|ID":
	default:
		return nil
	}
	switch noun := cmd.Parent().Name(); {
	case cmd.Name() == "create":
		return nil // a new one
	case noun == "users" && cmd.Name() == "restore":
		return live(p, deletedNames)
	case noun == "users", noun == "device":
		return live(p, userNames)
	case noun == "server":
		return live(p, serverNames)
	}
	return nil
}

// valuesOf completes the values of a flag.
func valuesOf(p *program, f *pflag.Flag) cobra.CompletionFunc {
	switch kind, _ := pflag.UnquoteUsage(f); kind {
	case "FILE":
		return func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveDefault
		}
	case "DIR":
		return func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		}
	}
	complete := flagValues(p, f)
	return func(cmd *cobra.Command, _ []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return candidates(complete(cmd.Context(), nil), prefix, nil), cobra.ShellCompDirectiveNoFileComp
	}
}

func flagValues(p *program, f *pflag.Flag) completer {
	if c, ok := f.Value.(*choice); ok {
		return fixed(c.of)
	}
	switch f.Name {
	case "status":
		return fixed(statusWords())
	case "quota-period":
		return fixed(vpn.Cycles())
	case "after-quota":
		return fixed([]string{"cut", "throttle:"})
	case "tag", "add-tag", "remove-tag":
		return live(p, userTags)
	case "server":
		return live(p, serverNames)
	case "protocol":
		var names []string
		for _, proto := range all.Protocols().All() {
			names = append(names, string(proto.Name()))
		}
		return fixed(names)
	}
	for _, proto := range all.Protocols().All() {
		for _, setting := range proto.Fields() {
			if setting.Flag() == f.Name {
				return fixed(setting.Choices)
			}
		}
	}
	return fixed(nil)
}

// live returns what fetch finds, unless it takes too long or fails: whoever
// pressed tab has asked for no error.
func live(p *program, fetch func(context.Context, *client.Client) ([]string, error)) completer {
	return func(ctx context.Context, _ []string) []string {
		p.global.noInput = true // nor does ssh ask
		ctx, cancel := context.WithTimeout(ctx, completionWait)
		defer cancel()
		found := make(chan []string, 1)
		go func() {
			var names []string
			err := p.read(ctx, func(ctx context.Context, c *client.Client) (err error) {
				names, err = fetch(ctx, c)
				return err
			})
			if err != nil {
				names = nil
			}
			found <- names
		}()
		select {
		case names := <-found:
			return slices.DeleteFunc(names, func(name string) bool { return !completable(name) })
		case <-ctx.Done():
		}
		select {
		case <-found: // ssh has ended
		case <-time.After(completionEnd): // whatever it is that hangs, the process ends
		}
		return nil
	}
}

// completable reports whether name is one that a daemon would give. It goes
// into a command line, by shells of which some run what they complete, and
// comes from another machine, maybe.
func completable(name string) bool { return vpn.ValidName(name) == nil || vpn.ValidTag(name) == nil }

func userNames(ctx context.Context, c *client.Client) ([]string, error) {
	list, err := c.Users.ListFields(ctx, vpn.UserFilter{}, "name")
	return namesOf(list, func(u vpn.UserInfo) string { return u.Name }), err
}

func userTags(ctx context.Context, c *client.Client) ([]string, error) {
	users, err := c.Users.ListFields(ctx, vpn.UserFilter{}, "tags")
	var tags []string
	for _, u := range users {
		tags = append(tags, u.Tags...)
	}
	slices.Sort(tags)
	return slices.Compact(tags), err
}

func deletedNames(ctx context.Context, c *client.Client) ([]string, error) {
	list, err := c.Users.Deleted(ctx)
	return namesOf(list, func(u vpn.UserInfo) string { return u.Name }), err
}

func serverNames(ctx context.Context, c *client.Client) ([]string, error) {
	list, err := c.Servers.List(ctx)
	return namesOf(list, func(s vpn.ServerInfo) string { return s.Name }), err
}

func fixed(words []string) completer {
	return func(context.Context, []string) []string { return words }
}

// candidates returns those that begin with prefix and were not given already.
func candidates(found []string, prefix string, given []string) []cobra.Completion {
	return slices.DeleteFunc(slices.Clone(found), func(s string) bool {
		return !strings.HasPrefix(s, prefix) || slices.Contains(given, s)
	})
}
