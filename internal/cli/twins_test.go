package cli

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"vpn/internal/client"
	"vpn/internal/protocol/all"
	"vpn/internal/tui"
	"vpn/internal/tui/key"
	"vpn/internal/tui/screens"
	"vpn/internal/tui/tuitest"
	"vpn/internal/vpn"
)

// The terminal UI shows, beside what it does, the command that does the same.
// Here each that it shows is typed into a shell as it stands on the screen, and
// what the shell makes of it is run against the control plane that the UI was
// looking at.
func TestWhatTheTerminalUIShowsAreCommands(t *testing.T) {
	const user, server, connection, line = "2", "3", "4", "5"
	for name, keys := range map[string][]string{
		"create user":          {user, "n", "z", "o", "e", "tab", "5", "G", "B", "tab", "tab", "tab", "tab", "tab", "3", "0", "d"},
		"note":                 {user, "n", "z", "o", "e", "shift+tab", "i", "t", "'", "s", "space", "$", "H", "O", "M", "E", "space", "\"", "x", "\"", ";", "#"},
		"update user":          {user, "e", "tab", "end", "ctrl+u", "9", "G", "B"},
		"update some":          {user, "space", "space", "e", "1", "G", "B"},
		"links":                {user, "l", "enter"},
		"QR code":              {user, "r", "enter"},
		"add a device":         {user, "D", "enter", "t", "a", "b"},
		"remove a device":      {user, "D", "down", "enter", "r", "e", "m", "o", "v", "enter"},
		"extend":               {user, "E"},
		"extend some":          {user, "space", "space", "E"},
		"reset":                {user, "Z"},
		"disable":              {user, "t"},
		"disable some":         {user, "space", "space", "t"},
		"enable":               {user, "j", "t"},
		"kick":                 {user, "K"},
		"kick some":            {user, "space", "space", "K"},
		"rotate":               {user, "R"},
		"rotate some at once":  {user, "space", "space", "R", "left"},
		"delete user":          {user, "d"},
		"delete some":          {user, "space", "space", "d"},
		"update server":        {server, "e", "tab", "ctrl+u", "8", "4", "4", "3"},
		"stop":                 {server, "t"},
		"stop some":            {server, "space", "space", "t"},
		"restart":              {server, "R"},
		"delete server":        {server, "d"},
		"kick of a connection": {connection, "shift+tab", "K"},
		"save all lines":       {line, "s"},
		"save some lines":      {line, "v", "v", "o", "m", "a", "i", "n", "enter", "/", "w", "h", "a", "t", "enter", "m", "s"},
		"welcome":              {"1"},
		"create vless":         {server, "n", "enter", "n", "e", "w"},
		"create shadowsocks":   {server, "n", "s", "h", "a", "d", "enter", "n", "e", "w"},
		"create wireguard":     {server, "n", "w", "i", "r", "e", "enter", "n", "e", "w"},
		"create mixed":         {server, "n", "m", "i", "x", "enter", "n", "e", "w"},
		"create http":          {server, "n", "h", "t", "t", "p", "enter", "n", "e", "w"},
		"create socks5":        {server, "n", "s", "o", "c", "k", "s", "enter", "n", "e", "w"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRunner()
			other := r.plane.servers["main"]
			other.ID, other.Name = "otherid", "other"
			r.plane.servers["other"] = other
			if name == "welcome" {
				r.plane.servers = map[string]vpn.ServerInfo{}
			}
			d := onScreen(t, r).Press(keys...)
			shown := twinsOn(d.Text())
			if len(shown) == 0 {
				t.Fatalf("no command is shown:\n%s", d.Text())
			}
			if name == "welcome" {
				r.plane.servers = newFakePlane().servers
			}
			for _, twin := range shown {
				t.Log(twin)
				inShell(t, r, strings.ReplaceAll(twin, "NAME", "carol"))
			}
		})
	}
}

// Those of the table of keys, which the palette, the help and the guide show.
func TestCommandsOfTheTableOfKeys(t *testing.T) {
	screen := []string{ // what has no command: it is about the screen alone
		"users.mark", "users.mark_range", "users.sort", "users.reverse", "users.columns", "server.mark", "server.sort", "server.reverse", "monitor.sort", "monitor.reverse",
		"logs.next", "logs.previous", "logs.only", "logs.wrap", "logs.time", "logs.copy", "logs.left", "logs.right", "settings.left", "settings.right", "settings.drop",
	}
	for _, a := range key.Actions() {
		switch {
		case a.Command == "":
			if a.Screen != key.Everywhere && !slices.Contains(screen, a.ID) {
				t.Errorf("%s has no command", a.ID)
			}
			continue
		case slices.Contains(screen, a.ID):
			t.Errorf("%s has a command, and should not", a.ID)
		}
		name := "alice"
		if strings.HasPrefix(a.Command, "vpn server") || strings.Contains(a.Command, "--server") {
			name = "main"
		}
		if a.ID == "users.create" {
			name = "carol"
		}
		inShell(t, newRunner(), strings.NewReplacer("NAME", name, "DEVICE", "tablet", "KEY", "log_level", "VALUE", "debug", "TIME", "30d", "FILE", "lines.txt").Replace(a.Command))
	}
}

// onScreen opens the terminal UI on a control plane.
func onScreen(t *testing.T, r *runner) *tuitest.Driver {
	t.Helper()
	o, _ := tuitest.Options(t)
	for name, u := range r.plane.users { // which the UI asks for by what they are
		u.ID = vpn.UserID(name)
		r.plane.users[name] = u
	}
	c := client.InProcess(r.plane.handler())
	o.Source, o.Now = tui.SourceOf(c), r.now
	o.Pages = screens.Of(screens.Place{Client: c, Protocols: all.Protocols().All(), File: filepath.Join(t.TempDir(), "tui.yaml"), Read: fileText, After: few(5)})
	return tuitest.Drive(t, tui.New(o), 200, 60)
}

// few is a timer that fires at once, some times.
func few(n int) func(time.Duration, func(time.Time) tea.Msg) tea.Cmd {
	return func(_ time.Duration, fn func(time.Time) tea.Msg) tea.Cmd {
		if n--; n < 0 {
			return nil
		}
		return func() tea.Msg { return fn(now) }
	}
}

// twinsOn returns the commands that are on a screen: each begins with "= vpn"
// or "= for", and goes on until its box or its lines end.
func twinsOn(screen string) []string {
	rows := strings.Split(screen, "\n")
	// part is what stands in a row from column x on, inside of its box.
	part := func(row string, x int) string {
		cells := []rune(row)
		if x >= len(cells) {
			return ""
		}
		text, _, _ := strings.Cut(string(cells[x:]), "│")
		return strings.TrimSpace(text)
	}
	var out []string
	for y, row := range rows {
		for _, begin := range []string{"= vpn ", "= for "} {
			at := strings.Index(row, begin)
			if at < 0 {
				continue
			}
			x := len([]rune(row[:at]))
			twin := strings.TrimPrefix(part(row, x), "= ")
			for _, next := range rows[y+1:] {
				more := part(next, x)
				if more == "" || strings.ContainsAny(more, "╰─") {
					break
				}
				twin += " " + more
			}
			out = append(out, twin)
		}
	}
	return out
}

// inShell types a line into a shell and runs the commands that come of it, dry.
func inShell(t *testing.T, r *runner, line string) {
	t.Helper()
	dir := t.TempDir()
	// The shell's vpn only says with what it was started.
	stub := "#!/bin/sh\nfor a; do printf '%s\\0' \"$a\"; done >>" + dir + "/started\necho >>" + dir + "/started\n"
	if err := os.WriteFile(filepath.Join(dir, "vpn"), []byte(stub), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-eu", "-c", line)
	cmd.Dir, cmd.Env = dir, []string{"PATH=" + dir + ":" + os.Getenv("PATH")}
	out, err := cmd.CombinedOutput()
	if err != nil && !strings.Contains(line, "| grep") || len(out) > 0 { // which finds nothing
		t.Errorf("a shell says of %s: %v, %s", line, err, out)
	}
	started, err := os.ReadFile(filepath.Join(dir, "started"))
	if err != nil {
		t.Fatal(err)
	}
	for command := range strings.SplitSeq(strings.TrimSuffix(string(started), "\x00\n"), "\x00\n") {
		if err := try(t, r, strings.Split(command, "\x00"), dir); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
}

// try runs a command, dry if it changes something.
func try(t *testing.T, r *runner, args []string, dir string) error {
	cmd, rest, err := rootCommand(r.program()).Find(args)
	if err != nil {
		return err
	}
	if err := cmd.ParseFlags(rest); err != nil {
		return err
	}
	if err := cmd.ValidateArgs(cmd.Flags().Args()); err != nil {
		return err
	}
	switch path := cmd.CommandPath(); {
	case path == "vpn server test", path == "vpn server logs": // they would dial, and wait
		return nil
	case path == "vpn users qr":
		args = append(args, "--png", filepath.Join(dir, "code.png"))
	case cmd.Flags().Lookup("dry-run") != nil:
		args = append(args, "--dry-run")
	}
	if got := r.run(t, args...); got.status != 0 {
		return fmt.Errorf("%q ends with %d: %s", args, got.status, got.err)
	}
	return nil
}

// What is shown of a name is a word of a shell, whatever is in it.
func TestTwinsOn(t *testing.T) {
	screen := " a │ ╭──────────╮\n b │ │ = vpn x  │\n c │ │ 'y z' -w │\n d │ ╰──────────╯\n │  = for u in a; do vpn b \"$u\"; done │\n │  │\n= vpn up"
	if got := twinsOn(screen); !slices.Equal(got, []string{"vpn x 'y z' -w", `for u in a; do vpn b "$u"; done`, "vpn up"}) {
		t.Errorf("got %q", got)
	}
}
