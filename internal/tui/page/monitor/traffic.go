package monitor

import (
	"context"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"vpn/internal/tui/feed"
	"vpn/internal/vpn"
)

// span is how far back the charts go.
type span int

const (
	minutes span = iota
	hour
	day
	month
	spans
)

// spanOf is what is to be known of a span: its name, its length, and how much
// of it is one value.
func (s span) of() (name string, length, step time.Duration) {
	switch s {
	case hour:
		return "1 h", time.Hour, 5 * time.Minute
	case day:
		return "24 h", 24 * time.Hour, 5 * time.Minute
	case month:
		return "30 d", 30 * 24 * time.Hour, time.Hour
	}
	return "2 min", 2 * time.Minute, time.Second
}

// subject is whose traffic is shown: everybody's, a server's or a user's.
type subject struct{ server, user string }

func (s subject) String() string {
	switch {
	case s.server != "":
		return "server " + s.server
	case s.user != "":
		return "user " + s.user
	}
	return "everything"
}

// series is what a chart shows: bytes per second, the oldest first, of steps
// that are equally long, and what was moved in all of them.
type series struct {
	since, until time.Time
	down, up     []float64
	online       []float64     // connections, on average; 0 as well where nobody counted them
	watched      time.Duration // for which they were counted
	moved        vpn.Traffic
	highest      vpn.Rate
}

// traffic is what was moved in the span, and asks for what the feed does not
// know: what one user moved, and what is longer ago.
type traffic struct {
	usage Usage
	data  *feed.Data
	after After

	subject subject
	span    span

	turn  int // of what is asked for: answers to what was meant before are late
	idle  bool
	known bool
	err   error

	user    map[int64]vpn.RatePoint // a user's last seconds
	until   time.Time
	history vpn.History
	at      time.Time // when history was answered
}

type (
	ratesMsg struct {
		turn  int
		rates vpn.Rates
		err   error
	}
	historyMsg struct {
		turn    int
		history vpn.History
		err     error
		at      time.Time
	}
	againMsg struct{ turn int }
)

const (
	askTimeout  = 10 * time.Second
	historyWait = time.Minute
	retryWait   = 5 * time.Second
	begun       = 20 * time.Second
)

// set changes what is shown, and asks for it.
func (t *traffic) set(s subject, p span, now time.Time) tea.Cmd {
	t.subject, t.span = s, p
	t.known, t.err, t.user, t.until = false, nil, map[int64]vpn.RatePoint{}, time.Time{}
	t.turn++
	return t.ask(now)
}

// fed reports whether the feed knows it all.
func (t *traffic) fed() bool { return t.span == minutes && t.subject.user == "" }

// ask returns the command that asks for what is shown.
func (t *traffic) ask(now time.Time) tea.Cmd {
	t.idle = false
	turn, usage := t.turn, t.usage
	switch {
	case t.fed():
		t.idle = true
		return nil
	case t.span == minutes:
		q := vpn.RatesQuery{Since: t.until, User: t.subject.user}
		return func() tea.Msg {
			ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
			defer cancel()
			r, err := usage.Rates(ctx, q)
			return ratesMsg{turn, r, err}
		}
	}
	_, length, step := t.span.of()
	// A step that has only begun says nothing yet: what was moved is counted
	// every 10 seconds.
	q := vpn.HistoryQuery{
		Since: now.UTC().Add(-begun).Truncate(step).Add(step - length), Step: step, User: t.subject.user, Server: t.subject.server,
	}
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
		defer cancel()
		h, err := usage.History(ctx, q)
		return historyMsg{turn, h, err, now}
	}
}

// take takes an answer, and returns what asks again in time.
func (t *traffic) take(msg tea.Msg) tea.Cmd {
	wait := time.Second
	switch m := msg.(type) {
	case ratesMsg:
		if m.turn != t.turn {
			return nil
		}
		if t.err = m.err; m.err == nil {
			t.known = true
			t.keep(m.rates)
		}
	case historyMsg:
		if m.turn != t.turn {
			return nil
		}
		wait = historyWait
		if t.err = m.err; m.err == nil {
			t.known, t.history, t.at = true, m.history, m.at
		}
	}
	if t.err != nil {
		wait = retryWait
	}
	turn := t.turn
	return t.after(wait, func(time.Time) tea.Msg { return againMsg{turn} })
}

// keep adds a user's seconds and forgets what is too old.
func (t *traffic) keep(r vpn.Rates) {
	if r.Until.Before(t.until) { // another daemon's
		clear(t.user)
	}
	t.until = r.Until
	for _, p := range r.Points {
		t.user[p.At.Unix()] = p
	}
	for second := range t.user {
		if second <= r.Until.Add(-vpn.RatesSpan).Unix() {
			delete(t.user, second)
		}
	}
}

// loaded reports whether there is something to show.
func (t *traffic) loaded() bool {
	if t.fed() {
		return t.data.Known(feed.Rates)
	}
	return t.known
}

// fault is why there is nothing new.
func (t *traffic) fault() error {
	if t.fed() {
		return t.data.Err(feed.Rates)
	}
	return t.err
}

// series returns what the chart shows.
func (t *traffic) series(now time.Time) series {
	_, length, step := t.span.of()
	n := int(length / step)
	if t.span == minutes {
		return t.recent(now, n)
	}
	s := series{
		since: t.history.Since, until: t.history.Since.Add(length), moved: t.history.Total,
		down: make([]float64, n), up: make([]float64, n), online: make([]float64, n),
	}
	for _, w := range t.history.Watched {
		s.watched += time.Duration(w.Seconds) * time.Second
	}
	for _, p := range t.history.Points {
		i := int(p.At.Sub(s.since) / step)
		if i < 0 || i >= n {
			continue
		}
		// The last step is not over yet.
		over := min(step, max(t.at.Sub(s.since.Add(time.Duration(i)*step)), begun))
		s.down[i] += float64(p.Down) / over.Seconds()
		s.up[i] += float64(p.Up) / over.Seconds()
		s.online[i] += p.Online
	}
	s.most()
	return s
}

// recent returns the last seconds.
func (t *traffic) recent(now time.Time, n int) series {
	s := series{since: now.Add(-time.Duration(n) * time.Second), until: now}
	if t.subject.user == "" {
		r := t.data.Recent(t.subject.server, n)
		s.down, s.up, s.online = r.Down, r.Up, r.Online
	} else {
		s.down, s.up, s.online = make([]float64, n), make([]float64, n), make([]float64, n)
		first := t.until.Unix() - int64(n) + 1
		for i := range n {
			p := t.user[first+int64(i)]
			s.down[i], s.up[i], s.online[i] = float64(p.Down), float64(p.Up), float64(p.Online)
		}
	}
	for i := range s.down {
		s.moved.Down += uint64(s.down[i])
		s.moved.Up += uint64(s.up[i])
	}
	s.most()
	return s
}

func (s *series) most() {
	if len(s.down) > 0 {
		s.highest = vpn.Rate{Down: uint64(slices.Max(s.down)), Up: uint64(slices.Max(s.up))}
	}
}

// stretch makes n values of those that there are: each is as long as the
// others, and of several that fall together the highest is seen.
func stretch(values []float64, n int) []float64 {
	if n < 1 || len(values) == 0 {
		return nil
	}
	out := make([]float64, n)
	for i := range out {
		from := i * len(values) / n
		to := max((i+1)*len(values)/n, from+1)
		out[i] = slices.Max(values[from:to])
	}
	return out
}
