package tui

import (
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"vpn/internal/tui/dialog"
	"vpn/internal/tui/key"
	"vpn/internal/tui/page"
	"vpn/internal/tui/theme"
)

// act does the frame's own actions.
func (f frame) act(action string) (tea.Cmd, bool) {
	a := f.a
	for _, s := range key.Screens() {
		if action == "screen."+strings.ToLower(s.String()) {
			return f.Go(s, ""), true
		}
	}
	switch action {
	case key.Back:
		return f.back(), true
	case key.Menu:
		x, y, ok := a.pages[a.screen].Rows().Anchor()
		if !ok {
			return f.Say(page.Note, "there is no row under the cursor to do something with"), true
		}
		f.Open(menu(a, x, y+2)) // below the row
	case "palette":
		a.palette = dialog.NewPick(f, "Command", "an action, or the name of a user or a server", f.palette())
		f.Open(a.palette)
		return a.poll(), true
	case "help":
		f.Open(dialog.NewPick(f, "Help: "+a.screen.String(), "what are you looking for?", f.help()))
	case "messages":
		f.Open(dialog.NewText(f, "Messages", a.say.history(a.theme)))
	case "freeze":
		a.frozen = !a.frozen
		return a.poll(), true
	case "undo":
		return f.takeBack(), true
	case "theme":
		return f.nextTheme(), true
	case "mouse":
		a.look.Mouse = !a.look.Mouse
		if a.look.Mouse {
			return f.Say(page.Note, "the mouse is the UI's; shift selects text in most terminals"), true
		}
		return f.Say(page.Note, "the mouse is the terminal's: it selects text"), true
	case "redraw":
		return tea.ClearScreen, true
	case "suspend":
		return tea.Suspend, true
	case "quit":
		return f.quit(), true
	default:
		return nil, false
	}
	return nil, true
}

// back leaves what can be left, the innermost first. It never quits.
func (f frame) back() tea.Cmd {
	a := f.a
	if a.say.dismiss() {
		return nil
	}
	if cmd, ok := a.pages[a.screen].Do(key.Back); ok {
		return cmd
	}
	if n := len(a.before); n > 0 {
		a.screen, a.before = a.before[n-1], a.before[:n-1]
		return tea.Batch(a.pages[a.screen].Show(""), a.poll())
	}
	return nil
}

// quit ends the UI. What is under way it would end too, so it asks first.
func (f frame) quit() tea.Cmd {
	if f.a.running == 0 {
		return tea.Quit
	}
	left := "A change is under way."
	if f.a.progress != nil {
		done, of := f.a.progress()
		left = fmt.Sprintf("%d of %d are done; the others stay as they are.", done, of)
	}
	f.Open(dialog.NewConfirm(f, dialog.Question{
		Title: "Quit before it is done?", Lines: []string{left}, Yes: "Quit", Danger: true,
		Do: func() tea.Cmd { return tea.Quit },
	}))
	return nil
}

func (f frame) takeBack() tea.Cmd {
	a := f.a
	if a.undo == nil {
		return f.Say(page.Note, "there is nothing to take back")
	}
	c := *a.undo
	a.undo = nil
	return f.Change(c)
}

func (f frame) nextTheme() tea.Cmd {
	names := theme.Names()
	l := f.a.look
	l.Theme = names[(slices.Index(names, l.Theme)+1)%len(names)]
	f.Apply(l)
	return f.Say(page.Note, "theme: "+string(l.Theme))
}

// palette is all that can be done on this screen, and where one can go.
func (f frame) palette() []dialog.Item {
	a := f.a
	var items []dialog.Item
	for _, act := range a.o.Keys.On(a.screen) {
		if strings.HasPrefix(act.ID, "move.") || act.ID == "palette" || act.ID == key.Back {
			continue
		}
		items = append(items, dialog.Item{Text: act.Title, Note: act.Label(), Twin: act.Command, Do: func() tea.Cmd { return f.Act(act.ID) }})
	}
	for _, s := range a.data.Status.Servers {
		items = append(items, dialog.Item{Text: "go server " + s.Name, Note: string(s.Protocol), Twin: "vpn server show " + dialog.Quote(s.Name), Do: func() tea.Cmd { return f.Go(key.Servers, s.Name) }})
	}
	for i := range a.data.Users {
		u := &a.data.Users[i]
		items = append(items, dialog.Item{Text: "go user " + u.Name, Note: string(u.Status), Twin: "vpn users show " + dialog.Quote(u.Name), Do: func() tea.Cmd { return f.Go(key.Users, u.Name) }})
	}
	return items
}

// help is the key table of this screen; enter does what is found.
func (f frame) help() []dialog.Item {
	a := f.a
	var items []dialog.Item
	for _, act := range a.o.Keys.On(a.screen) {
		items = append(items, dialog.Item{Text: act.Title, Note: strings.Join(act.Keys, " "), Twin: act.Command, Do: func() tea.Cmd { return f.Act(act.ID) }})
	}
	return items
}
