package users

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	tea "charm.land/bubbletea/v2"

	"vpn/internal/qr"
	"vpn/internal/tui/dialog"
	"vpn/internal/tui/page"
	"vpn/internal/tui/widget"
	"vpn/internal/vpn"
)

// access is what a user puts into a client application: links and files, as
// text, in the clipboard and as QR codes.
type access struct{ p *Page }

// A ticket opens one server for one kind of client.
type ticket struct {
	user, server, device string
	protocol             vpn.Protocol
	text                 string
	file                 string // the name of the file that text is; empty: it is a link
	note                 string
	other                bool // for another kind of client than the first
}

// tickets returns what a user has, one by one.
func tickets(user string, list []vpn.Access) []ticket {
	var out []ticket
	for _, a := range list {
		t := ticket{user: user, server: a.Server, device: a.Device, protocol: a.Protocol, note: a.Note}
		if a.File != nil {
			f := t
			f.text, f.file = a.File.Text, a.File.Name
			out = append(out, f)
		}
		if a.Link != "" {
			l := t
			l.text = a.Link
			out = append(out, l)
		}
		for _, link := range a.Others {
			o := t
			o.text, o.other = link, true
			out = append(out, o)
		}
	}
	return out
}

// title names a ticket among those of its user: "main, phone".
func (t ticket) title() string {
	s := t.server
	if t.device != "" {
		s += ", " + t.device
	}
	if t.other {
		s += ", other clients"
		if scheme, _, ok := strings.Cut(t.text, "://"); ok {
			s += ": " + scheme
		}
	}
	return widget.Clean(s)
}

func (t ticket) kind() string {
	kind := string(t.protocol)
	if t.file != "" {
		kind += " file"
	}
	return widget.Clean(kind)
}

// what is how a message calls it.
func (t ticket) what() string {
	noun := "the link"
	if t.file != "" {
		noun = "the file " + widget.Clean(t.file)
	}
	s := noun + " of " + t.user + " to " + widget.Clean(t.server)
	if t.device != "" {
		s += " for " + widget.Clean(t.device)
	}
	return s
}

// flags choose it on the command line.
func (t ticket) flags(list []ticket) string {
	s, device := "", false
	for _, o := range list {
		if o.server != t.server {
			s = " --server " + dialog.Quote(t.server)
		}
		device = device || o.server == t.server && o.device != t.device
	}
	if device {
		s += " --device " + dialog.Quote(t.device)
	}
	return s
}

// of asks for what a user has and goes on with it, if there is any. Only that
// of one device is taken if device names it.
func (a access) of(user vpn.UserInfo, device string, then func([]ticket) tea.Cmd) tea.Cmd {
	p := a.p
	return ask(p, func(ctx context.Context) ([]vpn.Access, error) {
		return p.api.Users.Access(ctx, string(user.ID))
	}, func(list []vpn.Access) tea.Cmd {
		all := tickets(user.Name, list)
		some := all[:0:0]
		for _, t := range all {
			if device == "" || t.device == device {
				some = append(some, t)
			}
		}
		if len(some) == 0 {
			return p.frame.Say(page.Note, "no server lets "+user.Name+" in, and so there is no link")
		}
		return then(some)
	})
}

// choose lets a person choose, if there is a choice.
func (a access) choose(title string, list []ticket, then func(ticket) tea.Cmd) tea.Cmd {
	if len(list) == 1 {
		return then(list[0])
	}
	items := make([]dialog.Item, 0, len(list))
	for _, t := range list {
		items = append(items, dialog.Item{Text: t.title(), Note: t.kind(), Do: func() tea.Cmd { return then(t) }})
	}
	a.p.frame.Open(dialog.NewPick(a.p.frame, title, "which server, which device?", items))
	return nil
}

func (a access) link(u vpn.UserInfo) tea.Cmd { return a.of(u, "", a.showOf(u, "")) }

// showOf returns what shows tickets as text: one that is chosen, or all.
func (a access) showOf(u vpn.UserInfo, device string) func([]ticket) tea.Cmd {
	return func(list []ticket) tea.Cmd {
		if len(list) == 1 {
			return a.show(u, device, list)
		}
		items := []dialog.Item{{Text: "all of them", Note: fmt.Sprint(len(list)), Do: func() tea.Cmd { return a.show(u, device, list) }}}
		for _, t := range list {
			items = append(items, dialog.Item{Text: t.title(), Note: t.kind(), Do: func() tea.Cmd { return a.show(u, t.device, []ticket{t}) }})
		}
		a.p.frame.Open(dialog.NewPick(a.p.frame, "Links and files of "+u.Name, "which server, which device?", items))
		return nil
	}
}

// show shows tickets as they are, so that the terminal can select them.
func (a access) show(u vpn.UserInfo, device string, list []ticket) tea.Cmd {
	p := a.p
	t := p.frame.Theme()
	var lines, texts []string
	for i, k := range list {
		if i > 0 {
			lines = append(lines, "")
		}
		head := k.title() + " (" + k.kind() + ")"
		if k.file != "" {
			head += " " + widget.Clean(k.file)
		}
		lines = append(lines, t.Muted.Render(head))
		for line := range strings.SplitSeq(strings.TrimRight(k.text, "\n"), "\n") {
			lines = append(lines, widget.Clean(line))
		}
		if k.note != "" {
			lines = append(lines, t.Warn.Render(t.Glyphs.Warn+" "+widget.Clean(k.note)))
		}
		texts = append(texts, k.text)
	}
	command, what := "vpn users link "+dialog.Quote(u.Name), "all that "+u.Name+" has"
	if len(list) == 1 {
		command, what = command+" --server "+dialog.Quote(list[0].server), list[0].what()
	}
	if device != "" {
		command += " --device " + dialog.Quote(device)
	}
	lines = append(lines, "", t.Faint.Render("= "+widget.Clean(command)))
	p.frame.Open(dialog.NewLink(p.frame, " Links and files of "+u.Name, lines, strings.Join(texts, "\n"), what))
	return nil
}

func (a access) copy(u vpn.UserInfo) tea.Cmd {
	return a.of(u, "", func(list []ticket) tea.Cmd {
		return a.choose("Copy for "+u.Name, list, func(t ticket) tea.Cmd { return a.p.frame.Copy(t.text, t.what()) })
	})
}

func (a access) qr(u vpn.UserInfo) tea.Cmd { return a.of(u, "", a.qrOf(u)) }

// qrOf returns what shows the QR code of a ticket. Only what each server is
// meant to be opened with has one, as on the command line.
func (a access) qrOf(u vpn.UserInfo) func([]ticket) tea.Cmd {
	return func(list []ticket) tea.Cmd {
		some := list[:0:0]
		for _, t := range list {
			if !t.other && (len(some) == 0 || some[len(some)-1].server != t.server || some[len(some)-1].device != t.device) {
				some = append(some, t)
			}
		}
		if len(some) == 0 {
			some = list
		}
		return a.choose("QR code for "+u.Name, some, func(t ticket) tea.Cmd { return a.openQR(t, some) })
	}
}

func (a access) openQR(t ticket, among []ticket) tea.Cmd {
	name := pngName(t)
	command := "vpn users qr " + dialog.Quote(t.user) + t.flags(among) + " --png " + name + ".png"
	a.p.frame.Open(dialog.NewQR(a.p.frame, t.user+": "+t.title(), t.text, command, func() tea.Cmd { return a.save(t, name) }))
	return nil
}

// pngName is what the image of a ticket is called, without its ending. All
// parts are names, which hold nothing that a path could.
func pngName(t ticket) string {
	parts := []string{t.user, t.server}
	if t.device != "" {
		parts = append(parts, t.device)
	}
	return strings.Map(func(r rune) rune {
		if r == '/' || r == os.PathSeparator {
			return '_'
		}
		return r
	}, strings.Join(parts, "-"))
}

const (
	// pngScale is how many pixels wide a module is: what a phone reads from
	// any screen.
	pngScale = 8

	// mostNames is how many names are tried for an image.
	mostNames = 1000
)

// save writes the image into the working directory, under a name that is not
// taken.
func (a access) save(t ticket, name string) tea.Cmd {
	write := a.p.o.Write
	return a.p.frame.Change(page.Change{Do: func(context.Context) (string, error) {
		var b bytes.Buffer
		if err := qr.PNG(&b, t.text, pngScale); err != nil {
			return "", fmt.Errorf("draw QR code: %w", err)
		}
		for n := 1; n < mostNames; n++ {
			path := name + ".png"
			if n > 1 {
				path = fmt.Sprintf("%s-%d.png", name, n)
			}
			err := write(path, b.Bytes())
			if errors.Is(err, fs.ErrExist) {
				continue
			}
			if err != nil {
				return "", err
			}
			return "wrote " + path + "; it lets whoever has it in", nil
		}
		return "", vpn.Errorf(vpn.Conflict, "%s.png exists already, and so do its numbered ones", name).WithHint("clear them up, or use: vpn users qr")
	}})
}

// create makes a file that only its owner may read.
func create(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err != nil {
		_ = os.Remove(path)
	}
	return err
}
