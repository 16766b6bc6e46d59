// Package key is the one table of what the terminal UI can do: each action
// with its keys, its words and where it belongs. The last line of a screen,
// the help, the palette, the menus and the guide are made of it.
//
// It does nothing itself: pages do what an action says.
package key

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"vpn/internal/vpn"
)

// Screen is one of the screens, or [Everywhere].
type Screen int

// The screens, in the order of their tabs.
const (
	Everywhere Screen = iota - 1
	Dashboard
	Users
	Servers
	Monitor
	Logs
	Settings
)

// Screens returns all screens.
func Screens() []Screen { return []Screen{Dashboard, Users, Servers, Monitor, Logs, Settings} }

// String returns the name that is on the tab.
func (s Screen) String() string {
	switch s {
	case Dashboard:
		return "Dashboard"
	case Users:
		return "Users"
	case Servers:
		return "Servers"
	case Monitor:
		return "Monitor"
	case Logs:
		return "Logs"
	case Settings:
		return "Settings"
	}
	return "Everywhere"
}

// An Action is one thing that a person can do.
type Action struct {
	ID     string   // what it is called in the configuration, and by pages: "users.delete"
	Keys   []string // as the terminal library names them; the first is shown
	Title  string   // in menus, the palette and the help
	Short  string   // in the last line; empty: it is not there
	Screen Screen
	Only   []Screen // of what is everywhere: there alone; nil is each
	Menu   bool     // it is in the menu of the row under the cursor

	// Command is the command that does or shows the same, with NAME for what
	// is under the cursor; empty: it is about the screen alone.
	Command string
}

// on reports whether a can be done on screen s.
func (a Action) on(s Screen) bool {
	return a.Screen == s || a.Screen == Everywhere && (a.Only == nil || slices.Contains(a.Only, s))
}

// Move is how the cursor of a list goes where. Pages that have none scroll.
const (
	Up       = "move.up"
	Down     = "move.down"
	PageUp   = "move.page_up"
	PageDown = "move.page_down"
	Top      = "move.top"
	Bottom   = "move.bottom"
	NextPane = "pane.next"
	LastPane = "pane.previous"
	Open     = "open" // the row under the cursor
	Back     = "back"
	Filter   = "filter"
	Menu     = "menu"
	Expand   = "pane.expand"
)

// Actions returns the table, as it is without anybody's changes.
func Actions() []Action {
	return slices.Concat(everywhere(), dashboard(), users(), servers(), monitor(), logs(), settings())
}

func everywhere() []Action {
	return []Action{
		{ID: "screen.dashboard", Keys: []string{"1"}, Title: "Dashboard", Screen: Everywhere, Command: "vpn status"},
		{ID: "screen.users", Keys: []string{"2"}, Title: "Users", Screen: Everywhere, Command: "vpn users list"},
		{ID: "screen.servers", Keys: []string{"3"}, Title: "Servers", Screen: Everywhere, Command: "vpn server list"},
		{ID: "screen.monitor", Keys: []string{"4"}, Title: "Monitor", Screen: Everywhere, Command: "vpn monitor connections"},
		{ID: "screen.logs", Keys: []string{"5"}, Title: "Logs", Screen: Everywhere, Command: "vpn logs -f"},
		{ID: "screen.settings", Keys: []string{"6"}, Title: "Settings", Screen: Everywhere, Command: "vpn config show --daemon"},
		{ID: Up, Keys: []string{"k", "up"}, Title: "Up", Screen: Everywhere},
		{ID: Down, Keys: []string{"j", "down"}, Title: "Down", Screen: Everywhere},
		{ID: PageUp, Keys: []string{"ctrl+u", "pgup"}, Title: "Half a page up", Screen: Everywhere},
		{ID: PageDown, Keys: []string{"ctrl+d", "pgdown"}, Title: "Half a page down", Screen: Everywhere},
		{ID: Top, Keys: []string{"g", "home"}, Title: "To the top", Screen: Everywhere},
		{ID: Bottom, Keys: []string{"G", "end"}, Title: "To the bottom", Screen: Everywhere},
		{ID: NextPane, Keys: []string{"tab"}, Title: "Next pane", Screen: Everywhere},
		{ID: LastPane, Keys: []string{"shift+tab"}, Title: "Previous pane", Screen: Everywhere},
		{ID: Open, Keys: []string{"enter"}, Title: "Open", Short: "open", Screen: Everywhere, Menu: true},
		{ID: Menu, Keys: []string{"x"}, Title: "Menu of actions", Short: "actions", Screen: Everywhere},
		{ID: Filter, Keys: []string{"/"}, Title: "Filter or search", Short: "filter", Screen: Everywhere, Only: []Screen{Users, Servers, Monitor, Logs}},
		{ID: Back, Keys: []string{"esc"}, Title: "Close, clear, back", Screen: Everywhere},
		{ID: "palette", Keys: []string{":", "ctrl+p"}, Title: "Command palette", Short: "command", Screen: Everywhere},
		{ID: "help", Keys: []string{"?", "f1"}, Title: "Help", Short: "help", Screen: Everywhere},
		{ID: Expand, Keys: []string{"+"}, Title: "Expand the pane and back", Screen: Everywhere},
		{ID: "freeze", Keys: []string{"p"}, Title: "Freeze the screen and go on", Short: "freeze", Screen: Everywhere},
		{ID: "undo", Keys: []string{"u"}, Title: "Undo the last change", Screen: Everywhere},
		{ID: "messages", Keys: []string{"ctrl+g"}, Title: "Messages so far", Screen: Everywhere},
		{ID: "theme", Keys: []string{"ctrl+t"}, Title: "Next theme", Screen: Everywhere},
		{ID: "mouse", Keys: []string{"M"}, Title: "Mouse on or off (off: the terminal selects text)", Screen: Everywhere},
		{ID: "redraw", Keys: []string{"ctrl+l"}, Title: "Draw the screen anew", Screen: Everywhere},
		{ID: "suspend", Keys: []string{"ctrl+z"}, Title: "Suspend", Screen: Everywhere},
		{ID: "quit", Keys: []string{"q", "ctrl+c"}, Title: "Quit", Short: "quit", Screen: Everywhere},
	}
}

func dashboard() []Action {
	return []Action{
		{ID: "dashboard.attention", Keys: []string{"!"}, Title: "What needs you", Short: "needs you", Screen: Dashboard, Command: "vpn status"},
		{ID: "dashboard.monitor", Keys: []string{"w"}, Title: "Its traffic", Screen: Dashboard, Menu: true, Command: "vpn monitor traffic --server NAME"},
		{ID: "dashboard.logs", Keys: []string{"L"}, Title: "Its logs", Screen: Dashboard, Menu: true, Command: "vpn server logs NAME -f"},
	}
}

func users() []Action {
	const s = Users
	return []Action{
		{ID: "users.create", Keys: []string{"n"}, Title: "New user…", Short: "new", Screen: s, Command: "vpn users create NAME"},
		{ID: "users.update", Keys: []string{"e"}, Title: "Edit…", Short: "edit", Screen: s, Menu: true, Command: "vpn users update NAME --quota 50GB"},
		{ID: "users.qr", Keys: []string{"r"}, Title: "QR code", Short: "QR", Screen: s, Menu: true, Command: "vpn users qr NAME"},
		{ID: "users.copy", Keys: []string{"y"}, Title: "Copy the link", Short: "copy link", Screen: s, Menu: true, Command: "vpn users link NAME -q"},
		{ID: "users.link", Keys: []string{"l"}, Title: "Show links and files", Screen: s, Menu: true, Command: "vpn users link NAME"},
		{ID: "users.device", Keys: []string{"D"}, Title: "Devices…", Screen: s, Menu: true, Command: "vpn users device add NAME DEVICE"},
		{ID: "users.extend", Keys: []string{"E"}, Title: "Extend by 30 days", Screen: s, Menu: true, Command: "vpn users update NAME --expires TIME"},
		{ID: "users.reset", Keys: []string{"Z"}, Title: "Reset what was used…", Screen: s, Menu: true, Command: "vpn users reset NAME"},
		{ID: "users.toggle", Keys: []string{"t"}, Title: "Enable or disable", Screen: s, Menu: true, Command: "vpn users disable NAME"},
		{ID: "users.kick", Keys: []string{"K"}, Title: "Kick: close connections…", Screen: s, Menu: true, Command: "vpn users kick NAME"},
		{ID: "users.rotate", Keys: []string{"R"}, Title: "Rotate: new keys and links…", Screen: s, Menu: true, Command: "vpn users rotate NAME"},
		{ID: "users.delete", Keys: []string{"d"}, Title: "Delete…", Short: "delete", Screen: s, Menu: true, Command: "vpn users delete NAME"},
		{ID: "users.mark", Keys: []string{"space"}, Title: "Mark", Short: "mark", Screen: s},
		{ID: "users.mark_range", Keys: []string{"v"}, Title: "Mark from the last mark to here", Screen: s},
		{ID: "users.sort", Keys: []string{"s"}, Title: "Sort by the next column", Screen: s},
		{ID: "users.reverse", Keys: []string{"S"}, Title: "Sort the other way round", Screen: s},
		{ID: "users.columns", Keys: []string{"o"}, Title: "Columns…", Screen: s},
	}
}

func servers() []Action {
	const s = Servers
	return []Action{
		{ID: "server.create", Keys: []string{"n", "a"}, Title: "New server…", Short: "new", Screen: s, Command: "vpn server create"},
		{ID: "server.update", Keys: []string{"e"}, Title: "Edit…", Short: "edit", Screen: s, Menu: true, Command: "vpn server update NAME --port 8443"},
		{ID: "server.toggle", Keys: []string{"t"}, Title: "Start or stop…", Short: "start/stop", Screen: s, Menu: true, Command: "vpn server stop NAME"},
		{ID: "server.restart", Keys: []string{"R"}, Title: "Restart…", Short: "restart", Screen: s, Menu: true, Command: "vpn server restart NAME"},
		{ID: "server.test", Keys: []string{"T"}, Title: "Test: reach its port from here", Short: "test", Screen: s, Menu: true, Command: "vpn server test NAME"},
		{ID: "server.logs", Keys: []string{"L"}, Title: "Its logs", Short: "logs", Screen: s, Menu: true, Command: "vpn server logs NAME -f"},
		{ID: "server.monitor", Keys: []string{"w"}, Title: "Its traffic", Screen: s, Menu: true, Command: "vpn monitor traffic --server NAME"},
		{ID: "server.delete", Keys: []string{"d"}, Title: "Delete…", Short: "delete", Screen: s, Menu: true, Command: "vpn server delete NAME"},
		{ID: "server.mark", Keys: []string{"space"}, Title: "Mark", Screen: s},
		{ID: "server.sort", Keys: []string{"s"}, Title: "Sort by the next column", Screen: s},
		{ID: "server.reverse", Keys: []string{"S"}, Title: "Sort the other way round", Screen: s},
	}
}

func monitor() []Action {
	const s = Monitor
	return []Action{
		{ID: "monitor.shorter", Keys: []string{"["}, Title: "A shorter span", Short: "shorter", Screen: s, Command: "vpn monitor traffic --since 1h"},
		{ID: "monitor.longer", Keys: []string{"]"}, Title: "A longer span", Short: "longer", Screen: s, Command: "vpn monitor traffic --since 30d"},
		{ID: "monitor.subject", Keys: []string{"s"}, Title: "Whose traffic: all, a server, a user…", Short: "whose", Screen: s, Command: "vpn monitor traffic --user NAME"},
		{ID: "monitor.sort", Keys: []string{"o"}, Title: "Sort by the next column", Screen: s},
		{ID: "monitor.reverse", Keys: []string{"O"}, Title: "Sort the other way round", Screen: s},
		{ID: "monitor.kick", Keys: []string{"K"}, Title: "Kick the user of the connection…", Screen: s, Menu: true, Command: "vpn users kick NAME"},
		{ID: "monitor.user", Keys: []string{"U"}, Title: "Go to the user of the connection", Screen: s, Menu: true, Command: "vpn users show NAME"},
	}
}

func logs() []Action {
	const s = Logs
	return []Action{
		{ID: "logs.next", Keys: []string{"n"}, Title: "Next match", Short: "next", Screen: s},
		{ID: "logs.previous", Keys: []string{"N"}, Title: "Previous match", Screen: s},
		{ID: "logs.only", Keys: []string{"m"}, Title: "Only matches", Short: "only matches", Screen: s},
		{ID: "logs.follow", Keys: []string{"f"}, Title: "Follow", Short: "follow", Screen: s, Command: "vpn logs -f"},
		{ID: "logs.level", Keys: []string{"v"}, Title: "From which level on", Short: "level", Screen: s, Command: "vpn logs --level warn"},
		{ID: "logs.source", Keys: []string{"o"}, Title: "Of which server", Short: "whose", Screen: s, Command: "vpn logs --server NAME"},
		{ID: "logs.wrap", Keys: []string{"w"}, Title: "Wrap long lines", Short: "wrap", Screen: s},
		{ID: "logs.time", Keys: []string{"t"}, Title: "Time: clock, date, age", Screen: s},
		{ID: "logs.copy", Keys: []string{"y"}, Title: "Copy the line", Screen: s, Menu: true},
		{ID: "logs.save", Keys: []string{"s"}, Title: "Save to a file…", Short: "save", Screen: s, Command: "vpn logs > FILE"},
		{ID: "logs.left", Keys: []string{"h", "left"}, Title: "To the left", Screen: s},
		{ID: "logs.right", Keys: []string{"l", "right"}, Title: "To the right", Screen: s},
	}
}

func settings() []Action {
	const s = Settings
	return []Action{
		{ID: "settings.save", Keys: []string{"ctrl+s"}, Title: "Save what was changed…", Short: "save", Screen: s, Command: "vpn config set KEY VALUE --daemon"},
		{ID: "settings.left", Keys: []string{"h", "left"}, Title: "The choice before", Screen: s},
		{ID: "settings.right", Keys: []string{"l", "right"}, Title: "The next choice", Screen: s},
		{ID: "settings.reload", Keys: []string{"R"}, Title: "Reload: the daemon reads its file again", Screen: s, Command: "vpn reload"},
		{ID: "settings.drop", Keys: []string{"d"}, Title: "Take the change back", Screen: s, Menu: true},
		{ID: "settings.unset", Keys: []string{"D"}, Title: "Back to the default", Screen: s, Menu: true, Command: "vpn config unset KEY --daemon"},
	}
}

// A Map is the table as one person has it.
type Map struct{ actions []Action }

// New returns the table with the keys of rebound, by action, in place of its
// own. An unknown action, and a key with two meanings on one screen, are
// errors of kind [vpn.Invalid].
func New(rebound map[string][]string) (*Map, error) {
	m := &Map{Actions()}
	for _, id := range slices.Sorted(maps.Keys(rebound)) {
		i := slices.IndexFunc(m.actions, func(a Action) bool { return a.ID == id })
		if i < 0 {
			ids := make([]string, 0, len(m.actions))
			for _, a := range m.actions {
				ids = append(ids, a.ID)
			}
			return nil, vpn.Unknown("action", id, ids)
		}
		m.actions[i].Keys = rebound[id]
	}
	return m, m.collision()
}

func (m *Map) collision() error {
	for _, s := range Screens() {
		of := map[string]string{}
		for _, a := range m.actions {
			if !a.on(s) {
				continue
			}
			for _, k := range a.Keys {
				if other := of[k]; other != "" {
					return vpn.Errorf(vpn.Invalid, "key %s means %s and %s on screen %s", k, other, a.ID, s).
						WithHint("give one of them another key")
				}
				of[k] = a.ID
			}
		}
	}
	return nil
}

// Find returns the action of a key on screen s.
func (m *Map) Find(s Screen, key string) (Action, bool) {
	for _, a := range m.actions {
		if a.on(s) && slices.Contains(a.Keys, key) {
			return a, true
		}
	}
	return Action{}, false
}

// Of returns the action with that ID.
func (m *Map) Of(id string) (Action, bool) {
	for _, a := range m.actions {
		if a.ID == id {
			return a, true
		}
	}
	return Action{}, false
}

// On returns the actions of screen s, its own first.
func (m *Map) On(s Screen) []Action {
	var own, rest []Action
	for _, a := range m.actions {
		switch {
		case a.Screen == s:
			own = append(own, a)
		case a.on(s):
			rest = append(rest, a)
		}
	}
	return append(own, rest...)
}

// Label returns how the keys of a are written, such as "ctrl+p".
func (a Action) Label() string {
	if len(a.Keys) == 0 {
		return ""
	}
	return a.Keys[0]
}

// Markdown returns the table for the guide.
func Markdown() string {
	var b strings.Builder
	for _, s := range append([]Screen{Everywhere}, Screens()...) {
		fmt.Fprintf(&b, "### %s\n\n| keys | what | command | name |\n|---|---|---|---|\n", s)
		for _, a := range Actions() {
			if a.Screen == s {
				command := ""
				if a.Command != "" {
					command = "`" + a.Command + "`"
				}
				fmt.Fprintf(&b, "| `%s` | %s | %s | `%s` |\n", strings.Join(a.Keys, "` `"), a.Title, command, a.ID)
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}
