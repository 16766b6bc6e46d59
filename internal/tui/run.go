package tui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"vpn/internal/tui/theme"
	"vpn/internal/vpn"
)

// A Terminal is where the UI runs.
type Terminal struct {
	In     io.Reader
	Out    io.Writer
	Getenv func(string) string
	Env    []string
}

// Run shows the UI until its person quits or ctx ends; then the terminal is
// as it was before, whatever happens.
func Run(ctx context.Context, a *App, t Terminal) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	options := []tea.ProgramOption{
		tea.WithInput(t.In), tea.WithOutput(t.Out), tea.WithEnvironment(t.Env),
		tea.WithFilter(still),
	}
	if t.Getenv("SSH_TTY") != "" {
		options = append(options, tea.WithFPS(30)) // half the bytes, and nobody sees it
	}
	program := tea.NewProgram(a, options...)
	// To end the library's context instead would leave its reader behind.
	defer context.AfterFunc(ctx, program.Quit)()
	if a.o.Watch != nil {
		go watch(ctx, a.o.Watch, program.Send)
	}
	_, err := program.Run()
	if errors.Is(err, tea.ErrInterrupted) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("run the terminal UI: %w", err)
	}
	return nil
}

// watch hands events to the UI as they come, and connects again when the
// daemon has gone and come back.
func watch(ctx context.Context, events func(context.Context, func(vpn.Event)) error, send func(tea.Msg)) {
	const pause = 2 * time.Second
	for ctx.Err() == nil {
		_ = events(ctx, func(e vpn.Event) { send(eventMsg{e}) }) // why it ended, looking tells
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// still drops what moves the pointer: nothing follows it.
func still(_ tea.Model, msg tea.Msg) tea.Msg {
	if _, ok := msg.(tea.MouseMotionMsg); ok {
		return nil
	}
	return msg
}

// GlyphsFor returns the signs for a terminal: those that were asked for, or
// what it can show.
func GlyphsFor(name string, getenv func(string) string) theme.Glyphs {
	switch name {
	case "unicode":
		return theme.Unicode()
	case "blocks":
		return theme.Blocks()
	case "ascii":
		return theme.ASCII()
	}
	locale := ""
	for _, v := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if locale = getenv(v); locale != "" {
			break
		}
	}
	switch {
	case getenv("TERM") == "linux": // whose font has few signs
		return theme.ASCII()
	case locale != "" && !strings.Contains(strings.ToLower(strings.ReplaceAll(locale, "-", "")), "utf8"):
		return theme.ASCII()
	}
	return theme.Unicode()
}

// DarkFor guesses a terminal's background until it answers, if ever.
func DarkFor(getenv func(string) string) bool {
	// "foreground;background", by rxvt and those that do as it does.
	parts := strings.Split(getenv("COLORFGBG"), ";")
	switch parts[len(parts)-1] {
	case "7", "15":
		return false
	}
	return true
}
