package users_test

import (
	"context"
	"strings"
	"testing"

	"vpn/internal/tui/key"
	"vpn/internal/tui/page"
	"vpn/internal/tui/page/users"
	"vpn/internal/tui/tuitest"
	"vpn/internal/vpn"
)

// nastily is a control plane where everything is called something nasty.
type nastily struct{ *plane }

func (n nastily) Users(ctx context.Context) ([]vpn.UserInfo, error) {
	list, err := n.plane.Fleet.Users(ctx)
	for i := range list {
		u := &list[i]
		u.Name, u.Note, u.Email, u.Tags = nasty+u.Name, strings.Repeat(nasty, 9), nasty, []string{nasty, nasty}
		u.Status, u.ID = nasty+u.Status, nasty+u.ID
		u.Limits.Period = vpn.Period{Every: nasty, ResetsOn: nasty, TimeZone: nasty}
	}
	return list, err
}

func (n nastily) Online(ctx context.Context) ([]vpn.UserInfo, error) {
	return tuitest.Online(n.Users(ctx))
}

func (n nastily) Status(ctx context.Context) (vpn.Status, error) {
	s, err := n.plane.Fleet.Status(ctx)
	for i := range s.Servers {
		s.Servers[i].Name, s.Servers[i].Protocol = nasty, nasty
	}
	return s, err
}

// nasty is what somebody writes who means harm.
const nasty = "\x1b[2J\x1b]52;c;ZXZpbA==\x07\u202eabc\u009b31m\u0000日本語のユーザー名前 עברית \u200d👩‍👩‍👧 \r\n\t"

func TestNothingBreaksTheScreen(t *testing.T) {
	for _, keys := range [][]string{{}, {"enter"}, {"e"}, {"n"}, {"l", "enter"}, {"d"}, {"/", "i", "s", ":"}, {"o"}, {"D"}} {
		o, _ := tuitest.Options(t)
		f := newPlane(30)
		f.access[0].Server, f.access[0].Link, f.access[1].Note, f.devices[0].Name = nasty, nasty, nasty, nasty
		o.Source = nastily{f}
		d := tuitest.Drive(t, alone(o, f, users.Options{After: atOnce}), 120, 40).Press(append([]string{"2"}, keys...)...)
		for w := 1; w <= 200; w += 17 {
			for h := 1; h <= 70; h += 11 {
				d.Size(w, h).Fits()
			}
		}
		if text := d.Text(); strings.ContainsAny(text, "\x1b\x07\u202e\u009b\u0000") {
			t.Errorf("%v: what was written moves the cursor", keys)
		}
	}
}

// The page is asked for no more than it says, at any size.
func TestRendersExactly(t *testing.T) {
	o, _ := tuitest.Options(t)
	var p page.Page
	f := newPlane(30)
	o.Source = f
	a := tuitest.Alone(o, key.Users, func(fr page.Frame) page.Page {
		p = users.New(fr, f.api(), users.Options{After: atOnce})
		return p
	})
	d := tuitest.Drive(t, a, 120, 40).Press("2")
	for _, keys := range [][]string{{}, {"enter"}, {"esc", "/", "x", "y"}} {
		d.Press(keys...)
		for w := 1; w <= 200; w += 23 {
			for h := 1; h <= 70; h += 13 {
				if lines := p.Render(w, h); len(lines) != h {
					t.Fatalf("%d lines at %dx%d", len(lines), w, h)
				}
			}
		}
	}
}
