package tui

import (
	"cmp"
	"context"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"vpn/internal/tui/feed"
	"vpn/internal/tui/key"
	"vpn/internal/tui/page"
	"vpn/internal/tui/theme"
	"vpn/internal/tui/widget"
)

// frame is what pages know of the UI.
type frame struct{ a *App }

var _ page.Frame = frame{}

func (a *App) frame() frame { return frame{a} }

// changeTimeout is how long a change is waited for, unless it says otherwise:
// longer than the control plane takes for any one thing.
const changeTimeout = 60 * time.Second

func (f frame) Theme() *theme.Theme { return f.a.theme }
func (f frame) Keys() *key.Map      { return f.a.o.Keys }
func (f frame) Data() *feed.Data    { return f.a.data }
func (f frame) Now() time.Time      { return f.a.o.Now() }

func (f frame) Look() page.Look { return f.a.look }

func (f frame) Apply(l page.Look) {
	a := f.a
	a.look = l
	a.theme = theme.New(l.Theme, a.dark, a.o.Glyphs(l.Glyphs))
}

// Open takes what was said off the screen: it would lie over the dialog.
func (f frame) Open(d page.Dialog) {
	f.a.say.dismiss()
	f.a.dialogs = append(f.a.dialogs, d)
}

func (f frame) Close() {
	if n := len(f.a.dialogs); n > 0 {
		f.a.dialogs = f.a.dialogs[:n-1]
	}
}

func (f frame) Go(s key.Screen, what string) tea.Cmd {
	a := f.a
	if s != a.screen {
		a.before = append(a.before, a.screen)
		a.before = a.before[max(len(a.before)-20, 0):]
		a.screen = s
	}
	return tea.Batch(a.pages[s].Show(what), a.poll())
}

func (f frame) Say(w page.Weight, text string) tea.Cmd {
	return f.a.say.add(w, text, f.a.o.Now())
}

// Copy cannot know whether the terminal takes it, so it says only that it was
// sent, and how to get at it otherwise.
func (f frame) Copy(text, what string) tea.Cmd {
	return tea.Batch(tea.SetClipboard(text), f.Say(page.Note, what+" was sent to your terminal's clipboard (OSC 52)\nNothing there? "+
		"In tmux: set -g set-clipboard on; or select it by hand (l shows links)"))
}

func (f frame) Change(c page.Change) tea.Cmd {
	f.a.running++
	if c.Progress != nil {
		f.a.progress = c.Progress
	}
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(context.Background(), cmp.Or(c.Takes, changeTimeout))
		defer cancel()
		done, err := c.Do(ctx)
		return changeMsg{c, done, err}
	}
}

func (f frame) Act(action string) tea.Cmd {
	if cmd, ok := f.act(action); ok {
		return cmd
	}
	cmd, _ := f.a.pages[f.a.screen].Do(action)
	return cmd
}

func wrapAll(text string, w int) []string {
	var out []string
	for line := range strings.SplitSeq(text, "\n") {
		out = append(out, widget.WrapWords(widget.Clean(line), w)...)
	}
	return out
}
