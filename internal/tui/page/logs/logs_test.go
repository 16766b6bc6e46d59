package logs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"vpn/internal/tui"
	"vpn/internal/tui/tuitest"
	"vpn/internal/vpn"
)

func TestPictures(t *testing.T) {
	for _, c := range []struct {
		name string
		d    *daemon
		t    *timers
		keys []string
	}{
		{"follow", &daemon{lines: written(300)}, nil, []string{"5"}},
		{"search", &daemon{lines: written(300)}, nil, []string{"5", "/", "q", "u", "o", "t", "a"}},
		{"only", &daemon{lines: written(300)}, nil, []string{"5", "/", "l", "i", "s", "t", "e", "n", "enter", "m", "w", "t"}},
		{"line", &daemon{lines: written(300)}, nil, []string{"5", "v", "v", "v", "enter"}},
		{"save", &daemon{lines: written(300)}, nil, []string{"5", "s"}},
		{"empty", &daemon{}, &timers{nothing: true}, []string{"5"}},
		{"none", &daemon{lines: written(2)}, nil, []string{"5", "v", "v", "v"}},
		{"error", &daemon{err: vpn.Errorf(vpn.Unavailable, "no daemon is running").WithHint("start it with: vpn serve")}, nil, []string{"5"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			tuitest.Pictures(t, c.keys, func(o tui.Options) tea.Model { return model(o, c.d, c.t) })
		})
	}
}

// While the stream is not there yet, the place of lines is shown.
func TestLoading(t *testing.T) {
	tuitest.Loading(t, []string{"5"}, func(o tui.Options) *tui.App { return model(o, &daemon{}, nil) })
}

func TestFollowPausesWhereOneReads(t *testing.T) {
	log := &daemon{lines: written(100)}
	d, timers, _ := open(t, log, 120, 30)
	d.Want("follows", "100 lines", "bob-0099")
	d.Press("k", "k", "k").Want("paused")
	before := d.Text()

	more := written(37)
	for i := range more {
		more[i].Message, more[i].At = "later", tuitest.Now()
	}
	log.log(more...)
	timers.fire(d)
	d.Want("137 lines", "+37 new below (G)").WantNot("later")
	if a, b := rows(before), rows(d.Text()); a != b {
		t.Errorf("the lines moved:\n%s\n%s", a, b)
	}
	d.Press("G").Want("follows", "later").WantNot("new below")
	d.Press("f").Want("paused").Press("f").Want("follows")
}

// rows is the lines of the log on a screen.
func rows(screen string) string {
	all := strings.Split(screen, "\n")
	return strings.Join(all[3:len(all)-3], "\n")
}

func TestSearch(t *testing.T) {
	d, _, _ := open(t, &daemon{lines: written(300)}, 120, 30)
	d.Press("/").Type("quota").Want("18/18").Press("enter")
	d.Press("N").Want("17/18").Press("n", "n").Want("1/18")
	d.Press("m").Want("only matches", "18 of 300 lines").WantNot("connected")
	d.Press("esc").Want("1/18", "· 300 lines").Press("esc").WantNot("1/18").Want("search")

	// Each letter searches from where one was; esc goes back there.
	d.Press("G", "/").Type("used").Want("18/18").Press("esc").Want("follows", "▌13:59:58")

	// A capital letter is meant, and a field is found with its name.
	d.Press("/").Type("Quota").Want("no match").Press("esc")
	d.Press("/").Type("user is limited reason=quota").Want("18/18").Press("enter", "n").Want("1/18")
	d.Press("/", "esc").Press("n").Want("nothing is searched for yet")
}

// Who types fast, or holds a key down, is not searched for at each letter.
func TestSearchWaitsForAPause(t *testing.T) {
	d, timers, _ := open(t, &daemon{lines: written(300)}, 120, 30)
	timers.typing = true
	timers.fns, timers.waits = nil, nil
	d.Press("/").Type("quo").WantNot("no match", "/18")
	first := timers.fns[0]
	timers.fns = timers.fns[len(timers.fns)-1:]
	d.Type("ta")
	if d.Send(first(tuitest.Now())); strings.Contains(d.Text(), "/18") {
		t.Error("it was searched for what was not what was written any more")
	}
	timers.fire(d)
	d.Want("quota", "18/18")
	// Enter waits for nothing, and esc forgets what was not searched for.
	d.Press("esc", "/").Type("used").Press("enter").Want("18/18").Press("n").Want("1/18")
	d.Press("esc", "G", "/").Type("used").Press("esc")
	timers.fire(d)
	d.Want("follows").WantNot("/18")
}

func TestFilters(t *testing.T) {
	d, _, _ := open(t, &daemon{lines: written(300)}, 120, 30)
	d.Press("v").Want("info and above").WantNot("DBG")
	d.Press("v").Want("warn and above", "WRN").WantNot("INF")
	d.Press("v").Want("error", "ERR", "server does not run").WantNot("WRN")
	d.Press("v").Want("300 lines").WantNot("and above")
	d.Press("o").Want("Lines of which server", "all of them", "control plane", "outline").Type("tunnel").Press("enter")
	d.Want("tunnel", "of 300 lines").WantNot(" main ")
	d.Press("esc").Want("· 300 lines")
}

func TestBrokenStreamIsOpenedAgain(t *testing.T) {
	log := &daemon{lines: written(50)}
	d, timers, clock := open(t, log, 120, 30)
	d.Press("k", "k").Want("paused", "50 lines")
	log.stream.end()
	timers.fire(d)
	d.Want("the daemon has ended the stream of its logs, again in 1s", "50 lines", "bob-0049")

	log.err = vpn.Errorf(vpn.Unavailable, "no daemon is running")
	timers.fire(d)
	d.Want("no daemon is running, again in 2s")
	timers.fire(d)
	d.Want("no daemon is running, again in 4s").Later(clock, 3*time.Second).Want("again in 1s")

	// What was written meanwhile is there, and nothing is twice.
	log.err = nil
	log.lines = append(log.lines, vpn.LogLine{At: tuitest.Now().Add(-time.Second), Level: vpn.LogInfo, Source: "main", Message: "between"})
	timers.fire(d)
	d.Want("51 lines", "+1 new below", "paused").WantNot("again in")
	if q := log.queries[len(log.queries)-1]; q.Since.IsZero() || !q.Follow {
		t.Errorf("it asked for %+v", q)
	}
	log.log(vpn.LogLine{At: tuitest.Now(), Level: vpn.LogInfo, Source: "main", Message: "afterwards"})
	timers.fire(d)
	d.Want("52 lines").Press("G").Want("between", "afterwards")
}

func TestLineWithAllItsFields(t *testing.T) {
	log := &daemon{lines: []vpn.LogLine{{
		At: tuitest.Now().Add(-90 * time.Minute), Level: vpn.LogError, Source: "outline", Message: "server does not run",
		Fields: map[string]string{"error": strings.Repeat("very long ", 30) + "end", "hint": "look"},
	}}}
	d, _, _ := open(t, log, 80, 24)
	d.WantNot("look").Press("enter").Want("server does not run", "2026-11-23 12:30:00.000 UTC, 1h ago", "level", "error", "outline", "hint", "look", "end")
	d.Press("esc").Press("y").Want("sent to your terminal")
	if want := "2026-11-23T12:30:00.000Z ERR outline  server does not run error="; !strings.HasPrefix(d.Clipboard, want) {
		t.Errorf("copied %q", d.Clipboard)
	}
	d.Press("esc", "l", "l").Want("from cell 32").Press("h", "h").WantNot("from cell")
	d.Press("w").Want("look").Press("t").Want("11-23 12:30:00").Press("t").Want("1h ERR")
}

func TestSave(t *testing.T) {
	t.Chdir(t.TempDir())
	d, _, _ := open(t, &daemon{lines: written(300)}, 120, 30)
	d.Press("v", "v", "v", "s").Want("Save 8 lines", "Only you can read it", "= vpn logs --level error --tail 8 > vpn-logs-20261123-140000.txt").Press("enter").Want("8 lines are in")
	const name = "vpn-logs-20261123-140000.txt"
	text, err := os.ReadFile(name)
	if err != nil || strings.Count(string(text), "\n") != 8 || strings.Count(string(text), " ERR outline  server does not run error=\"listen") != 8 {
		t.Errorf("%v:\n%s", err, text)
	}
	if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if err := os.WriteFile(name, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	d.Press("s", "enter").Want("is there already", "choose another name")
	if text, _ := os.ReadFile(name); string(text) != "mine" {
		t.Error("it wrote over a file")
	}
	for range len(name) {
		d.Press("backspace")
	}
	d.Type(filepath.Join("not", "there")).Press("enter").Want("there is no directory").Press("esc", "esc")
	d.Press("o").Type("outline").Press("enter", "/").Type("listen").Press("enter", "m", "s").Want("--server outline --tail 300 | grep -iF -- listen >")
}

func TestMouse(t *testing.T) {
	d, _, _ := open(t, &daemon{lines: written(300)}, 120, 30)
	d.ClickOn("bob-0290", tea.MouseLeft).Want("paused").ClickOn("bob-0290", tea.MouseLeft).Want("source", "203.0.113.40")
	d.Press("esc").Send(tea.MouseWheelMsg{Button: tea.MouseWheelDown}).Press("G").ClickOn("search", tea.MouseLeft).Type("zzz").Want("no match")
}

// The menu is of the line that was clicked.
func TestMenu(t *testing.T) {
	d, _, _ := open(t, &daemon{lines: written(300)}, 120, 30)
	d.ClickOn("bob-0290", tea.MouseRight).Want("paused", "Copy the line").Press("y").Want("the line was sent")
	if !strings.Contains(d.Clipboard, "bob-0290") {
		t.Errorf("it copied %q", d.Clipboard)
	}
	d.Press("esc", "k", "x").Want("▌ Copy the line", "Open").Press("down", "enter").Want("Line", "source").Press("esc")
	d.ClickOn("search", tea.MouseRight).WantNot("Copy the line")
	o, _ := tuitest.Options(t)
	tuitest.Drive(t, model(o, &daemon{}, &timers{nothing: true}), 120, 30).Press("5", "x").Want("there is no row under the cursor")
}

// No text of others can move what is on the screen.
func TestHostileText(t *testing.T) {
	var lines []vpn.LogLine
	for i, s := range []string{"\x1b[2J\x1b[31mred\x1b]52;c;eA==\a", "\u202eright to left \u200f", "漢字かな交じり文" + strings.Repeat("漢", 200), "العربية " + strings.Repeat("ع", 100), "a\tb\nc\rd\x00e", strings.Repeat("x", 100_000), "é́́́ combining", "\xff\xfe"} {
		lines = append(lines, vpn.LogLine{At: tuitest.Now().Add(time.Duration(i-20) * time.Second), Level: "loud\x1b[0m", Source: s, Message: s, Fields: map[string]string{s: s, "k": s}})
	}
	d, _, _ := open(t, &daemon{lines: lines}, 80, 24)
	d.Fits().WantNot("\x1b", "]52", "\u202e").Want("red", "a b c d", "combining")
	for range 8 {
		d.Press("k").Fits().Press("w").Fits().Press("w", "l").Fits()
	}
	d.Press("enter").Fits().Press("esc", "/").Type("漢").Fits().Press("enter", "m").Fits()
}

func TestAllSizes(t *testing.T) {
	d, _, _ := open(t, &daemon{lines: written(300)}, 80, 24)
	for _, keys := range [][]string{nil, {"w"}, {"/", "b", "enter"}, {"g"}, {"m"}} {
		d.Press(keys...)
		for w := 1; w <= 200; w += 23 {
			for h := 1; h <= 70; h += 11 {
				d.Size(w, h).Fits()
			}
		}
	}
}

func TestRingForgetsTheOldest(t *testing.T) {
	log := &daemon{lines: written(1900)}
	d, timers, _ := open(t, log, 120, 30)
	d.Press("g").Want("1,900 lines")
	for i := range 12 {
		more := written(1900)
		for k := range more {
			more[k].At = tuitest.Now().Add(time.Duration(i*1900+k) * time.Millisecond)
		}
		log.log(more...)
		timers.fire(d)
	}
	// 24,700 lines were written; the cursor stays on the oldest that is left.
	d.Fits().WantNot("24,700").Want("paused", "new below")
	var n int
	screen := strings.ReplaceAll(d.Text(), ",", "")
	if _, err := fmt.Sscanf(screen[strings.Index(screen, "paused · ")+len("paused · "):], "%d lines", &n); err != nil || n < 19_000 || n > 20_000 {
		t.Errorf("%d lines, %v", n, err)
	}
}

func TestASCII(t *testing.T) {
	tuitest.ASCII(t, func(o tui.Options) tea.Model { return model(o, &daemon{lines: written(300)}, nil) },
		[]string{"5"}, []string{"5", "k"}, []string{"5", "/", "q", "u", "o"}, []string{"5", "enter"}, []string{"5", "s"}, []string{"5", "x"})
}
