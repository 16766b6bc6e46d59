package monitor_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"vpn/internal/tui"
	"vpn/internal/tui/key"
	"vpn/internal/tui/page"
	"vpn/internal/tui/page/monitor"
	"vpn/internal/tui/tuitest"
	"vpn/internal/vpn"
)

// books are what was moved, and who was kicked.
type books struct {
	rates   []vpn.RatesQuery
	history []vpn.HistoryQuery
	kicked  []string
	err     error
	none    bool
}

func (b *books) Rates(_ context.Context, q vpn.RatesQuery) (vpn.Rates, error) {
	b.rates = append(b.rates, q)
	r := vpn.Rates{Since: tuitest.Now().Add(-vpn.RatesSpan), Until: tuitest.Now().Add(-time.Second)}
	for i := range 120 {
		if at := r.Until.Add(time.Duration(i-119) * time.Second); i%10 > 4 && at.After(q.Since) {
			r.Points = append(r.Points, vpn.RatePoint{At: at, Rate: vpn.Rate{Up: 100_000, Down: uint64(i) * 50_000}, Online: 2})
		}
	}
	return r, b.err
}

// History has 1 MB/s down, and 3 in one step; in the third quarter no daemon
// ran to count connections.
func (b *books) History(_ context.Context, q vpn.HistoryQuery) (vpn.History, error) {
	b.history = append(b.history, q)
	h := vpn.History{Since: q.Since, Until: tuitest.Now(), Step: int64(q.Step / time.Second)}
	if b.none {
		return h, b.err
	}
	i := 0
	for at := q.Since; at.Before(tuitest.Now()); at = at.Add(q.Step) {
		p := vpn.HistoryPoint{At: at, Traffic: vpn.Traffic{Down: uint64(h.Step) * 1e6, Up: uint64(float64(h.Step) * 2e5 * (1 + math.Sin(float64(i)/9)))}}
		if i == 5 {
			p.Down *= 3
		}
		if part := 4 * at.Sub(q.Since) / tuitest.Now().Sub(q.Since); part != 2 {
			p.Online = 40 + 30*math.Sin(float64(i)/20)
			h.Watched = append(h.Watched, vpn.WatchedStep{At: at, Seconds: h.Step})
		}
		h.Points, h.Total = append(h.Points, p), h.Total.Add(p.Traffic)
		i++
	}
	return h, b.err
}

func (b *books) Kick(_ context.Context, user string) (vpn.Kicked, error) {
	b.kicked = append(b.kicked, user)
	return vpn.Kicked{Connections: 1}, b.err
}

// timers are what the page waits for; they fire when a test says so.
type timers struct {
	fns   []func(time.Time) tea.Msg
	waits []time.Duration
}

func (t *timers) After(d time.Duration, fn func(time.Time) tea.Msg) tea.Cmd {
	t.fns, t.waits = append(t.fns, fn), append(t.waits, d)
	return nil
}

func (t *timers) fire(d *tuitest.Driver) {
	fns := t.fns
	t.fns, t.waits = nil, nil
	for _, fn := range fns {
		d.Send(fn(tuitest.Now()))
	}
}

func model(o tui.Options, b *books, t *timers) *tui.App {
	if o.Source == nil {
		o.Source = &tuitest.Fleet{N: 400}
	}
	return tuitest.Alone(o, key.Monitor, func(f page.Frame) page.Page { return monitor.New(f, b, b, t.After) })
}

func open(t *testing.T, b *books, w, h int) (*tuitest.Driver, *timers, *tuitest.Clock) {
	t.Helper()
	o, clock := tuitest.Options(t)
	timers := &timers{}
	return tuitest.Drive(t, model(o, b, timers), w, h).Press("4"), timers, clock
}

func TestPictures(t *testing.T) {
	for _, c := range []struct {
		name string
		b    *books
		keys []string
	}{
		{"minutes", &books{}, []string{"4"}},
		{"day", &books{}, []string{"4", "]", "]"}},
		{"month", &books{}, []string{"4", "]", "]", "]"}},
		{"connections", &books{}, []string{"4", "/", "t", "u", "n", "enter", "+"}},
		{"host", &books{}, []string{"4", "tab", "tab"}},
		{"kick", &books{}, []string{"4", "shift+tab", "K"}},
		{"whose", &books{}, []string{"4", "s"}},
		{"error", &books{err: vpn.Errorf(vpn.Unavailable, "the store is busy").WithHint("try again")}, []string{"4", "]"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			tuitest.Pictures(t, c.keys, func(o tui.Options) tea.Model { return model(o, c.b, &timers{}) })
		})
	}
	t.Run("empty", func(t *testing.T) {
		tuitest.Pictures(t, []string{"4", "shift+tab"}, func(o tui.Options) tea.Model {
			o.Source = &tuitest.Fleet{}
			return model(o, &books{none: true}, &timers{})
		})
	})
}

// silent knows nothing but the status yet.
type silent struct{ tuitest.Fleet }

func (*silent) Host(context.Context) (vpn.Host, error) { return vpn.Host{}, errors.New("no answer") }

func (*silent) Sessions(context.Context) ([]vpn.Session, error) {
	return nil, vpn.Errorf(vpn.Unavailable, "no answer").WithHint("look at the logs")
}

func (*silent) Rates(context.Context, vpn.RatesQuery) (vpn.Rates, error) {
	return vpn.Rates{}, errors.New("no answer")
}

func TestWithoutAnswers(t *testing.T) {
	o, _ := tuitest.Options(t)
	o.Source = &silent{}
	tuitest.Drive(t, model(o, &books{}, &timers{}), 120, 40).Press("4").Want("✗ no answer", "look at the logs", "░░░").Fits()
}

func TestLoading(t *testing.T) {
	tuitest.Loading(t, []string{"4"}, func(o tui.Options) *tui.App { return model(o, &books{}, &timers{}) })
}

func TestSpans(t *testing.T) {
	b := &books{}
	d, timers, clock := open(t, b, 120, 40)
	d.Want("Traffic · everything", "last 2 min", "-60 s", "now", "moved", "highest")
	d.Press("]").Want("last 1 h", "13:15")
	d.Press("]").Want("last 24 h", "highest ↓3MB/s", "moved ↓87", "18:")
	d.Press("]", "]").Want("last 30 d", "10-2")
	if n := len(b.history); n != 4 {
		t.Fatalf("%d queries", n)
	}
	for i, want := range []struct {
		back, step time.Duration
	}{{time.Hour, 5 * time.Minute}, {24 * time.Hour, 5 * time.Minute}, {30 * 24 * time.Hour, time.Hour}} {
		if q := b.history[i]; !q.Since.Equal(tuitest.Now().Add(-want.back)) || q.Step != want.step {
			t.Errorf("asked for %+v", q)
		}
	}
	// It is asked anew each minute, while somebody looks.
	n := len(b.history)
	if got := timers.waits[len(timers.waits)-1]; got != time.Minute {
		t.Errorf("it waits for %s", got)
	}
	timers.fire(d)
	if len(b.history) != n+1 {
		t.Errorf("%d queries after a minute", len(b.history)-n)
	}
	d.Press("1").Later(clock, time.Minute)
	timers.fire(d)
	if len(b.history) != n+1 {
		t.Error("it asks while nobody looks")
	}
	d.Press("4")
	if len(b.history) != n+2 {
		t.Error("it does not ask when somebody looks again")
	}
	d.Press("[", "[", "[").Want("last 2 min")
}

func TestWhose(t *testing.T) {
	b := &books{}
	d, timers, _ := open(t, b, 120, 40)
	d.Press("s").Want("Whose traffic", "everything", "server main").Type("server tunnel").Press("enter")
	d.Want("Traffic · server tunnel").WantNot(" main ")
	d.Press("s").Type("user hiro-0277").Press("enter").Want("Traffic · user hiro-0277", "1 of 73", "moved ↓")
	if q := b.rates[0]; q.User != "hiro-0277" || q.Server != "" || !q.Since.IsZero() {
		t.Errorf("asked for %+v", q)
	}
	timers.fire(d) // a second later, for what is new
	if q := b.rates[len(b.rates)-1]; !q.Since.Equal(tuitest.Now().Add(-time.Second)) {
		t.Errorf("asked for %+v", q)
	}
	d.Press("]").Want("Traffic · user hiro-0277", "last 1 h", "Online", " on average")
	if q := b.history[0]; q.User != "hiro-0277" {
		t.Errorf("asked for %+v", q)
	}
	d.Press("esc").Want("Traffic · everything", "last 1 h")
}

// The screens of users and servers lead here.
func TestShow(t *testing.T) {
	b := &books{}
	o, _ := tuitest.Options(t)
	o.Source = &tuitest.Fleet{N: 400}
	timers := &timers{}
	var p *monitor.Page
	d := tuitest.Drive(t, tuitest.Alone(o, key.Monitor, func(f page.Frame) page.Page {
		p = monitor.New(f, b, b, timers.After)
		return p
	}), 120, 40).Press("4")
	if cmd := p.Show("server:tunnel"); cmd != nil {
		t.Error("it asks for what the feed knows")
	}
	d.Send(nil).Want("Traffic · server tunnel").Send(p.Show("user:hiro-0277")()).Want("Traffic · user hiro-0277", "moved ↓186MB", "1 of 73", "203.0.113.21:40277")
	p.Show("")
	d.Want("Traffic · user hiro-0277")

	// An answer about somebody else comes late.
	late, n := p.Show("user:alice-0010"), len(timers.fns)
	d.Send(p.Show("user:hiro-0277")()).Send(late())
	if len(timers.fns) != n+1 {
		t.Errorf("%d answers are taken", len(timers.fns)-n)
	}
}

func TestConnections(t *testing.T) {
	b := &books{}
	d, _, _ := open(t, b, 120, 40)
	d.Want("SOURCE", "USER", "AGE", "DOWN↓", " 73 ─", "julia-0289")
	d.Press("/").Type("TUN bob").Want("of 73", "bob-0271", "tunnel").WantNot("julia").Press("enter")
	d.Press("j", "enter").Want("Connection", "wireguard over tcp", "this user has no other connection").Press("esc")
	d.Press("/").Type(" nobody").Want("is one with TUN bob nobody.").Press("esc").Want(" 73 ─").WantNot("is one with")
	d.Press("O").Want("DOWN↑", "hiro-0217").Press("o").Want("SOURCE↑")
}

func TestKick(t *testing.T) {
	b := &books{}
	d, _, _ := open(t, b, 120, 40)
	d.Want("SOURCE").Press("K").Want("Kick ivan-0298?", "All connections of ivan-0298 end", "1 connection now", "= vpn users kick ivan-0298", "▸ Cancel").Press("enter")
	if len(b.kicked) > 0 {
		t.Fatal("enter alone kicks")
	}
	d.Press("K", "y").Want("1 connection of ivan-0298 closed")
	if len(b.kicked) != 1 || b.kicked[0] != "ivan-0298" {
		t.Errorf("kicked %q", b.kicked)
	}
	b.err = vpn.Errorf(vpn.NotFound, "there is no user ivan-0298")
	d.Press("K", "y").Want("there is no user ivan-0298").Press("esc")
	d.Press("U").Want("Users shows ivan-0298")
}

// Where there is room for one pane, nobody is kicked who is not seen.
func TestOnePane(t *testing.T) {
	b := &books{}
	d, _, _ := open(t, b, 60, 18)
	d.Want("Traffic · everything", "tab: next").WantNot("SOURCE").Press("K").Want("the connections are in another").WantNot("Kick").Press("esc")
	d.Press("tab").Want("Online", "270 now").Press("tab").Want("CPU", "MEM", "DISK").Press("tab").Want("SOURCE", "DOWN↓")
	d.Press("K").Want("Kick").Press("esc", "tab").Want("Traffic")
	d, _, _ = open(t, b, 120, 40)
	d.Press("tab", "tab", "+").Want("CPU").WantNot("SOURCE", "Traffic").Press("+").Want("SOURCE", "Traffic").Press("+", "esc").Want("SOURCE")
	d.ClickOn("Online", tea.MouseLeft).Press("+").Want("Online").WantNot("CPU", "SOURCE").Press("+")
	d.ClickOn("SOURCE", tea.MouseLeft).Want("SOURCE↑").ClickOn("ivan-0298", tea.MouseLeft).Press("enter").Want("Connection", "ivan-0298")
}

// The menu is of the connection that was clicked, where there is one.
func TestMenu(t *testing.T) {
	d, _, _ := open(t, &books{}, 120, 40)
	d.ClickOn("julia-0289", tea.MouseRight).Want("▌ 203.0.113.33:40289", "Go to the user of the connection").Press("K").Want("Kick julia-0289?").Press("esc")
	d.Press("j", "x").Want("Go to the user of the connection").Press("U").Want("Users shows grace-0286").Press("esc")
	d.ClickOn("SOURCE", tea.MouseRight).WantNot("Go to the user", "SOURCE↑").ClickOn("CPU", tea.MouseRight).WantNot("Go to the user")
	d, _, _ = open(t, &books{}, 60, 18)
	d.Press("x").Want("there is no row under the cursor").Press("esc", "shift+tab", "x").Want("Kick the user").Press("enter").Want("Kick ivan-0298?")
}

// hostile has connections of people who want to draw on the screen.
type hostile struct{ tuitest.Fleet }

func (*hostile) Sessions(context.Context) ([]vpn.Session, error) {
	var out []vpn.Session
	for i, name := range []string{"\x1b[2J\x1b]52;c;eA==\a", "\u202eabc", strings.Repeat("漢", 100), "العربية", "a\nb"} {
		out = append(out, vpn.Session{ID: uint64(i), UserName: name, Server: name, Protocol: vpn.Protocol(name), Network: name, Traffic: vpn.Traffic{Down: 1 << 62}})
	}
	return out, nil
}

func TestHostileTextAndAllSizes(t *testing.T) {
	o, _ := tuitest.Options(t)
	o.Source = &hostile{}
	d := tuitest.Drive(t, model(o, &books{}, &timers{}), 80, 24).Press("4").Fits().WantNot("\x1b", "]52").Want("a b")
	for range 5 {
		d.Press("enter").Fits().Press("esc", "K").Fits().Press("esc", "j")
	}
	d, _, _ = open(t, &books{}, 80, 24)
	for _, keys := range [][]string{nil, {"]"}, {"tab"}, {"tab", "/", "b", "enter"}, {"tab", "+"}} {
		d.Press(keys...)
		for w := 1; w <= 200; w += 23 {
			for h := 1; h <= 70; h += 11 {
				d.Size(w, h).Fits()
			}
		}
	}
}

// many has 10,000 connections.
type many struct{ tuitest.Fleet }

func (*many) Sessions(context.Context) ([]vpn.Session, error) {
	out := make([]vpn.Session, 0, 10_000)
	for i := range 10_000 {
		out = append(out, vpn.Session{
			ID: uint64(i), UserName: fmt.Sprintf("bob-%04d", i%3000), Server: "main", Protocol: "vless", Network: "tcp", Since: tuitest.Now(),
			Source: netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, byte(i >> 8), byte(i)}), 4000), Traffic: vpn.Traffic{Down: uint64(i * 7919 % 10_000)},
		})
	}
	return out, nil
}

func BenchmarkMove(b *testing.B) {
	o, _ := tuitest.Options(b)
	o.Source = &many{}
	m := model(o, &books{}, &timers{})
	tuitest.Drive(b, m, 120, 40).Press("4")
	b.ReportAllocs()
	for b.Loop() {
		m.Update(tea.KeyPressMsg{Code: 'j', Text: "j"})
		m.View()
	}
}

func TestASCII(t *testing.T) {
	tuitest.ASCII(t, func(o tui.Options) tea.Model { return model(o, &books{}, &timers{}) },
		[]string{"4"}, []string{"4", "]", "]"}, []string{"4", "tab", "tab"}, []string{"4", "shift+tab", "K"}, []string{"4", "s"}, []string{"4", "shift+tab", "x"})
}
