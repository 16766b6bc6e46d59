// Package tui is the terminal UI: the frame around its screens. It keeps the
// screens, what lies above them, the messages and the clock; it gives keys
// and clicks to whoever they are for, asks the control plane for what the
// screen in front needs, and draws.
//
// It is a client of the API as the command line is, and has no rules of its
// own about users or servers. Model and pages run in the one goroutine of the
// terminal library; only commands run elsewhere.
package tui

import (
	"context"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"vpn/internal/tui/dialog"
	"vpn/internal/tui/feed"
	"vpn/internal/tui/key"
	"vpn/internal/tui/page"
	"vpn/internal/tui/theme"
	"vpn/internal/vpn"
)

// Options say how the UI is to be.
type Options struct {
	Source feed.Source
	Pages  func(page.Frame) []page.Page // in the order of [key.Screens]
	Keys   *key.Map

	Look   page.Look // Refresh may be 0: a second
	Dark   bool      // what the terminal is taken for until it answers
	Glyphs func(name string) theme.Glyphs

	// Start starts a daemon where none answers; nil: it cannot be.
	Start func(ctx context.Context) error

	// Watch calls event with each change that somebody makes or that happens,
	// until ctx or the connection ends; nil: one is seen only by looking.
	Watch func(ctx context.Context, event func(vpn.Event)) error

	Now   func() time.Time                                          // nil: the clock
	After func(d time.Duration, fn func(time.Time) tea.Msg) tea.Cmd // nil: [tea.Tick]
}

// App is the UI. It is a [tea.Model].
type App struct {
	o     Options
	theme *theme.Theme
	data  *feed.Data
	pages []page.Page

	w, h    int
	screen  key.Screen
	before  []key.Screen // where esc goes back to
	dialogs []page.Dialog
	say     messages
	undo    *page.Change // what takes the last change back
	dark    bool         // the terminal's background
	away    bool         // the terminal's window has not the focus
	starts  bool         // a daemon is being started
	palette *dialog.Pick // the last that was opened
	lost    int          // the message that says that the daemon has gone; 0: it has not

	running  int                   // changes whose end is still to come
	progress func() (done, of int) // of the last of them that is many things; nil: there is none
	frozen   bool
	look     page.Look
	since    time.Time

	shown drawn // what is on the screen
}

// New returns the UI, at its dashboard.
func New(o Options) *App {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.After == nil {
		o.After = tea.Tick
	}
	if o.Look.Refresh == 0 {
		o.Look.Refresh = time.Second
	}
	a := &App{o: o, data: feed.New(o.Source), dark: o.Dark, look: o.Look, since: o.Now()}
	a.say.after = o.After
	a.theme = theme.New(a.look.Theme, a.dark, o.Glyphs(a.look.Glyphs))
	a.pages = o.Pages(a.frame())
	return a
}

type (
	tickMsg   time.Time // time to look again
	changeMsg struct {
		change page.Change
		done   string
		err    error
	}
	startMsg struct{ err error }
	eventMsg struct{ event vpn.Event }
)

// Init asks for what the first screen needs. The first frame waits for none
// of it.
func (a *App) Init() tea.Cmd {
	cmds := []tea.Cmd{a.poll(), a.tick(), a.pages[a.screen].Show("")}
	if a.look.Theme == theme.Auto {
		cmds = append(cmds, tea.RequestBackgroundColor)
	}
	return tea.Batch(cmds...)
}

func (a *App) tick() tea.Cmd {
	d := a.look.Refresh
	if a.away {
		d *= 5
	}
	return a.o.After(d, func(t time.Time) tea.Msg { return tickMsg(t) })
}

// Tick is the message with which the UI looks at the control plane again.
func Tick(now time.Time) tea.Msg { return tickMsg(now) }

// Happened is the message with which the UI learns of an event.
func Happened(e vpn.Event) tea.Msg { return eventMsg{e} }

// poll asks the control plane for what is due. What is known stays as it is
// while the screen is frozen; one can go about in it.
func (a *App) poll() tea.Cmd {
	var cmds []tea.Cmd
	need := feed.Status | a.pages[a.screen].Needs()
	if a.choosing() != nil && a.data.Outdated(feed.Users) {
		need |= feed.Users // it has their names
	}
	if a.frozen {
		need &^= a.data.AllKnown()
	}
	for _, ask := range a.data.Due(need, a.o.Now(), a.look.Refresh) {
		cmds = append(cmds, func() tea.Msg { return ask() })
	}
	return tea.Batch(cmds...)
}

// Update takes a message.
func (a *App) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	m, isAnswer := msg.(feed.Answer)
	first := isAnswer && !a.data.Known(m.Topic)
	cmd := a.update(msg)
	if p, ok := a.pages[a.screen].(page.Follower); ok && a.fault() == nil {
		cmd = tea.Batch(cmd, p.Follow())
	}
	_, isTick := msg.(tickMsg)
	switch {
	case a.frozen && (isTick || isAnswer && !first):
	case !isTick && (!isAnswer || first) || !a.data.Expects(a.o.Now()):
		// What is asked for at a tick is drawn once, with its last answer.
		a.shown.dirty = true
	}
	return a, cmd
}

func (a *App) update(msg tea.Msg) tea.Cmd {
	switch m := msg.(type) {
	case tea.WindowSizeMsg:
		a.w, a.h = m.Width, m.Height
	case tea.BackgroundColorMsg:
		a.dark = m.IsDark()
		a.theme = theme.New(a.look.Theme, a.dark, a.theme.Glyphs)
	case tea.FocusMsg:
		a.away = false
		return a.poll()
	case tea.BlurMsg:
		a.away = true
	case tickMsg:
		return tea.Batch(a.poll(), a.tick(), a.mourn())
	case feed.Answer:
		a.data.Take(m, a.o.Now())
		for _, p := range a.pages {
			p.Learn(m.Topic)
		}
		if p := a.choosing(); p != nil && m.Topic == feed.Users {
			p.SetItems(a.frame().palette())
		}
		return a.mourn()
	case changeMsg:
		return a.changed(m)
	case eventMsg:
		a.data.Stale(affected(m.event))
		return a.poll()
	case startMsg:
		return a.started(m)
	case fadeMsg:
		a.say.fade(m)
	case tea.KeyPressMsg, tea.PasteMsg:
		return a.typed(msg)
	case tea.MouseClickMsg:
		return a.click(m)
	case tea.MouseWheelMsg:
		a.wheel(m)
	default:
		return a.pass(msg)
	}
	return nil
}

// pass hands the answer to a command to whoever gave it: each knows its own.
func (a *App) pass(msg tea.Msg) tea.Cmd {
	var cmds []tea.Cmd
	for _, d := range a.dialogs {
		cmds = append(cmds, d.Update(msg))
	}
	for _, p := range a.pages {
		cmds = append(cmds, p.Update(msg))
	}
	return tea.Batch(cmds...)
}

// longestTwin is how long a command line may be in a message. A dialog that
// asked has shown longer ones.
const longestTwin = 120

// changed tells how a change went, and which command does the same.
func (a *App) changed(m changeMsg) tea.Cmd {
	if a.running--; a.running == 0 {
		a.progress = nil
	}
	a.frozen = false // for what was done to be seen
	a.data.Stale(m.change.Affects | feed.Status)
	if m.err != nil {
		if m.change.Failed != nil {
			m.change.Failed(m.err)
			return a.poll()
		}
		return tea.Batch(a.say.add(page.Fault, faultText(m.err), a.o.Now()), a.poll())
	}
	if m.change.Undo != nil {
		a.undo = &page.Change{Do: m.change.Undo, Affects: m.change.Affects, Takes: m.change.Takes}
	}
	cmds := []tea.Cmd{a.poll()}
	if m.change.Then != nil {
		cmds = append(cmds, m.change.Then())
	}
	text := m.done
	if text == "" { // it was only to find out what a change would mean
		return tea.Batch(cmds...)
	}
	if m.change.Undo != nil {
		text += ", u takes it back"
	}
	if n := len(m.change.Twin); n > 0 && n <= longestTwin {
		text += "\n= " + m.change.Twin
	}
	return tea.Batch(append(cmds, a.say.add(page.Done, text, a.o.Now()))...)
}

// affected is what an event makes untrue.
func affected(e vpn.Event) feed.Topic {
	noun, _, _ := strings.Cut(e.Action, ".")
	switch noun {
	case "users", "devices":
		return feed.Users | feed.Status | feed.Sessions
	case "servers":
		return feed.Status | feed.Sessions
	case "events": // some were lost
		return feed.Users | feed.Status | feed.Sessions | feed.Host | feed.Rates | feed.Top
	}
	return feed.Status
}

// lostAfter is how long a daemon may be silent that is only restarted.
const lostAfter = 5 * time.Second

// mourn says once that the daemon has gone, and that it is back.
func (a *App) mourn() tea.Cmd {
	err := a.data.Err(feed.Status)
	switch {
	case !a.data.Known(feed.Status):
	case err != nil && a.lost == 0 && a.data.Age(feed.Status, a.o.Now()) > lostAfter+a.look.Refresh:
		cmd := a.say.add(page.Fault, "the daemon does not answer any more, and what is shown is old\n"+faultText(err), a.o.Now())
		a.lost = a.say.next
		return cmd
	case err == nil && a.lost > 0:
		a.say.fade(fadeMsg{a.lost})
		a.lost = 0
		return a.say.add(page.Done, "the daemon answers again", a.o.Now())
	}
	return nil
}

// choosing returns the palette, if it has the keys.
func (a *App) choosing() *dialog.Pick {
	if n := len(a.dialogs); n > 0 && a.palette != nil && a.dialogs[n-1] == page.Dialog(a.palette) {
		return a.palette
	}
	return nil
}

func faultText(err error) string {
	text := err.Error()
	if hint := vpn.HintOf(err); hint != "" {
		text += "\nhint: " + hint
	}
	return text
}

// started tells how the start of a daemon went.
func (a *App) started(m startMsg) tea.Cmd {
	a.starts = false
	a.data.Stale(feed.Status)
	if m.err != nil {
		return a.say.add(page.Fault, faultText(m.err), a.o.Now())
	}
	return tea.Batch(a.poll(), a.say.add(page.Done, "a daemon is running", a.o.Now()))
}
