package logs

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	tea "charm.land/bubbletea/v2"

	"vpn/internal/tui/dialog"
	"vpn/internal/tui/page"
	"vpn/internal/tui/widget"
	"vpn/internal/vpn"
)

// save asks where the lines that are shown are to be written to: those that
// are there now.
func (p *Page) save() tea.Cmd {
	shown := p.view.shown()
	if len(shown) == 0 {
		return p.frame.Say(page.Note, "there is no line to save")
	}
	lines := make([]string, 0, len(shown))
	for _, n := range shown {
		lines = append(lines, plain(p.ring.line(n)))
	}
	form := widget.NewForm(widget.Field{
		Key: "file", Label: "File", Value: "vpn-logs-" + p.frame.Now().Format("20060102-150405") + ".txt",
		Help: "Only you can read it. A file that is there already is left alone.",
	})
	p.frame.Open(dialog.NewForm(p.frame, "Save "+number(len(lines))+" lines", nil, form, func(f *widget.Form) page.Change {
		file := f.Value("file")
		return page.Change{Twin: p.twin(len(lines), file), Do: func(context.Context) (string, error) { return write(file, lines) }}
	}))
	return nil
}

// twin is the command that writes n of these lines to a file.
func (p *Page) twin(n int, file string) string {
	v := p.view
	c := "vpn logs"
	if v.level != "" {
		c += " --level " + string(v.level)
	}
	switch v.source {
	case "":
	case vpn.ControlPlane:
		c += " --daemon"
	default:
		c += " --server " + dialog.Quote(v.source)
	}
	if v.only && !v.query.empty() {
		n = p.ring.len()
	}
	c += fmt.Sprintf(" --tail %d", n)
	if v.only && !v.query.empty() {
		flags := "-F"
		if v.query.folded {
			flags = "-iF"
		}
		c += " | grep " + flags + " -- " + dialog.Quote(string(v.query.text))
	}
	return c + " > " + dialog.Quote(file)
}

// write writes lines to a file that is not there yet, and says so.
func write(name string, lines []string) (string, error) {
	if rest, ok := strings.CutPrefix(name, "~/"); ok {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", vpn.Errorf(vpn.Invalid, "it is not known where your home is: %w", err)
		}
		name = filepath.Join(home, rest)
	}
	if name == "" {
		return "", vpn.Errorf(vpn.Invalid, "the file has no name")
	}
	name, err := filepath.Abs(name)
	if err != nil {
		return "", vpn.Errorf(vpn.Invalid, "it is not known where that is: %w", err)
	}
	file, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return "", refused(name, err)
	}
	w := bufio.NewWriter(file)
	for _, l := range lines {
		_, _ = w.WriteString(l + "\n") // the writer remembers what went wrong
	}
	if err := errors.Join(w.Flush(), file.Close()); err != nil {
		_ = os.Remove(name) // half of it would look like all
		return "", refused(name, err)
	}
	return number(len(lines)) + " lines are in " + name, nil
}

func refused(name string, err error) error {
	switch {
	case errors.Is(err, fs.ErrExist):
		return vpn.Errorf(vpn.Conflict, "%s is there already", name).WithHint("choose another name")
	case errors.Is(err, fs.ErrNotExist):
		return vpn.Errorf(vpn.NotFound, "there is no directory %s", filepath.Dir(name))
	case errors.Is(err, fs.ErrPermission):
		return vpn.Errorf(vpn.Denied, "you may not write %s", name).WithHint("choose a directory of your own, such as ~/")
	}
	return vpn.Errorf(vpn.Unavailable, "%s cannot be written: %w", name, err)
}
