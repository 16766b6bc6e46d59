package cli

// print tells a person how to connect. The warnings come last, where they are
// seen.
func (u *up) print(r upResult, already bool) error {
	out := u.printer()
	var mine []string // the user's links to this server first
	for _, a := range r.Access {
		if a.Server == r.Server.Name {
			mine = append(mine, handed(a)...)
		}
	}
	if !out.forPeople() || out.quiet {
		return out.show(answer{
			data: r, names: []string{r.User.Name}, plain: accessTable(r.Access), warnings: r.Warnings, quiet: mine,
		})
	}
	if err := out.fields("server", r.Server.Name, "state", string(r.Server.State), "endpoint", r.Server.Endpoint, "user", r.User.Name); err != nil {
		return err
	}
	for _, link := range mine {
		if err := u.printLink(out, link, r.User.Name); err != nil {
			return err
		}
	}
	out.warn(r.Warnings...)
	for _, step := range nextSteps(already) {
		out.note("%s", step)
	}
	return nil
}

func (u *up) printLink(out *printer, link, user string) error {
	if err := out.print("\n" + link + "\n\n"); err != nil {
		return err
	}
	if !u.OutTerminal {
		return nil
	}
	code, err := u.qrCode(link, user)
	if err != nil {
		out.note("%s", err.Error()) // the link is there all the same
		return nil
	}
	return out.print(code + "\n")
}

func nextSteps(already bool) []string {
	steps := []string{
		"to connect, put the link into a client application, or scan the code with it",
		"another user: vpn users create NAME --quota 50GB",
		"what goes on: vpn status",
	}
	if already {
		return append(steps, "the daemon was running already, and goes on")
	}
	return append(steps, "^C stops it all; what was made is kept")
}
