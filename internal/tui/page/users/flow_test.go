package users_test

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"vpn/internal/tui/page/users"
	"vpn/internal/tui/tuitest"
	"vpn/internal/vpn"
)

func TestFilterMarkAndDelete(t *testing.T) {
	f := newPlane(1000)
	d := drive(t, f, 120, 40)
	d.Press("/").Type("alice is:exp").Want("5 of 1000").Press("enter")
	d.Press("space", "space", "d").Want("Delete 2 users?", "alice-0100, alice-0200", "▸ Cancel", `= for u in alice-0100 alice-0200; do vpn users delete "$u" --yes; done`)
	d.Press("enter").WantNot("Delete 2 users?")
	f.wantCalls(t)
	d.Press("d", "y").Want("2 users are deleted, u takes it back")
	f.wantCalls(t, "alice-0100 delete", "alice-0200 delete")
	d.Press("u").Want("2 users are back")
	f.wantCalls(t, "alice-0100 restore", "alice-0200 restore")
	d.Press("esc", "esc").Want("1000 ─╮").WantNot("of 1000")
}

func TestPartOfWhatIsMarkedFails(t *testing.T) {
	f := newPlane(20)
	f.fails["bob-0001"] = vpn.Errorf(vpn.Unavailable, "the disk is full")
	d := drive(t, f, 120, 40).Press("space", "space", "space", "d").Want("Delete 3 users?").Press("y")
	d.Want("2 users are deleted, u takes it back", "1 of 3 users are not deleted:", "bob-0001: the disk is full")
	f.wantCalls(t, "alice-0000 delete", "carol-0002 delete")
	d.Press("u")
	f.wantCalls(t, "alice-0000 restore", "carol-0002 restore") // and not the one who is still there

	// Of nobody: nothing was done, and there is nothing to take back.
	f.fails["alice-0000"], f.fails["carol-0002"] = f.fails["bob-0001"], f.fails["bob-0001"]
	d.Press("esc", "d", "y").Want("3 of 3 users are not deleted:", "alice-0000: the disk is full").WantNot("u takes it back")
	f.wantCalls(t)
}

func TestQuestionsSayWhoIsOnline(t *testing.T) {
	f := newPlane(20)
	d := drive(t, f, 120, 40)
	d.Press("/").Type("hiro-0007").Press("enter", "K").Want("Kick hiro-0007?", "4 connections are closed.", "= vpn users kick hiro-0007").Press("y")
	d.Want("2 connections of hiro-0007 are closed").Press("esc")
	f.wantCalls(t, "hiro-0007 kick")
	d.Press("esc", "G", "space").Press("/").Type("!is:online").Press("enter", "g", "space", "d") // julia-0019 and alice-0000
	d.Want("Delete 2 users?", "1 of them is online: 4 connections are closed.").Press("esc")
	drive(t, f, 120, 40).Press("K").Want("Kick alice-0000?", "A moment ago there was no connection")
	f.wantCalls(t)
}

func TestToggle(t *testing.T) {
	f := newPlane(20)
	d := drive(t, f, 120, 40).Press("t").Want("alice-0000 is disabled, u takes it back", "= vpn users disable alice-0000")
	f.wantCalls(t, "alice-0000 update enabled false")
	d.Press("u").Want("alice-0000 is enabled")
	f.wantCalls(t, "alice-0000 update enabled true")
	// Of several, those who are enabled are disabled: farid-0005 is not.
	d.Press("esc", "/").Type("000").Press("enter", "g", "space", "j", "j", "j", "j", "space", "t")
	d.Want("Disable alice-0000?", "= vpn users disable alice-0000").Press("y").Want("alice-0000 is disabled")
	f.wantCalls(t, "alice-0000 update enabled false")
	d.Press("esc", "g", "j", "space", "t").Want("Disable 2 users?", `= for u in alice-0000 bob-0001; do vpn users disable "$u"; done`).Press("y")
	f.wantCalls(t, "alice-0000 update enabled false", "bob-0001 update enabled false")
}

func TestExtend(t *testing.T) {
	f := newPlane(20)
	d := drive(t, f, 120, 40).Press("E").Want("alice-0000 never expires: there is nothing to extend").Press("esc")
	// From now if the end is past: that end cannot be set again.
	d.Press("j", "E").Want("bob-0001 is valid until", "= vpn users update bob-0001 --expires 2026-12-23T14:00:00Z").WantNot("u takes it back")
	f.wantCalls(t, "bob-0001 update expires 2026-12-23")
	// From the end if it is to come.
	d.Press("esc", "/").Type("hiro-0007").Press("enter", "E").Want("u takes it")
	f.wantCalls(t, "hiro-0007 update expires 2026-12-24")
	d.Press("u").Want("hiro-0007 is as before")
	f.wantCalls(t, "hiro-0007 update expires 2026-11-24")
}

func TestResetAndRotate(t *testing.T) {
	f := newPlane(20)
	d := drive(t, f, 120, 40).Press("j", "Z").Want("Reset what bob-0001 used?", "1.43 GB", "▸ Cancel", "= vpn users reset bob-0001").Press("y")
	d.Want("what bob-0001 used is reset, who is kept out")
	d.Press("esc", "R").Want("New keys for bob-0001", "Old links", "= vpn users rotate bob-0001 --keep-old 7d").Press("enter")
	d.Want("1 link of bob-0001 is made anew; the old ones end at", "vless://2b9f@vpn.example.org").Press("esc", "esc")
	d.Press("R", "left").Want("= vpn users rotate bob-0001 ", "end at once").WantNot("--keep-old").Press("down", "right").Want("--server main").Press("enter")
	f.wantCalls(t, "bob-0001 reset", "bob-0001 rotate   old ends 2026-11-30", "bob-0001 rotate main  old ends 0001-01-01")
}

func TestLinksAndCopies(t *testing.T) {
	f := newPlane(20)
	d := drive(t, f, 120, 40).Press("l").Want("Links and files of alice-0000", "all of them", "tunnel, phone", "wireguard file").Press("enter")
	d.Want("vless://2b9f@vpn.example.org:443?security=reality#main", "PrivateKey = abc", "one device at a time", "= vpn users link alice-0000").Press("y")
	if want := f.access[0].Link + "\n" + f.access[1].File.Text; d.Clipboard != want {
		t.Errorf("the clipboard has %q, want %q", d.Clipboard, want)
	}
	d.Press("esc", "esc").Press("y").Want("Copy for alice-0000").Type("tunnel").Press("enter").Want("the file tunnel.conf of alice-0000 to tunnel for phone")
	if d.Clipboard != f.access[1].File.Text {
		t.Errorf("the clipboard has %q", d.Clipboard)
	}
	f.access = f.access[:1] // of one there is no choice
	if d.Press("esc", "y").Want("the link of alice-0000 to main was sent"); d.Clipboard != f.access[0].Link {
		t.Errorf("the clipboard has %q", d.Clipboard)
	}
	f.access = nil
	d.Press("esc", "r").Want("no server lets alice-0000 in")
}

// A link goes on to the end of each line, so that nothing but its lines must
// be put together by whoever selects it.
func TestLinksAreNotBrokenAtHyphens(t *testing.T) {
	f := newPlane(20)
	f.access[0].Link = "vless://0b6d7f1c-51cc-4e72-a40a-b5695f698575@vpn.example.org:443?security=reality&sni=www.example.org#main"
	d := drive(t, f, 60, 18).Press("l", "enter")
	d.Want("\n" + f.access[0].Link[:60] + "\n" + f.access[0].Link[60:] + "\n")
}

func TestQRCodeThatIsTooLargeIsSaved(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	f := newPlane(20)
	d := drive(t, f, 60, 18).Press("r", "enter").Want("The code takes 37 columns", "= vpn users qr alice-0000 --server main").Press("s").Want("wrote alice-0000-main.png")
	if err := os.WriteFile("alice-0000-main-2.png", []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	d.Press("esc", "r", "enter", "s").Want("wrote alice-0000-main-3.png")
	if mine, err := os.ReadFile("alice-0000-main-2.png"); err != nil || string(mine) != "mine" {
		t.Errorf("a file that was there has %q, %v", mine, err)
	}
	for _, name := range []string{"alice-0000-main.png", "alice-0000-main-3.png"} {
		data, err := os.ReadFile(name)
		if err != nil || !strings.HasPrefix(string(data), "\x89PNG") {
			t.Errorf("%s: %q, %v", name, data[:min(len(data), 8)], err)
		}
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	o, _ := tuitest.Options(t)
	broken := users.Options{Write: func(string, []byte) error { return errors.New("no space left on device") }}
	tuitest.Drive(t, made(o, f, broken), 60, 18).Press("2", "r", "enter", "s").Want("no space left on device")
	always := users.Options{Write: func(string, []byte) error { return fs.ErrExist }}
	tuitest.Drive(t, made(o, f, always), 60, 18).Press("2", "r", "enter", "s").Want("exists already, and so do its")
}

func TestDevices(t *testing.T) {
	f := newPlane(20)
	d := drive(t, f, 120, 40).Press("D").Want("Devices of alice-0000", "phone", "main tunnel").Press("enter")
	d.Want("A device of alice-0000", "= vpn users device add alice-0000 DEVICE").Press("enter").Want("use 1 to 63 of a-z, 0-9")
	d.Type("laptop").Press("tab", "space").Want("= vpn users device add alice-0000 laptop --server main").Press("enter").Want("device laptop of alice-0000 is added", "vless://2b9f")
	d.Press("esc", "esc", "D", "down", "enter").Want("phone of alice-0000").Type("remove").Press("enter")
	d.Want("Remove phone of alice-0000?", "▸ Cancel", "= vpn users device remove alice-0000 phone").Press("y").Want("device phone of alice-0000 is removed")
	d.Press("esc", "D", "down", "enter").Type("rotate").Press("enter").Want("New keys for phone of alice-0000", "--device phone --keep-old 7d").Press("enter")
	f.wantCalls(t, "alice-0000 device add laptop [main]", "alice-0000 device remove phone", "alice-0000 rotate  phone old ends 2026-11-30")
}

func TestSortAndColumns(t *testing.T) {
	d := drive(t, newPlane(50), 120, 40).Press("j", "j").Want("▌ carol-0002")
	d.Press("s").Want("USER↑").Press("s", "s", "s").Want("USED↑", "▌ carol-0002").Press("S").Want("USED↓", "▌ carol-0002").Press("g").Want("▌ julia-0049")
	d.ClickOn("STATUS", tea.MouseLeft).Want("STATUS↑", "▌ julia-0049")
	d.Press("o").Want("Columns", "shown").Type("NOTE").Press("enter").Press("esc").Press("o").Type("rate").Press("enter").Press("esc").WantNot("RATE")
	d.Size(200, 40).Want("NOTE", "pays in cash", "QUOTA", "█")
}

func TestTheCursorStaysOnItsUser(t *testing.T) {
	f := newPlane(50)
	o, clock := tuitest.Options(t)
	d := tuitest.Drive(t, made(o, f, users.Options{}), 120, 40).Press("2", "/").Type("dmitry").Press("enter", "j").Want("▌ dmitry-0013")
	d.Press("esc").Want("▌ dmitry-0013", " 50 ─╮")
	f.N = 60 // ten more, and a look at them
	d.Later(clock, time.Minute).Want("▌ dmitry-0013", " 60 ─╮")
	d.Press("/").Type("bob").Want("▌ bob-0001").Press("enter")
	d.Press(":").Type("go user elena-0004").Press("enter").Want("▌ elena-0004", " 60 ─╮") // which the filter hid
}

func TestAFilterThatCannotBeReadChangesNothing(t *testing.T) {
	d := drive(t, newPlane(1000), 120, 40).Press("/").Type("alice is:expired").Want("5 of 1000")
	d.Type("x").Want(`unknown status "expiredx"`, "5 of 1000").Press("backspace").WantNot("unknown").Want("5 of 1000")
	d.Press("esc", "/").Type("alice is").Type(":").Want("is: what? active", "100 of 1000")
	d.Press("?").WantNot("Help") // it is a letter here
	d.Press("esc").Want("1000 ─╮")
}

// Whoever runs through the list asks about nobody, and an answer that comes
// too late is not shown.
func TestDetailsComeWhenTheCursorStands(t *testing.T) {
	var fire []func()
	f := newPlane(50)
	o, _ := tuitest.Options(t)
	var d *tuitest.Driver
	d = tuitest.Drive(t, made(o, f, users.Options{After: func(wait time.Duration, fn func(time.Time) tea.Msg) tea.Cmd {
		if wait != 150*time.Millisecond {
			t.Errorf("a wait of %v", wait)
		}
		return func() tea.Msg {
			fire = append(fire, func() { d.Send(fn(tuitest.Now())) })
			return nil
		}
	}}), 120, 40)
	d.Press("2", "j", "j", "j", "j", "j", "j", "j")
	for _, timer := range fire {
		timer()
	}
	if f.shown != 1 {
		t.Errorf("%d users were asked about", f.shown)
	}
	d.Want("─ hiro-0007 ─", "203.0.113.5  main", "Last 30 days", "most 5.2GB").WantNot("alice-0000 ─")
}

func TestNarrowWindowsShowOnePane(t *testing.T) {
	d := drive(t, newPlane(50), 80, 24).Want("▌ alice-0000").WantNot("limits ")
	d.Press("enter").Want("limits ", "─ alice-0000 ─").WantNot("bob-0001").Press("G").Want("Resets").Press("esc").Want("bob-0001")
	d.Press("tab").Want("limits ").Press("tab").Want("bob-0001")
	d.ClickOn("bob-0001", tea.MouseLeft).Want("▌ bob-0001").ClickOn("bob-0001", tea.MouseLeft).Want("limits ")
	d.Press("esc").ClickOn("carol-0002", tea.MouseRight).Want("Rotate: new keys").Press("d").Want("Delete carol-0002?").Press("esc")
	d.ClickOn("USER", tea.MouseRight).WantNot("Rotate: new keys", "USER↓").ClickOn("words, is:", tea.MouseRight).WantNot("Rotate: new keys")
	d.Press("enter").ClickOn("limits ", tea.MouseRight).Want("Rotate: new keys").Press("d").Want("Delete carol-0002?").Press("esc", "esc")
	d.Press("/").Type("nobody").Press("enter", "x").Want("there is no row under the cursor").Press("esc", "esc")
	drive(t, newPlane(50), 120, 40).Want("▌ alice-0000", "limits ").Press("+").WantNot("limits ").Press("esc").Want("limits ")
}

// However many are marked, the question shows its answers, in a small window
// too, and the answer is done to all.
func TestAQuestionAboutThousands(t *testing.T) {
	f := newPlane(10_000)
	d := drive(t, f, 60, 18).Press("space", "G", "v").Press("d")
	d.Want("Delete 10000 users?", "and 9995 more", "▸ Cancel", "Delete", "…").Fits()
	d.Press("esc", "E").Want("Extend", "▸ Cancel", "…").Fits().Press("esc")
	d.Press("e").Want("Edit 10000 users", "enter save").Fits().Press("esc")
	d.Press("t").Want("Disable", "▸ Cancel").Fits().Press("esc")
}
