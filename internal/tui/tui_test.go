package tui_test

import (
	"context"
	"fmt"
	"image/color"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"vpn/internal/tui"
	"vpn/internal/tui/key"
	"vpn/internal/tui/page"
	"vpn/internal/tui/theme"
	"vpn/internal/tui/tuitest"
	"vpn/internal/vpn"
)

func app(t *testing.T, f *tuitest.Fleet) (*tuitest.Driver, *tuitest.Clock) {
	t.Helper()
	o, clock := tuitest.Options(t)
	o.Source = f
	return tuitest.Drive(t, tuitest.Alone(o, key.Everywhere, func(page.Frame) page.Page { return nil }), 100, 30), clock
}

func TestTabsAndBack(t *testing.T) {
	d, _ := app(t, &tuitest.Fleet{N: 10})
	d.Want("1 Dashboard", "Dashboard shows", "2/3 up")
	d.Press("2").Want("Users shows").Press("5").Want("Logs shows")
	d.Press("esc").Want("Users shows").Press("esc").Want("Dashboard shows").Press("esc").Want("Dashboard shows")
	if d.Quit {
		t.Error("esc has quit")
	}
	if d.Press("q"); !d.Quit {
		t.Error("q does not quit")
	}
}

// The palette has the names of users on a screen that needs them for nothing,
// and those of users who were made since.
func TestPaletteFindsAUser(t *testing.T) {
	f := &tuitest.Fleet{N: 10}
	d, clock := app(t, f)
	d.Press(":").Want("Command").Type("go user bob-0001").Press("enter").Want("Users shows bob-0001")
	d.Press("esc", ":").Type("go server outline").Press("enter").Want("Servers shows outline")
	f.N = 20
	d.Send(tui.Happened(vpn.Event{Action: "users.create", Subject: "alice-0010"}))
	d.Press("esc", ":").Type("go user alice-0010").Later(clock, time.Second).Want("go user alice-0010").Press("enter").Want("Users shows alice-0010")

	d.Press("esc", ":").Want("Command").Type("quit").Press("enter")
	if !d.Quit {
		t.Error("the palette's quit does not quit")
	}
}

func TestHelpIsSearched(t *testing.T) {
	d, _ := app(t, &tuitest.Fleet{N: 10})
	d.Press("2", "?").Want("Help: Users", "New user…").Type("delete").WantNot("New user…").Want("Delete…")
}

func TestNoDaemon(t *testing.T) {
	f := &tuitest.Fleet{Err: vpn.Errorf(vpn.Unavailable, "no daemon is running").WithHint("start it with: vpn serve")}
	d, clock := app(t, f)
	d.Want("No daemon answers", "no daemon is running", "hint: start it with: vpn serve")
	f.Err = nil
	d.Later(clock, time.Second).Want("Dashboard shows")
}

func TestSmallWindowsShowTotals(t *testing.T) {
	d, _ := app(t, &tuitest.Fleet{N: 10})
	d.Size(50, 10).Want("2/3 up", "61.8MB/s", "too small: 60×18").Fits().Size(60, 18).Want("Dashboard shows").Fits()
	for _, s := range key.Screens() { // the tab that is written out takes most
		d.Press(fmt.Sprint(int(s)+1)).Want("2/3 up").ClickOn("2 Use", tea.MouseLeft).Want("Users shows")
	}
}

func TestEverySizeFits(t *testing.T) {
	f := &tuitest.Fleet{N: 10}
	d, _ := app(t, f)
	for _, dialog := range []string{"", "?", ":", "ctrl+g"} {
		d.Press("esc", "esc", "2")
		if dialog != "" {
			d.Press(dialog)
		}
		for w := 1; w <= 200; w += 13 {
			for h := 1; h <= 70; h += 5 {
				d.Size(w, h).Fits()
			}
		}
	}
}

func TestFreezing(t *testing.T) {
	f := &tuitest.Fleet{N: 10}
	d, clock := app(t, f)
	d.Press("p").Want("frozen")
	f.Err = vpn.Errorf(vpn.Unavailable, "gone")
	d.Later(clock, time.Minute).Want("frozen").WantNot("data is").Press("p").Want("data is 60 s old")
}

// What is frozen is what is known: one can go about in it, and what one does
// is seen.
func TestAFrozenScreenIsNotDead(t *testing.T) {
	f := &tuitest.Fleet{N: 10}
	d, clock := app(t, f)
	d.Press(":").Want("Command").Press("esc", "p", "2").Want("frozen", "Users shows").Size(80, 20).Want("Users shows").Fits()
	f.N = 20
	d.Send(tui.Happened(vpn.Event{Action: "users.create", Subject: "alice-0010"}))
	d.Later(clock, time.Minute).Press(":").Type("go user alice").Want("alice-0000").WantNot("alice-0010").Press("esc", "p").WantNot("frozen")
	d.Press(":").Type("go user alice").Want("alice-0010")

	doors, door := doors(t)
	doors.Press("p").Want("frozen").Press("enter").Want("the door is open").WantNot("frozen")
	if !door.open {
		t.Error("the door is closed")
	}
}

func TestStaleDataIsCalledSo(t *testing.T) {
	f := &tuitest.Fleet{N: 10}
	d, clock := app(t, f)
	f.Err = vpn.Errorf(vpn.Unavailable, "the daemon hung up")
	d.Later(clock, time.Second).WantNot("old").Later(clock, 11*time.Second).Want("data is 12 s old", "Dashboard shows")
	f.Err = nil
	d.Later(clock, time.Second).WantNot("old")

	// Once, with what to do about it, until it is back.
	f.Err = vpn.Errorf(vpn.Unavailable, "no daemon is running").WithHint("start it with: vpn serve")
	d.Later(clock, time.Second).WantNot("any more") // it may be but a restart
	d.Later(clock, 10*time.Second).Want("the daemon does not answer any more", "no daemon is running", "start it with: vpn serve").Press("esc").WantNot("any more")
	d.Later(clock, 10*time.Second).WantNot("any more").Want("data is")
	f.Err = nil
	d.Later(clock, time.Second).Want("the daemon answers again").WantNot("data is")
	f.Err = vpn.Errorf(vpn.Unavailable, "gone")
	d.Later(clock, 10*time.Second).Want("any more")
	f.Err = nil
	d.Later(clock, time.Second).Want("answers again").WantNot("any more")
}

func TestNoPermission(t *testing.T) {
	d, _ := app(t, &tuitest.Fleet{Err: vpn.Errorf(vpn.Denied, "the daemon's socket is not open to you").WithHint("use sudo")})
	d.Want("You may not", "hint: use sudo", "✗ no access").WantNot("start one", "no daemon")
}

func TestOffersToStartADaemon(t *testing.T) {
	o, _ := tuitest.Options(t)
	f := &tuitest.Fleet{Err: vpn.Errorf(vpn.Unavailable, "no daemon is running")}
	o.Source = f
	fail := true
	o.Start = func(context.Context) error {
		if fail {
			return vpn.Errorf(vpn.Unavailable, "the port is taken")
		}
		f.Err = nil
		return nil
	}
	d := tuitest.Drive(t, tuitest.Alone(o, key.Everywhere, nil), 100, 30)
	d.Want("enter  start one now").Press("enter").Want("the port is taken").Press("esc").WantNot("the port is taken")
	fail = false
	d.Press("enter").Want("a daemon is running", "Dashboard shows")
}

func TestThemes(t *testing.T) {
	o, _ := tuitest.Options(t)
	o.Source, o.Look.Theme = &tuitest.Fleet{N: 10}, theme.Auto
	d := tuitest.Drive(t, tuitest.Alone(o, key.Everywhere, nil), 100, 30)
	dark, text := d.Cells().Render(), d.Text()
	d.Send(tea.BackgroundColorMsg{Color: color.White})
	if light := d.Cells().Render(); light == dark {
		t.Error("a light terminal changes nothing")
	}
	if d.Text() != text {
		t.Error("a theme changes more than colours")
	}
	d.Press("ctrl+t").Want("theme: dark")
	chosen := d.Cells().Render()
	d.Send(tea.BackgroundColorMsg{Color: color.Black}).Send(tea.BackgroundColorMsg{Color: color.White})
	if d.Cells().Render() != chosen {
		t.Error("the terminal's answer overrules what a person chose")
	}
	for _, want := range []string{"light", "high-contrast", "ansi16", "auto"} {
		d.Press("ctrl+t").Want("theme: " + want)
	}
}

func TestMouse(t *testing.T) {
	d, _ := app(t, &tuitest.Fleet{N: 10})
	d.ClickOn("2 Users", tea.MouseLeft).Want("Users shows").Press("M").Want("the mouse is the terminal's")
}

func TestPicturesOfTheFrame(t *testing.T) {
	for name, err := range map[string]error{
		"no_daemon":     vpn.Errorf(vpn.Unavailable, "no daemon answers on /run/vpn/api.sock").WithHint("start it: vpn up; as a service: sudo vpn service install"),
		"no_permission": vpn.Errorf(vpn.Denied, "the daemon's socket /run/vpn/api.sock is not open to you").WithHint("use sudo, or join the group vpn and log in again"),
	} {
		t.Run(name, func(t *testing.T) {
			tuitest.Pictures(t, nil, func(o tui.Options) tea.Model {
				o.Source = &tuitest.Fleet{Err: err}
				o.Start = func(context.Context) error { return nil }
				return tuitest.Alone(o, key.Everywhere, nil)
			})
		})
	}
	for name, keys := range map[string][]string{"palette": {"2", ":"}, "help": {"2", "?"}} {
		t.Run(name, func(t *testing.T) {
			tuitest.Pictures(t, keys, func(o tui.Options) tea.Model {
				o.Source = &tuitest.Fleet{N: 10}
				return tuitest.Alone(o, key.Everywhere, nil)
			})
		})
	}
}

func TestTerminalsThatCanDoNoMoreThanASCII(t *testing.T) {
	tuitest.ASCII(t, func(o tui.Options) tea.Model {
		o.Source = &tuitest.Fleet{N: 10}
		return tuitest.Alone(o, key.Everywhere, nil)
	}, nil, []string{":"}, []string{"2", "?"}, []string{"ctrl+t"}, []string{"ctrl+t", "ctrl+g"}, []string{"p"})
}
