package tui_test

import (
	"context"
	"errors"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"vpn/internal/tui/dialog"
	"vpn/internal/tui/key"
	"vpn/internal/tui/page"
	"vpn/internal/tui/tuitest"
	"vpn/internal/tui/widget"
	"vpn/internal/vpn"
)

// door is a page with one thing that can be open or closed.
type door struct {
	tuitest.Blank
	frame page.Frame
	open  bool
	err   error
	name  string
}

func (d *door) change(open bool) page.Change {
	set := func(v bool) func(context.Context) (string, error) {
		return func(context.Context) (string, error) {
			if d.err != nil {
				return "", d.err
			}
			d.open = v
			if v {
				return "the door is open", nil
			}
			return "the door is closed", nil
		}
	}
	return page.Change{Twin: "vpn door open", Do: set(open), Undo: set(!open)}
}

func (d *door) Do(action string) (tea.Cmd, bool) {
	switch action {
	case key.Open:
		return d.frame.Change(d.change(true)), true
	case key.Expand:
		d.frame.Open(dialog.NewConfirm(d.frame, dialog.Question{
			Title: "Open the door?", Lines: []string{"Everybody can come in."}, Yes: "Open", Danger: true, Twin: "vpn door open", Name: d.name,
			Do: func() tea.Cmd { return d.frame.Change(d.change(true)) },
		}))
		return nil, true
	case key.NextPane:
		form := widget.NewForm(widget.Field{Key: "who", Label: "Who", Check: vpn.ValidName}, widget.Field{Key: "how", Label: "How", Choices: []string{"slowly", "fast"}})
		d.frame.Open(dialog.NewForm(d.frame, "Open", nil, form, func(f *widget.Form) page.Change {
			c := d.change(true)
			c.Twin = "vpn door open " + dialog.Quote(f.Value("who"))
			return c
		}))
		return nil, true
	case key.LastPane:
		return d.frame.Copy("vless://secret", "the link"), true
	}
	return nil, false
}

func doors(t *testing.T) (*tuitest.Driver, *door) {
	t.Helper()
	o, _ := tuitest.Options(t)
	o.Source = &tuitest.Fleet{N: 3}
	d := &door{}
	a := tuitest.Alone(o, key.Dashboard, func(f page.Frame) page.Page {
		d.frame, d.Theme, d.Title = f, f.Theme(), "Door"
		return d
	})
	return tuitest.Drive(t, a, 100, 30), d
}

func TestAChangeIsToldAndTakenBack(t *testing.T) {
	d, door := doors(t)
	d.Press("enter").Want("the door is open, u takes it back")
	if !door.open {
		t.Fatal("the door is closed")
	}
	if d.Press("u").Want("the door is closed"); door.open {
		t.Error("u has not closed the door")
	}
	d.Press("u").Want("there is nothing to take back")
}

func TestAFaultStaysUntilEsc(t *testing.T) {
	d, door := doors(t)
	door.err = vpn.Errorf(vpn.Conflict, "the door is locked").WithHint("find the key")
	d.Press("enter").Want("✗ the door is locked", "hint: find the key").Press("esc").WantNot("the door is locked")
	d.Press("ctrl+g").Want("Messages", "the door is locked")
}

func TestConfirmationsSayNoByThemselves(t *testing.T) {
	d, door := doors(t)
	d.Press("+").Want("Open the door?", "Everybody can come in.", "= vpn door open", "▸ Cancel").Press("enter").WantNot("Open the door?")
	d.Press("+", "esc", "+", "n", "+").Click(0, 0, tea.MouseLeft).WantNot("Open the door?")
	if door.open {
		t.Fatal("the door was opened")
	}
	d.Press("+", "tab").Want("▸ Open").Press("enter").Want("the door is open")
	if !door.open {
		t.Error("the door is closed")
	}
}

func TestClicksOnButtons(t *testing.T) {
	d, door := doors(t)
	d.Press("+").ClickOn("Cancel", tea.MouseLeft).WantNot("Open the door?")
	if door.open {
		t.Fatal("cancel has opened the door")
	}
	if d.Press("+").ClickOn("Open  ", tea.MouseLeft); !door.open {
		t.Error("the button has not opened the door")
	}
}

func TestSomeThingsAreTyped(t *testing.T) {
	d, door := doors(t)
	door.name = "front"
	d.Press("+").Want("Type front to go on").Type("frond").Press("enter").Want("that is not its name")
	if door.open {
		t.Fatal("a wrong name is enough")
	}
	d.Press("backspace").Type("t").Press("enter").Want("the door is open")
}

func TestFormsKeepWhatWasWritten(t *testing.T) {
	d, door := doors(t)
	d.Press("tab").Want("Open", "Who", "slowly").Press("enter").Want("✗") // nobody
	d.Type("alice").Want("= vpn door open alice")
	door.err = errors.New("the door is stuck")
	d.Press("enter").Want("✗ the door is stuck", "alice")
	door.err = nil
	d.Press("esc").Want("esc again throws away", "alice").Type("b").WantNot("esc again")
	d.Press("enter").WantNot("Who").Want("the door is open")
}

func TestCopyDoesNotLie(t *testing.T) {
	d, _ := doors(t)
	d.Press("shift+tab").Want("the link was sent to your terminal's clipboard (OSC 52)", "Nothing there?").WantNot("copied", "vless://secret")
	if d.Clipboard != "vless://secret" {
		t.Errorf("the clipboard got %q", d.Clipboard)
	}
}

// A change of many things says how far it is, and is not thrown away by a
// key.
func TestAChangeOfManyThings(t *testing.T) {
	o, clock := tuitest.Options(t)
	o.Source = &tuitest.Fleet{N: 3}
	var p *crowded
	a := tuitest.Alone(o, key.Dashboard, func(f page.Frame) page.Page {
		p = &crowded{frame: f}
		p.Theme = f.Theme()
		return p
	})
	d := tuitest.Drive(t, a, 100, 30)
	_, do := a.Update(tea.KeyPressMsg{Code: tea.KeyEnter}) // it goes on meanwhile
	p.done = 1234
	d.Later(clock, time.Second).Want("1234 of 10000").Press("q").Want("Quit before it is done?", "1234 of 10000 are done", "▸ Cancel").Press("enter")
	if d.Quit {
		t.Fatal("it has quit")
	}
	d.Send(do()) // its end
	d.Want("all are done").WantNot("of 10000").Press("q")
	if !d.Quit || p.took < time.Hour {
		t.Errorf("q quits: %v; the change may take %v", d.Quit, p.took)
	}
}

// crowded is a page with a change of ten thousand things.
type crowded struct {
	tuitest.Blank
	frame page.Frame
	done  int
	took  time.Duration
}

func (p *crowded) Do(action string) (tea.Cmd, bool) {
	if action != key.Open {
		return nil, false
	}
	return p.frame.Change(page.Change{
		Takes: 2 * time.Hour, Progress: func() (done, of int) { return p.done, 10_000 },
		Do: func(ctx context.Context) (string, error) {
			end, _ := ctx.Deadline()
			p.took = time.Until(end)
			return "all are done", nil
		},
	}), true
}

// Messages go away by themselves, but faults, and all can be read again.
func TestMessagesGoAndAreKept(t *testing.T) {
	o, _ := tuitest.Options(t)
	o.Source = &tuitest.Fleet{N: 3}
	var fade []func(time.Time) tea.Msg
	o.After = func(d time.Duration, fn func(time.Time) tea.Msg) tea.Cmd {
		if d == 4*time.Second {
			fade = append(fade, fn)
		}
		return nil
	}
	p := &door{}
	a := tuitest.Alone(o, key.Dashboard, func(f page.Frame) page.Page {
		p.frame, p.Theme = f, f.Theme()
		return p
	})
	d := tuitest.Drive(t, a, 100, 30).Press("enter").Want("the door is open", "= vpn door open")
	p.err = vpn.Errorf(vpn.Conflict, "the door is stuck").WithHint("push")
	d.Press("enter").Want("the door is stuck", "hint: push")
	for _, fn := range fade {
		d.Send(fn(tuitest.Now()))
	}
	d.WantNot("the door is open").Want("the door is stuck").Press("esc").WantNot("stuck")
	d.Press("ctrl+g").Want("Messages", "14:00:00", "the door is open", "the door is stuck").Press("esc").WantNot("Messages")
}

// What was said a moment ago does not lie over what is asked now.
func TestADialogIsNotCovered(t *testing.T) {
	d, _ := doors(t)
	d.Size(60, 18).Press("enter").Want("the door is open").Press("tab").Want("Who", "How").WantNot("the door is open")
}
