package tui_test

import (
	"testing"
	"time"

	"vpn/internal/tui/key"
	"vpn/internal/tui/page"
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

func TestPaletteFindsAUser(t *testing.T) {
	d, _ := app(t, &tuitest.Fleet{N: 10})
	d.Press(":").Want("Command").Type("quit").Press("enter")
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
