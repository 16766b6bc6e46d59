package widget_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/google/go-cmp/cmp"

	"vpn/internal/tui/theme"
	"vpn/internal/tui/widget"
)

var dark = theme.New(theme.Dark, true, theme.Unicode())

func plain(lines []string) string {
	out := make([]string, 0, len(lines))
	for _, l := range lines {
		out = append(out, strings.TrimRight(ansi.Strip(l), " "))
	}
	return strings.Join(out, "\n")
}

// exact fails the test unless lines are h lines of w cells.
func exact(t *testing.T, lines []string, w, h int) {
	t.Helper()
	if len(lines) != h {
		t.Errorf("%d lines, want %d", len(lines), h)
	}
	for i, l := range lines {
		if got := ansi.StringWidth(l); got != w {
			t.Errorf("line %d takes %d cells, want %d: %q", i, got, w, ansi.Strip(l))
		}
	}
}

var hostile = []string{
	"\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "\x1b]52;c;aGk=\x07", "a\rb\nc\td", "\u202eright to left\u202c", "\u200bzero\u200dwidth\ufe0f",
	"漢字かな", "שלום עולם", "👩‍👩‍👧‍👦 family", "e\u0301\u0301\u0301", string([]byte{0xff, 0xfe, 'x'}), strings.Repeat("long ", 40), "\x9b31m", "",
}

func TestNothingOfOthersBreaksALine(t *testing.T) {
	for _, s := range hostile {
		clean := widget.Clean(s)
		if strings.ContainsAny(clean, "\x1b\x07\r\n\t\u009b") || strings.ContainsRune(clean, '\u202e') || strings.ContainsRune(clean, '\u200b') {
			t.Errorf("%q is cleaned to %q", s, clean)
		}
		for w := range 12 {
			exact(t, []string{widget.Fit(dark, clean, w), widget.FitRight(dark, clean, w), widget.FitCenter(dark, clean, w)}, w, 3)
		}
	}
}

func FuzzClean(f *testing.F) {
	for _, s := range hostile {
		f.Add(s, 10)
	}
	f.Fuzz(func(t *testing.T, s string, w int) {
		w = max(min(w, 200), 0)
		clean := widget.Clean(s)
		for _, r := range clean {
			if r < ' ' || r >= 0x7f && r < 0xa0 {
				t.Fatalf("%q is cleaned to %q", s, clean)
			}
		}
		if got := ansi.StringWidth(widget.Fit(dark, clean, w)); got != w {
			t.Fatalf("%q takes %d cells, want %d", clean, got, w)
		}
	})
}

func TestPaneOfAnySize(t *testing.T) {
	for w := range 40 {
		for h := range 6 {
			exact(t, widget.Pane{Title: "Users", Note: "12 of 10,000", Focus: w%2 == 0}.Render(dark, w, h, []string{"one", strings.Repeat("wide ", 20)}), w, h)
		}
	}
	want := "╭─ Users ──────── 3 ─╮\n│one                 │\n╰────────────────────╯"
	if diff := cmp.Diff(want, plain(widget.Pane{Title: "Users", Note: "3"}.Render(dark, 22, 3, []string{"one"}))); diff != "" {
		t.Error(diff)
	}
}

func TestOverlay(t *testing.T) {
	under := []string{"aaaaaa", dark.OK.Render("bbbbbb"), "cccccc"}
	got := plain(widget.Over(under, []string{"XX", "YY", "ZZ"}, 2, 1))
	if diff := cmp.Diff("aaaaaa\nbbXXbb\nccYYcc", got); diff != "" {
		t.Error(diff)
	}
}

func people(n int) (*widget.Table, func(keep func(int) bool)) {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("user-%05d", (i*7919)%n)
	}
	tab := widget.NewTable(
		widget.Column{Title: "NAME", Min: 10, Flex: 1, Text: func(i int) string { return names[i] }, Less: func(a, b int) bool { return names[a] < names[b] }},
		widget.Column{Title: "N", Min: 5, Right: true, Leaves: 1, Text: func(i int) string { return fmt.Sprint(i) }, Less: func(a, b int) bool { return a < b }},
		widget.Column{Title: "LONG", Min: 20, Leaves: 2, Text: func(int) string { return "x" }},
	)
	fill := func(keep func(int) bool) { tab.SetRows(n, func(i int) string { return names[i] }, keep) }
	fill(nil)
	return tab, fill
}

func TestTableKeepsItsCursorOnItsRow(t *testing.T) {
	tab, fill := people(100)
	tab.SortBy(0, false)
	tab.Move(10)
	row := tab.Row()
	fill(nil)
	if tab.Row() != row {
		t.Error("another row after the rows came anew")
	}
	tab.SortBy(1, true)
	if tab.Row() != row {
		t.Error("another row after sorting")
	}
	fill(func(i int) bool { return i == row || i%2 == 0 })
	if tab.Row() != row {
		t.Error("another row after a filter that lets it be")
	}
	fill(func(i int) bool { return i != row })
	if tab.Row() < 0 || tab.Len() != 99 {
		t.Errorf("row %d of %d after a filter that hides it", tab.Row(), tab.Len())
	}
	fill(func(int) bool { return false })
	if tab.Row() != -1 || len(tab.Chosen()) != 0 {
		t.Error("there is a row in an empty table")
	}
}

func TestTableMarks(t *testing.T) {
	tab, fill := people(20)
	tab.SortBy(1, false)
	tab.ToggleMark()
	tab.Move(4)
	tab.MarkRange()
	if diff := cmp.Diff([]int{0, 1, 2, 3, 4}, tab.Chosen()); diff != "" {
		t.Error(diff)
	}
	fill(func(i int) bool { return i > 10 })
	if tab.Marks() != 5 || len(tab.Chosen()) != 5 {
		t.Error("what is not shown is no longer marked")
	}
	if !tab.Unmark() || tab.Unmark() {
		t.Error("unmark does not tell whether there were marks")
	}
	if len(tab.Chosen()) != 1 {
		t.Error("without marks the cursor's row is chosen")
	}
}

func TestTableDropsColumnsByPriority(t *testing.T) {
	tab, _ := people(3)
	for w, want := range map[int][]string{60: {"NAME", "N", "LONG"}, 30: {"NAME", "N"}, 15: {"NAME"}} {
		lines := tab.Render(dark, w, 4, true)
		exact(t, lines, w, 4)
		if got := strings.Fields(ansi.Strip(lines[0])); !cmp.Equal(got, want) {
			t.Errorf("at %d: %v, want %v", w, got, want)
		}
	}
	for w := range 70 {
		for h := range 6 {
			exact(t, tab.Render(dark, w, h, true), w, h)
		}
	}
}

func TestTableClicks(t *testing.T) {
	tab, _ := people(50)
	tab.Render(dark, 60, 10, true)
	if !tab.Click(5, 3) || tab.Row() != 2 {
		t.Errorf("a click on line 3 is on row %d", tab.Row())
	}
	tab.Click(3, 0)
	if tab.Sort != 0 || tab.Desc {
		t.Error("a click on a title does not sort")
	}
	if tab.Click(3, 0); !tab.Desc {
		t.Error("a second click does not turn it round")
	}
	if tab.Click(3, 40) {
		t.Error("there is nothing at line 40")
	}
}

func TestCharts(t *testing.T) {
	for _, g := range []theme.Glyphs{theme.Unicode(), theme.Blocks(), theme.ASCII()} {
		th := theme.New(theme.Dark, true, g)
		values := []float64{0, 1, 2, 3, 4, 3, 2, 1, 0, 100, -5}
		for w := range 30 {
			for h := 1; h < 6; h++ {
				if w > 0 {
					exact(t, widget.Area(th, values, 100, w, h, false, th.Down), w, h)
					exact(t, widget.Area(th, values, 0, w, h, true, th.Up), w, h)
				}
				exact(t, widget.Mirror(th, values, nil, w, h, func(f float64) string { return fmt.Sprint(int(f)) }), w, h)
			}
			exact(t, []string{widget.Spark(th, values, w), widget.Bar(th, 1.5, w), widget.Bar(th, 0.33, w), widget.Gauge(th, "CPU", 0.76, w)}, w, 4)
		}
	}
	if got := ansi.Strip(strings.Join(widget.Area(dark, []float64{1, 2, 3, 4}, 4, 2, 1, false, dark.Down), "")); got != "⣠⣾" {
		t.Errorf("1, 2, 3, 4 are drawn %q", got)
	}
	if got := widget.Spark(dark, []float64{0, 1, 2}, 3); got != "▁▅█" {
		t.Errorf("0, 1, 2 are drawn %q", got)
	}
}

func typed(f *widget.Form, text string) {
	for _, r := range text {
		f.Update(tea.KeyPressMsg{Code: r, Text: string(r)})
	}
}

func TestForm(t *testing.T) {
	f := widget.NewForm(
		widget.Field{Key: "name", Label: "Name", Check: func(s string) error {
			if s == "" {
				return fmt.Errorf("a name is needed")
			}
			return nil
		}},
		widget.Field{Key: "kind", Label: "Kind", Choices: []string{"a", "b"}, Value: "b"},
		widget.Field{Key: "many", Label: "Many", Choices: []string{"x", "y", "z"}, Several: true, Value: "y"},
	)
	if f.Check() || !strings.Contains(plain(f.Render(dark, 60, 10)), "a name is needed") {
		t.Error("an empty name is taken")
	}
	typed(f, "alice")
	f.Update(tea.KeyPressMsg{Code: tea.KeyTab})
	f.Update(tea.KeyPressMsg{Code: tea.KeyRight})
	f.Update(tea.KeyPressMsg{Code: tea.KeyTab})
	f.Update(tea.KeyPressMsg{Code: tea.KeySpace, Text: " "})
	if !f.Check() || f.Value("name") != "alice" || f.Value("kind") != "a" || f.Value("many") != "x,y" {
		t.Errorf("%q %q %q", f.Value("name"), f.Value("kind"), f.Value("many"))
	}
	if !f.Changed("kind") || f.Changed("nothing") {
		t.Error("what has changed is not told")
	}
	if !f.Fault("kind", "not that one") || !strings.Contains(plain(f.Render(dark, 60, 10)), "✗ not that one") {
		t.Error("a fault is not shown beside its field")
	}
	for w := 8; w < 60; w++ {
		for h := 1; h < 8; h++ {
			for i, l := range f.Render(dark, w, h) {
				if got := ansi.StringWidth(l); got != w {
					t.Fatalf("%dx%d: line %d takes %d cells: %q", w, h, i, got, ansi.Strip(l))
				}
			}
		}
	}
}

func BenchmarkTableMove(b *testing.B) {
	tab, _ := people(10_000)
	tab.SortBy(0, false)
	b.ReportAllocs()
	for i := range b.N {
		if i%2 == 0 {
			tab.Move(1)
		} else {
			tab.Move(-1)
		}
		tab.Render(dark, 118, 36, true)
	}
}

func BenchmarkMirror(b *testing.B) {
	values := make([]float64, 300)
	for i := range values {
		values[i] = float64(i % 37)
	}
	b.ReportAllocs()
	for b.Loop() {
		widget.Mirror(dark, values, values, 84, 30, func(float64) string { return "1 MB/s" })
	}
}

// The quick way to the width of a line is right, whatever is in it.
func TestWidth(t *testing.T) {
	parts := []string{"a", " ", "│", "█", "⣿", "↓", "●", "✗", "…", "∞", "\x1b[1;38;2;1;2;3m", "\x1b[m", "\x1b[0m", "漢", "é", "e\u0301", "●\ufe0f", "↑\ufe0e", "\u200d", "ع", "🙂", "\x1b[2J", "\x1b]52;c;eA==\a", "\x1b", "\x1b[", "\x1b[31", "\xff", "\t", "\u0301"}
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		var b strings.Builder
		for range random.IntN(8) {
			b.WriteString(parts[random.IntN(len(parts))])
		}
		if got, want := widget.Width(b.String()), ansi.StringWidth(b.String()); got != want {
			t.Fatalf("%q takes %d cells, not %d", b.String(), want, got)
		}
	}
}

func BenchmarkWidth(b *testing.B) {
	line := "\x1b[38;2;59;66;82m│\x1b[m" + strings.Repeat("⣿", 60) + " 12.5MB/s " + "\x1b[38;2;59;66;82m│\x1b[m"
	for b.Loop() {
		widget.Width(line)
	}
}
