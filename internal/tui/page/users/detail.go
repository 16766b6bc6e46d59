package users

import (
	"context"
	"time"

	tea "charm.land/bubbletea/v2"

	"vpn/internal/tui/page"
	"vpn/internal/vpn"
)

const (
	// debounce is how long the cursor has to stand on a user before more is
	// asked about it: who runs through the list asks for nobody.
	debounce = 150 * time.Millisecond

	// fresh is how old details may be.
	fresh = 5 * time.Second

	// historyDays is how far back the traffic goes.
	historyDays = 30
)

// detail is all about the user under the cursor.
type detail struct {
	frame page.Frame
	api   API
	after func(d time.Duration, fn func(time.Time) tea.Msg) tea.Cmd

	of      vpn.UserID // whom it is about
	turn    int        // it changes with the user; answers of other turns are too late
	asking  bool
	cancel  context.CancelFunc
	at      time.Time // of the last answer
	known   *vpn.UserDetail
	history *vpn.History
	err     error

	top, lines, height int // of the last rendering
}

func newDetail(f page.Frame, api API, o Options) *detail {
	return &detail{frame: f, api: api, after: o.After, cancel: func() {}}
}

type (
	standMsg  struct{ turn int } // the cursor has stood long enough
	detailMsg struct {
		turn   int
		detail vpn.UserDetail
		err    error
	}
	historyMsg struct {
		turn    int
		history vpn.History
		err     error
	}
)

// follow returns what has to be asked for if u is under the cursor.
func (d *detail) follow(u *vpn.UserInfo) tea.Cmd {
	switch {
	case u == nil:
		return nil
	case u.ID != d.of:
		d.cancel()
		d.turn++
		d.of, d.top = u.ID, 0
		d.known, d.history, d.err = nil, nil, nil
		d.asking = true
		turn := d.turn
		return d.after(debounce, func(time.Time) tea.Msg { return standMsg{turn} })
	case !d.asking && d.frame.Now().Sub(d.at) >= fresh:
		return d.ask(false)
	}
	return nil
}

// stale makes what is known be asked for anew, at once.
func (d *detail) stale() { d.at = time.Time{} }

// ask asks for the details and, if it is the first time, for the history.
func (d *detail) ask(history bool) tea.Cmd {
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	d.cancel, d.asking = cancel, true
	turn, id, users, usage := d.turn, string(d.of), d.api.Users, d.api.Usage
	show := func() tea.Msg {
		defer cancel()
		v, err := users.Show(ctx, id)
		return detailMsg{turn, v, err}
	}
	if !history {
		return show
	}
	// Until the end of today, so that today is the last step and a whole one.
	until := d.frame.Now().UTC().Truncate(day).Add(day)
	q := vpn.HistoryQuery{Since: until.Add(-historyDays * day), Until: until, Step: day, User: id}
	return tea.Batch(show, func() tea.Msg {
		ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
		defer cancel()
		v, err := usage.History(ctx, q)
		return historyMsg{turn, v, err}
	})
}

// update takes what was asked for.
func (d *detail) update(msg tea.Msg) tea.Cmd {
	switch m := msg.(type) {
	case standMsg:
		if m.turn == d.turn {
			return d.ask(true)
		}
	case detailMsg:
		if m.turn != d.turn {
			return nil
		}
		d.asking, d.at, d.err = false, d.frame.Now(), m.err
		if m.err == nil {
			d.known = &m.detail
		}
	case historyMsg:
		if m.turn == d.turn && m.err == nil {
			d.history = &m.history
		}
	}
	return nil
}

// scroll moves what is shown by some lines.
func (d *detail) scroll(by int) { d.top = max(min(d.top+by, d.lines-d.height), 0) }

// days is the traffic of the last days, the oldest first.
func (d *detail) days() (values []float64, total uint64) {
	if d.history == nil {
		return nil, 0
	}
	values = make([]float64, historyDays)
	for _, p := range d.history.Points {
		if i := int(p.At.Sub(d.history.Since) / day); i >= 0 && i < historyDays {
			values[i] += float64(p.Traffic.Total())
		}
	}
	return values, d.history.Total.Total()
}
