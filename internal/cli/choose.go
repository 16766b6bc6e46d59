package cli

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"vpn/internal/client"
	"vpn/internal/vpn"
)

// An option is a thing that a person may choose.
type option struct{ name, note string }

// A noun is what a command's NAME is the name of.
type noun struct {
	one, many, create string
	list              func(context.Context, *client.Client) ([]option, error)
}

func userNoun() noun {
	return noun{"user", "users", "vpn users create NAME", func(ctx context.Context, c *client.Client) ([]option, error) {
		users, err := c.Users.ListFields(ctx, vpn.UserFilter{}, "name", "status")
		out := make([]option, 0, len(users))
		for _, u := range users {
			out = append(out, option{u.Name, string(u.Status)})
		}
		return out, err
	}}
}

func serverNoun() noun {
	return noun{"server", "servers", "vpn server create", func(ctx context.Context, c *client.Client) ([]option, error) {
		servers, err := c.Servers.List(ctx)
		out := make([]option, 0, len(servers))
		for _, s := range servers {
			out = append(out, option{s.Name, string(s.State)})
		}
		return out, err
	}}
}

// onUser makes cmd a command about the user NAME. Left out, the user is
// chosen from a list where there is somebody to choose. It returns cmd.
func onUser(p *program, cmd *cobra.Command, run func(cmd *cobra.Command, name string) error) *cobra.Command {
	return onA(p, userNoun(), cmd, run)
}

// onServer is onUser for a server.
func onServer(p *program, cmd *cobra.Command, run func(cmd *cobra.Command, name string) error) *cobra.Command {
	return onA(p, serverNoun(), cmd, run)
}

func onA(p *program, n noun, cmd *cobra.Command, run func(cmd *cobra.Command, name string) error) *cobra.Command {
	cmd.Args = exactly("[NAME]") // whether it may be missing is seen when there is nobody to ask
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 {
			return run(cmd, args[0])
		}
		name, err := chooseA(p, cmd, n, "NAME")
		if err != nil {
			return err
		}
		return run(cmd, name)
	}
	return cmd
}

// chooseA lets a person choose what is missing on the command line, which
// cmd's usage calls word.
func chooseA(p *program, cmd *cobra.Command, n noun, word string) (string, error) {
	if !p.prompter().able {
		return "", missing(cmd, word)
	}
	var options []option
	err := p.read(cmd.Context(), func(ctx context.Context, c *client.Client) (err error) {
		options, err = n.list(ctx, c)
		return err
	})
	if err != nil {
		return "", err
	}
	if len(options) == 0 {
		return "", vpn.Errorf(vpn.NotFound, "there are no %s yet", n.many).WithHint("make one: %s", n.create)
	}
	return p.prompter().choose(cmd.Context(), n, options)
}

// onDevice returns what runs a command about a DEVICE of the user NAME. Left
// out, the user is chosen from a list, and the device is found by which.
func onDevice(p *program, which func(cmd *cobra.Command, user string, args []string) (string, error),
	run func(cmd *cobra.Command, user, device string) error,
) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			user, err := chooseA(p, cmd, userNoun(), "NAME")
			if err != nil {
				return err
			}
			args = []string{user}
		}
		device, err := which(cmd, args[0], args[1:])
		if err != nil {
			return err
		}
		return run(cmd, args[0], device)
	}
}

// oneOf returns the first of args, which cmd's usage calls word. Left out, it
// is chosen of options where there is somebody to choose.
func oneOf(p *program, cmd *cobra.Command, args []string, word string, n noun, options []option) (string, error) {
	if len(args) > 0 {
		return args[0], nil
	}
	ask := p.prompter()
	if !ask.able {
		return "", missing(cmd, word)
	}
	return ask.choose(cmd.Context(), n, options)
}

// words are options that need no explanation.
func words(list []string) []option {
	out := make([]option, 0, len(list))
	for _, w := range list {
		out = append(out, option{name: w})
	}
	return out
}

// newName returns the NAME of what is to be made, which a person is asked for
// if it is missing.
func newName(p *program, cmd *cobra.Command, args []string, what string) (string, error) {
	if len(args) == 1 {
		return args[0], nil
	}
	ask := p.prompter()
	if !ask.able {
		return "", missing(cmd, "NAME")
	}
	name, err := ask.line(cmd.Context(), "The new "+what+"'s name:")
	if err == nil && name == "" {
		err = missing(cmd, "NAME")
	}
	return name, err
}

const (
	mostOptions = 30 // that are listed at once
	mostTries   = 3
)

// choose lets a person choose one of options: by its number, its name, or how
// its name begins. Of many, it first asks for a part of the name.
func (q *prompter) choose(ctx context.Context, n noun, options []option) (string, error) {
	for tries := 0; len(options) > mostOptions && tries < mostTries; tries++ {
		part, err := q.line(ctx, fmt.Sprintf("Which %s? There are %d. A part of the name:", n.one, len(options)))
		if err != nil {
			return "", err
		}
		switch found := matching(options, part); {
		case len(found) == 0:
			q.say(fmt.Sprintf("No %s has that in its name.", n.one))
		default:
			options = found
		}
	}
	if len(options) > mostOptions {
		return "", vpn.Errorf(vpn.Invalid, "no %s was chosen", n.one).WithHint("name it on the command line")
	}
	numbered := !slices.ContainsFunc(options, func(o option) bool { return isNumber(o.name) })
	q.say(capital(n.many) + ":")
	for _, line := range lay(options, numbered) {
		q.say(line)
	}
	for range mostTries {
		answer, err := q.line(ctx, "Which one?")
		if err != nil {
			return "", err
		}
		if answer == "" {
			break
		}
		name, why := pickOne(options, answer, numbered)
		if name != "" {
			return name, nil
		}
		q.say(why)
	}
	return "", vpn.Errorf(vpn.Invalid, "no %s was chosen", n.one).WithHint("name it on the command line")
}

// pickOne returns which option is meant, or why none is.
func pickOne(options []option, answer string, numbered bool) (name, why string) {
	if i, err := strconv.Atoi(answer); err == nil && numbered {
		if i < 1 || i > len(options) {
			return "", fmt.Sprintf("There is no number %d.", i)
		}
		return options[i-1].name, ""
	}
	var begins []string
	for _, o := range options {
		if o.name == answer {
			return o.name, ""
		}
		if strings.HasPrefix(o.name, strings.ToLower(answer)) {
			begins = append(begins, o.name)
		}
	}
	switch len(begins) {
	case 0:
		return "", "None is called that."
	case 1:
		return begins[0], ""
	}
	return "", "That may be " + strings.Join(begins, ", ") + "."
}

func matching(options []option, part string) []option {
	part = strings.ToLower(part)
	return slices.DeleteFunc(slices.Clone(options), func(o option) bool {
		return o.name != part && !strings.Contains(o.name, part)
	})
}

// lay writes options as lines. Where a name is itself a number, numbers would
// be mistaken for names, and there are none.
func lay(options []option, numbered bool) []string {
	width := 0
	for _, o := range options {
		width = max(width, len(o.name))
	}
	digits := len(strconv.Itoa(len(options)))
	out := make([]string, 0, len(options))
	for i, o := range options {
		number := ""
		if numbered {
			number = fmt.Sprintf("%*d  ", digits, i+1)
		}
		out = append(out, strings.TrimRight(fmt.Sprintf("%s%-*s  %s", number, width, o.name, o.note), " "))
	}
	return out
}

func isNumber(s string) bool {
	_, err := strconv.Atoi(s)
	return err == nil
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
