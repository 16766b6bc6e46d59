package settings_test

import (
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"vpn/internal/tui"
	"vpn/internal/tui/theme"
	"vpn/internal/tui/tuitest"
	"vpn/internal/vpn"
)

func open(t *testing.T, f *file, p *person, w, h int) *tuitest.Driver {
	t.Helper()
	o, _ := tuitest.Options(t)
	return tuitest.Drive(t, model(o, f, p), w, h).Press("6")
}

func TestPictures(t *testing.T) {
	refused := newFile()
	refused.problem = path + ":3: log_level must be debug, info, warn or error"
	for _, c := range []struct {
		name string
		f    *file
		keys []string
	}{
		{"appearance", newFile(), []string{"6", "l", "j", "j", "l"}},
		{"daemon", newFile(), []string{"6", "tab", "j", "j", "l"}},
		{"edit", newFile(), []string{"6", "tab", "j", "enter"}},
		{"preview", newFile(), []string{"6", "tab", "j", "j", "l", "k", "D", "ctrl+s"}},
		{"refused", refused, []string{"6", "tab"}},
		{"error", &file{err: vpn.Errorf(vpn.Denied, "you may not see the configuration").WithHint("ask whoever runs the machine")}, []string{"6", "tab"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			tuitest.Pictures(t, c.keys, func(o tui.Options) tea.Model { return model(o, c.f, newPerson()) })
		})
	}
}

func TestLoading(t *testing.T) {
	tuitest.Loading(t, []string{"6"}, func(o tui.Options) *tui.App { return model(o, newFile(), newPerson()) })
}

func TestAppearance(t *testing.T) {
	p := newPerson()
	d := open(t, newFile(), p, 120, 40)
	d.Want("Theme", "‹ auto ›", "high-contrast", "saved in /home/anna/.config/vpn/tui.yaml").WantNot("changed")
	d.Press("l", "l").Want("‹ light ›", "◆", "1 changed · ctrl+s saves")
	if p.now.Theme != theme.Light {
		t.Error("it is not seen at once")
	}
	d.Press("j", "enter").Want("‹ off ›", "2 changed").Press("j", "h").Want("‹ 5s ›", "3 changed").Press("d").Want("‹ 1s ›", "2 changed")
	d.Press("d").Want("this is not changed")
	d.Press("ctrl+s").Want("the appearance is in /home/anna/.config/vpn/tui.yaml").WantNot("changed ·")
	if p.saved != p.now || p.saved.Theme != theme.Light || p.saved.Mouse || p.saved.Refresh != time.Second {
		t.Errorf("saved %+v", p.saved)
	}
	d.Press("g", "D").Want("‹ auto ›", "1 changed").Press("d").Want("‹ light ›")
	d.Press("ctrl+s").Want("nothing is changed")
}

// What a flag gave for this time is no change of anybody's. Saved is what was
// chosen or, where nothing was, all that is seen.
func TestALookForOnce(t *testing.T) {
	p := newPerson()
	p.now.Theme = theme.Light
	d := open(t, newFile(), p, 120, 40).Want("‹ light ›").WantNot("changed")
	d.Press("esc", "6").WantNot("not saved").Press("j", "enter").Want("1 changed").Press("ctrl+s").Want("the appearance is in")
	if p.saved.Theme != theme.Auto || p.saved.Mouse {
		t.Errorf("saved %+v", p.saved)
	}
	p = newPerson()
	p.now.Theme = theme.Light
	if open(t, newFile(), p, 120, 40).Press("ctrl+s").Want("the appearance is in"); p.saved.Theme != theme.Light {
		t.Errorf("saved %+v", p.saved)
	}
}

// A file that cannot be read is not written over.
func TestPreferencesThatCannotBeRead(t *testing.T) {
	p := newPerson()
	p.err = vpn.Errorf(vpn.Invalid, "tui.yaml: line 2: what is this").WithHint("mend it")
	d := open(t, newFile(), p, 120, 40).Want("what is this").Press("l", "ctrl+s").Want("the appearance is not saved", "hint: mend it")
	if p.saved.Theme != theme.Auto {
		t.Error("it is written over")
	}
	p.err, p.file = nil, ""
	open(t, newFile(), p, 120, 40).Want("there is no place to save it").Press("l", "ctrl+s").Want("there is no place for preferences")
	d.Press("esc")
}

func TestConfiguration(t *testing.T) {
	f := newFile()
	d := open(t, f, newPerson(), 120, 40)
	d.Want("data_dir", "flag --data-dir", "vpn.example.org", "file, line 2", "variable VPN_L", "default")
	d.Press("tab", "j").Want("public_host is the name or address", "example    vpn.example.com", "from       /etc/vpn/config.yaml:2")

	// What is refused stands beside the field, and is not taken.
	d.Press("enter").Want("Configuration", "= vpn config set public_host vpn.example.org").Type(" x").Press("enter").Want("✗", "must be a domain name", "hint: write it like").WantNot("◆")
	for range 2 + len("vpn.example.org") {
		d.Press("backspace")
	}
	d.Type("fra.example").Want("= vpn config set public_host fra.example").Press("enter")
	d.Want("vpn.example.org ▸ fra.example", "◆", "1 changed", "public_host is to be fra.example")
	if len(f.patches) > 0 {
		t.Fatal("it is written before it is saved")
	}

	// A choice, and a default.
	d.Press("j", "l").Want("info ▸ warn", "2 changed", "= vpn config set log_level warn").Press("j", "D").Want("can be changed there only")
	d.Press("ctrl+s").Want("Save the configuration?", "public_host: vpn.example.org ▸ fra.example", "log_level: info ▸ warn",
		"It is written to "+path+", and a reload brings it into",
		"= vpn config set log_level warn --daemon && vpn config set public_host", "▸ Cancel").Press("enter").WantNot("Save the configuration?").Want("2 changed")
	d.Press("ctrl+s", "y").Want(path+" is written, in force: public_host", "u takes it back").WantNot("◆").Want("log_level      warn")
	if f.inForce["public_host"] != "fra.example" || f.inForce["log_level"] != "warn" || f.reloads != 1 || len(f.patches) != 1 {
		t.Errorf("%+v", f)
	}
	d.Press("esc", "u").Want("in force: public_host", "log_level      info")
	if f.inForce["public_host"] != "vpn.example.org" || f.inForce["log_level"] != "info" {
		t.Errorf("taken back: %+v", f.inForce)
	}
	d.Press("esc", "k", "D").Want("info ▸ its default", "= vpn config unset log_level").Press("ctrl+s").Want("vpn config unset log_level --daemon && vpn reload").Press("y")
	if _, is := f.set["log_level"]; is {
		t.Error("it is still in the file")
	}
}

// What takes a restart is said before it is saved.
func TestRestartAndWarnings(t *testing.T) {
	d := open(t, newFile(), newPerson(), 120, 40).Press("tab", "enter").Type("2").Press("enter", "ctrl+s")
	d.Want("what is in force stays", "Not before the daemon is started again: data_dir", "overrules the file")
}

// When all together is refused, it is told which of it is wrong.
func TestProblemsStandBesideTheirKeys(t *testing.T) {
	f := newFile()
	d := open(t, f, newPerson(), 120, 40).Press("tab", "G", "enter")
	for range len("471000-471999") {
		d.Press("backspace")
	}
	d.Type("5").Press("enter").Want("a range of user ids").Press("esc", "esc").WantNot("◆")

	// What became wrong after it was written down, is told beside it.
	d.Press("enter").Type("9").Press("enter").Want("◆")
	f.refuses = "worker_uids"
	d.Press("ctrl+s").Want("worker_uids is taken by somebody").WantNot("Save the configuration?").Press("esc").Want("✗ worker_uids")
}

func TestReload(t *testing.T) {
	f := newFile()
	f.set["log_level"] = "debug" // by hand
	d := open(t, f, newPerson(), 120, 40).Want("info ▸ debug by a reload").Press("R").Want("changed: log_level").WantNot("by a reload")
	f.reloadIs = vpn.Errorf(vpn.Invalid, "line 3 is wrong").WithHint("look at it")
	d.Press("R").Want("line 3 is wrong", "hint: look at it").Press("esc")
	d.Press("tab", "j", "j", "l", "ctrl+s", "y").Want(path+" is written, but not in force", "hint: look at it")
}

func TestLeavingKeepsChangesAndSaysSo(t *testing.T) {
	d := open(t, newFile(), newPerson(), 120, 40).Press("tab", "j", "j", "l").Press("esc").Want("1 change is kept here and not saved", "Appearance")
	d.Press("esc").Press("esc").Want("Dashboard shows").Press("6").Want("info ▸ warn", "1 change is kept here and not saved")
	d.Press("esc", "d").WantNot("◆").Press("esc").Want("Dashboard shows")
}

func TestMoveAndMouse(t *testing.T) {
	d := open(t, newFile(), newPerson(), 120, 40)
	d.Press("j", "j", "j").Want("Glyphs ─").Press("j").Want("data_dir ─").Press("k").Want("Glyphs ─")
	d.ClickOn("log_level", tea.MouseLeft).Want("log_level ─").ClickOn("log_level  ", tea.MouseLeft).Want("= vpn config set log_level info").Press("esc")
	d.ClickOn("‹ 1s", tea.MouseLeft).Want("Refresh ─").ClickOn("‹ 1s", tea.MouseLeft).Want("‹ 2s ›")
	d.Press("+").WantNot("Daemon").Press("tab").Want("Daemon").WantNot("Theme").Press("esc").Want("Theme", "Daemon")
	d.Send(tea.MouseWheelMsg{Button: tea.MouseWheelDown}).Fits()
}

// The menu is of the row that was clicked.
func TestMenu(t *testing.T) {
	d := open(t, newFile(), newPerson(), 120, 40)
	d.ClickOn("log_level", tea.MouseRight).Want("log_level ─", "Take the change back", "Back to the default").Press("D").Want("◆ log_level")
	d.Press("x").ClickOn("Take the change back", tea.MouseLeft).WantNot("◆")
	d.ClickOn("‹ 1s", tea.MouseRight).Want("Refresh ─", "‹ 1s ›", "Take the change back").Press("esc")
	d.ClickOn("KEY", tea.MouseRight).WantNot("Take the change back").ClickOn("log_level ─", tea.MouseRight).WantNot("Take the change back")
}

func TestHostileTextAndAllSizes(t *testing.T) {
	f := newFile()
	f.inForce["public_host"] = "\x1b[2J\x1b]52;c;eA==\a\u202e" + strings.Repeat("漢", 100) + "a\nb"
	f.set["public_host"] = f.inForce["public_host"]
	d := open(t, f, newPerson(), 80, 24).Fits().WantNot("\x1b", "]52").Press("tab", "j").Fits().Press("enter").Fits().Press("esc")
	d.Press("esc", "D").Fits().Press("ctrl+s").Fits().Press("esc")
	for _, keys := range [][]string{nil, {"tab"}, {"l"}, {"+"}} {
		d.Press(keys...)
		for w := 1; w <= 200; w += 23 {
			for h := 1; h <= 70; h += 11 {
				d.Size(w, h).Fits()
			}
		}
	}
}

func TestASCII(t *testing.T) {
	tuitest.ASCII(t, func(o tui.Options) tea.Model { return model(o, newFile(), newPerson()) },
		[]string{"6", "l"}, []string{"6", "tab", "j", "j", "l"}, []string{"6", "tab", "j", "j", "l", "ctrl+s"}, []string{"6", "tab", "j", "enter"}, []string{"6", "x"})
}
