package users

import (
	"context"

	tea "charm.land/bubbletea/v2"

	"vpn/internal/tui/dialog"
	"vpn/internal/tui/page"
	"vpn/internal/tui/widget"
	"vpn/internal/vpn"
)

// atOnce is the choice that ends the old links.
const atOnce = "end at once"

// openRotate asks how long the old links of users go on, and makes new ones:
// all, or those of one server or, if it names one, one device.
func openRotate(p *Page, users []vpn.UserInfo, device string) tea.Cmd {
	const all = "all of them" // no name of a server
	form := widget.NewForm(
		widget.Field{Key: "keep", Label: "Old links", Choices: []string{"7d", "24h", "30d", atOnce}, Help: "how long they work beside the new ones; at once closes the connections that were made with them"},
		widget.Field{Key: "server", Label: "Servers", Choices: append([]string{all}, serverNames(p)...), Help: "whose keys are made anew"},
	)
	title, intro := "New keys for "+whom(users), "New keys and links are made; the old ones end. It cannot be taken back."
	if device != "" {
		title = "New keys for " + widget.Clean(device) + " of " + whom(users)
	}
	if people, _ := online(users); len(users) > 1 && people > 0 {
		intro = cutLine(users, "concerned") + " It cannot be taken back."
	}
	p.frame.Open(dialog.NewForm(p.frame, title, []string{intro}, form, func(f *widget.Form) page.Change {
		in, flags := vpn.Rotation{Device: device}, ""
		if s := f.Value("server"); s != all {
			in.Server = s
			flags += " --server " + dialog.Quote(s)
		}
		if device != "" {
			flags += " --device " + dialog.Quote(device)
		}
		if keep := f.Value("keep"); keep != atOnce {
			in.OldEnds, _ = vpn.ParseWhen(keep, p.frame.Now())
			flags += " --keep-old " + keep
		} else if len(users) > 1 {
			flags += " --yes"
		}
		return p.change(users, deed{
			twin: twin(users, "rotate", flags), done: "given new keys",
			do: func(ctx context.Context, u vpn.UserInfo) (vpn.UserChange, error) {
				return p.api.Devices.Rotate(ctx, string(u.ID), in)
			},
			say: func(c vpn.UserChange) string {
				text := many(len(c.Access), "link") + " of " + c.User.Name + isAre(len(c.Access)) + "made anew"
				if !in.OldEnds.IsZero() {
					text += "; the old ones end at " + moment(in.OldEnds)
				}
				return text
			},
			then: func(changes []vpn.UserChange) tea.Cmd {
				if len(users) > 1 || len(changes) == 0 {
					return nil
				}
				return access{p}.showNew(users[0], changes[0])
			},
		})
	}))
	return nil
}
