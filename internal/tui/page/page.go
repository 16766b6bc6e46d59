// Package page is what a screen of the terminal UI is: what the frame around
// it asks of it, and what it may ask of the frame.
//
// Pages are below this folder and do not know each other. They keep what is
// on the screen; what is true is in [feed.Data] and the API. All of it runs in
// the UI's one goroutine and does no I/O: that is what commands are for.
package page

import (
	"context"
	"time"

	tea "charm.land/bubbletea/v2"

	"vpn/internal/tui/feed"
	"vpn/internal/tui/key"
	"vpn/internal/tui/theme"
)

// A Page is one screen.
type Page interface {
	// Needs says what has to be known while it is in front.
	Needs() feed.Topic

	// Show brings it to the front, with what it is to show, such as the name
	// of a user; empty is what it showed last.
	Show(what string) tea.Cmd

	// Do does an action of the key table, and reports whether there was
	// something to do. The frame does its own actions itself.
	Do(action string) (tea.Cmd, bool)

	// Type takes a key or a paste before the key table is asked, and reports
	// whether it was for a field that has the keys.
	Type(msg tea.Msg) bool

	// Update takes the answer to one of the page's own commands.
	Update(msg tea.Msg) tea.Cmd

	// Learn tells that these topics were answered anew.
	Learn(t feed.Topic)

	// Render draws exactly h lines of exactly w cells.
	Render(w, h int) []string

	// Click is a click on what was rendered last; Wheel is lines to scroll.
	Click(x, y int) tea.Cmd
	Wheel(lines int)

	// Rows are what of it has a menu.
	Rows() Rows
}

// Rows are the rows of a page, as they were rendered last.
type Rows interface {
	// Point puts the cursor on the row at x, y, and Anchor says where the row
	// under the cursor is. They report whether there is one.
	Point(x, y int) bool
	Anchor() (x, y int, ok bool)
}

// A Chooser is [Rows] of several kinds: not each action of their menu is for
// each of them.
type Chooser interface {
	// Offers reports whether an action is for the row under the cursor.
	Offers(action string) bool
}

// A Follower is a page that asks for more about what its cursor stands on. The
// frame calls Follow after each message, as long as the page is in front, so
// it returns nil unless there is something new to ask for.
type Follower interface{ Follow() tea.Cmd }

// A Dialog lies above the screens, and has the keys while it is the topmost.
type Dialog interface {
	// Update takes keys, pastes and the answers to its own commands. esc is
	// the frame's: it closes the dialog.
	Update(msg tea.Msg) tea.Cmd

	// Render draws it, at most w by h, its frame included.
	Render(t *theme.Theme, w, h int) []string

	// Click is a click inside, in cells from its corner.
	Click(x, y int) tea.Cmd
}

// A Change is something that is done to the control plane.
type Change struct {
	// Twin is the command line that does the same: "vpn users delete alice".
	Twin string

	// Do does it and says what was done: "alice is deleted"; empty: nothing is
	// to be said.
	Do func(ctx context.Context) (done string, err error)

	// Undo does the opposite; nil: it cannot be undone.
	Undo func(ctx context.Context) (done string, err error)

	// Takes is how long it may take, and Progress how far it has come, if it is
	// many things; it may be called from any goroutine. Left out: a minute, and
	// one thing.
	Takes    time.Duration
	Progress func() (done, of int)

	// Failed is given what Do returned, so that it can be shown where it was
	// asked for; nil: it is a message. It runs in the UI's goroutine.
	Failed func(err error)

	// Then runs in the UI's goroutine after it was done.
	Then func() tea.Cmd

	// Affects is what is known and no longer true afterwards.
	Affects feed.Topic
}

// Look is how the UI looks.
type Look struct {
	Theme   theme.Name
	Mouse   bool
	Refresh time.Duration // between two looks at the control plane
	Glyphs  string        // the name of the signs: auto, unicode, blocks or ascii
}

// Weight says what a message is.
type Weight int

// Messages go away by themselves, but for faults.
const (
	Done Weight = iota
	Note
	Fault
)

// Frame is what a page may ask of the UI around it.
type Frame interface {
	Theme() *theme.Theme
	Keys() *key.Map
	Data() *feed.Data
	Now() time.Time

	// Look is how the UI looks now; Apply makes it look so at once, and keeps
	// it nowhere.
	Look() Look
	Apply(l Look)

	// Open puts a dialog on top, Close takes the topmost away.
	Open(d Dialog)
	Close()

	// Go brings a screen to the front, to show something.
	Go(s key.Screen, what string) tea.Cmd

	// Say shows a message for a while.
	Say(w Weight, text string) tea.Cmd

	// Copy sends text to the clipboard of the person's terminal. what names it.
	Copy(text, what string) tea.Cmd

	// Change does a change and says how it went.
	Change(c Change) tea.Cmd

	// Act does an action of the key table, as its key would.
	Act(action string) tea.Cmd
}
