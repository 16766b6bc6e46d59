package theme

import "strings"

// Glyphs are the signs that the UI draws with. None is wider than one cell,
// and none needs a font of its own: box drawing, blocks, braille and a few
// dots, or ASCII alone.
type Glyphs struct {
	OK, Warn, Bad, Off string // states; the word stands beside them
	Cursor, Mark       string // the row under the cursor; a marked one
	Changed            string // what is not as it was saved
	Ellipsis           string
	Down, Up           string // directions of traffic
	Infinite           string
	Dot                string // between things that stand in a row
	Pick, More         string // where enter does something; where there is more
	On                 string // a switch
	Left, Right        string // what can be chosen by the arrow keys
	Follow, Paused     string
	Caret              string // where the next letter goes

	// A frame, and the lines in it.
	TopLeft, TopRight, BottomLeft, BottomRight, Horizontal, Vertical, TeeLeft, TeeRight string

	Full, Empty string   // a bar
	Parts       []string // of a bar's last cell, the least first
	Levels      []string // of a line of history, the lowest first

	// Braille, two by four dots to a cell, where there is room for it; else
	// charts are drawn by Levels.
	Braille bool
}

// Unicode returns the signs for terminals that can show them.
func Unicode() Glyphs {
	return Glyphs{
		OK: "●", Warn: "◐", Bad: "✗", Off: "○",
		Cursor: "▌", Mark: "✓", Changed: "◆", Ellipsis: "…", Down: "↓", Up: "↑", Infinite: "∞", Dot: "·",
		Pick: "▸", More: "⋮", On: "✓", Left: "‹", Right: "›", Follow: "▶", Paused: "▮▮", Caret: "█",
		TopLeft: "╭", TopRight: "╮", BottomLeft: "╰", BottomRight: "╯", Horizontal: "─", Vertical: "│", TeeLeft: "├", TeeRight: "┤",
		Full: "█", Empty: "░", Parts: []string{"▏", "▎", "▍", "▌", "▋", "▊", "▉"},
		Levels:  []string{"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"},
		Braille: true,
	}
}

// Blocks is [Unicode] for fonts whose braille is poor: charts are of blocks.
func Blocks() Glyphs {
	g := Unicode()
	g.Braille = false
	return g
}

// ASCII returns the signs for the Linux console and for terminals that are not
// set to UTF-8.
func ASCII() Glyphs {
	return Glyphs{
		OK: "*", Warn: "~", Bad: "x", Off: "o",
		Cursor: ">", Mark: "+", Changed: "!", Ellipsis: "~", Down: "v", Up: "^", Infinite: "-", Dot: "-",
		Pick: ">", More: ":", On: "x", Left: "<", Right: ">", Follow: ">", Paused: "||", Caret: "_",
		TopLeft: "+", TopRight: "+", BottomLeft: "+", BottomRight: "+", Horizontal: "-", Vertical: "|", TeeLeft: "+", TeeRight: "+",
		Full: "#", Empty: ".", Parts: nil,
		Levels: []string{".", ":", "-", "=", "+", "*", "%", "#"},
	}
}

// Words returns words of ours, such as "Delete…", as the terminal can show
// them.
func (g Glyphs) Words(s string) string {
	if g.Ellipsis == "…" {
		return s
	}
	return strings.ReplaceAll(s, "…", "...")
}
