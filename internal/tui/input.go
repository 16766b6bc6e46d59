package tui

import (
	"context"

	tea "charm.land/bubbletea/v2"

	"vpn/internal/tui/dialog"
	"vpn/internal/tui/feed"
	"vpn/internal/tui/key"
	"vpn/internal/tui/page"
)

// closer is a dialog that may not be closed by esc right now.
type closer interface{ Closes() bool }

// typed gives a key or a paste to whoever it is for: the topmost dialog, a
// field of the page, or the key table.
func (a *App) typed(msg tea.Msg) tea.Cmd {
	k := ""
	if p, ok := msg.(tea.KeyPressMsg); ok {
		k = p.String()
	}
	if k == "ctrl+c" {
		return tea.Quit
	}
	if n := len(a.dialogs); n > 0 {
		top := a.dialogs[n-1]
		if k == "esc" {
			if c, ok := top.(closer); !ok || c.Closes() {
				a.dialogs = a.dialogs[:n-1]
			}
			return nil
		}
		return top.Update(msg)
	}
	if a.fault() != nil {
		return a.typedWithout(k)
	}
	if a.pages[a.screen].Type(msg) {
		return nil
	}
	action, ok := a.o.Keys.Find(a.screen, k)
	if !ok {
		return nil
	}
	return a.frame().Act(action.ID)
}

// typedWithout takes keys while there is no control plane to show anything
// of.
func (a *App) typedWithout(k string) tea.Cmd {
	action, _ := a.o.Keys.Find(key.Dashboard, k)
	switch {
	case action.ID == key.Open && a.canStart():
		a.starts = true
		start := a.o.Start
		return func() tea.Msg {
			ctx, cancel := context.WithTimeout(context.Background(), changeTimeout)
			defer cancel()
			return startMsg{start(ctx)}
		}
	case action.ID == key.Back:
		a.say.dismiss()
	case action.ID == "quit", action.ID == "help", action.ID == "theme", action.ID == "suspend", action.ID == "messages":
		cmd, _ := a.frame().act(action.ID)
		return cmd
	}
	return nil
}

// click gives a click to what is on top there.
func (a *App) click(m tea.MouseClickMsg) tea.Cmd {
	if n := len(a.dialogs); n > 0 {
		r := a.shown.dialog
		if m.X >= r.x && m.X < r.x+r.w && m.Y >= r.y && m.Y < r.y+r.h {
			return a.dialogs[n-1].Click(m.X-r.x, m.Y-r.y)
		}
		if c, ok := a.dialogs[n-1].(closer); !ok || c.Closes() {
			a.dialogs = a.dialogs[:n-1]
		}
		return nil
	}
	if a.fault() != nil || !a.fits() {
		return nil
	}
	for _, tab := range a.shown.tabs {
		if m.Y == 0 && m.X >= tab.x && m.X < tab.x+tab.w {
			return a.frame().Go(key.Screen(tab.y), "")
		}
	}
	if m.Y < 1 || m.Y >= a.h-1 {
		return nil
	}
	p := a.pages[a.screen]
	if m.Button != tea.MouseRight {
		return p.Click(m.X, m.Y-1)
	}
	if p.Rows().Point(m.X, m.Y-1) {
		a.frame().Open(menu(a, m.X, m.Y+1)) // below the row
	}
	return nil
}

// menu returns the menu of the row under the cursor.
func menu(a *App, x, y int) *dialog.Menu {
	offers := func(string) bool { return true }
	if c, ok := a.pages[a.screen].Rows().(page.Chooser); ok {
		offers = c.Offers
	}
	return dialog.NewMenu(a.frame(), a.screen, offers, x, y)
}

func (a *App) wheel(m tea.MouseWheelMsg) {
	d := 3
	if m.Button == tea.MouseWheelUp {
		d = -3
	}
	if len(a.dialogs) == 0 && a.fault() == nil {
		a.pages[a.screen].Wheel(d)
	}
}

// fault is why there is nothing to show at all, or nil.
func (a *App) fault() error {
	if a.data.Known(feed.Status) {
		return nil
	}
	return a.data.Err(feed.Status)
}
