// Package feed is what the terminal UI knows of the control plane now: it
// asks the API for what the page in front needs, as often as that is worth
// it, and keeps the last answer with its age.
//
// [Data] belongs to the UI's one goroutine; only the functions that [Data.Due]
// returns run elsewhere. It changes nothing in the control plane.
package feed

import (
	"context"
	"time"

	"vpn/internal/vpn"
)

// Topic is a set of things that can be known.
type Topic uint

// What can be known.
const (
	Status   Topic = 1 << iota // servers, rates, counts of users
	Users                      // all users
	Sessions                   // all live connections
	Host                       // this machine
	Rates                      // the last minutes, second by second, by server
	Top                        // the fastest users now
	Online                     // of the users who are online, what changes all the time
)

// Topics returns each of them.
func Topics() []Topic { return []Topic{Status, Users, Sessions, Host, Rates, Top, Online} }

// Source is the API, as far as it is asked. The contexts that it is given
// have deadlines.
type Source interface {
	Status(ctx context.Context) (vpn.Status, error)
	Users(ctx context.Context) ([]vpn.UserInfo, error)
	Online(ctx context.Context) ([]vpn.UserInfo, error) // ID, Status, Used, Online and Rate
	Sessions(ctx context.Context) ([]vpn.Session, error)
	Host(ctx context.Context) (vpn.Host, error)
	Rates(ctx context.Context, q vpn.RatesQuery) (vpn.Rates, error)
}

// An Answer is what was learnt; the UI hands it to [Data.Take].
type Answer struct {
	Topic Topic
	Err   error
	value any
}

// Data is the last answer of each topic.
type Data struct {
	Status   vpn.Status
	Users    []vpn.UserInfo
	Sessions []vpn.Session
	Host     vpn.Host

	rates   recent
	fastest []vpn.RatePoint
	online  []*vpn.UserInfo              // of Users, those who were online last
	byID    map[vpn.UserID]*vpn.UserInfo // of Users

	source Source
	states map[Topic]*state
}

type state struct {
	at    time.Time // of the last answer that was one
	asked time.Time
	busy  bool
	stale bool // it has changed since
	err   error
}

// New returns data of which nothing is known yet.
func New(source Source) *Data {
	d := &Data{source: source, states: map[Topic]*state{}}
	for _, t := range Topics() {
		d.states[t] = &state{}
	}
	return d
}

// timeout is how long an answer is waited for.
const timeout = 10 * time.Second

// every is how old an answer may be. All users are a megabyte at 10,000: they
// come again when something was changed, and else now and then, for the sake
// of what those moved last who have gone offline; who is online comes often.
func every(t Topic, tick time.Duration, n int) time.Duration {
	switch t {
	case Users:
		return max(2*tick, time.Duration(n)*6*time.Millisecond)
	case Sessions, Online:
		return max(2*tick, time.Duration(n)*time.Millisecond)
	}
	return tick
}

// gap is how long an answer stands at least, however often things change.
func gap(n int) time.Duration { return time.Duration(n) * 100 * time.Microsecond }

// Due returns what has to be asked for now, of what is needed: functions that
// ask and wait, to be run outside of the UI's goroutine.
func (d *Data) Due(need Topic, now time.Time, tick time.Duration) []func() Answer {
	var out []func() Answer
	for _, t := range Topics() {
		s := d.states[t]
		least := every(t, tick, d.size(t)) - tick/4 // a tick is never exactly on time
		if s.stale {
			least = gap(d.size(t))
		}
		if need&t == 0 || s.busy || !s.asked.IsZero() && now.Sub(s.asked) < least {
			continue
		}
		s.busy, s.stale, s.asked = true, false, now
		since := d.rates.until // read here, not there
		out = append(out, func() Answer { return d.ask(t, since) })
	}
	return out
}

func (d *Data) size(t Topic) int {
	switch t {
	case Users:
		return len(d.Users)
	case Sessions:
		return len(d.Sessions)
	case Online:
		return len(d.online)
	}
	return 0
}

func (d *Data) ask(t Topic, since time.Time) Answer {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	a := Answer{Topic: t}
	switch t {
	case Status:
		a.value, a.Err = d.source.Status(ctx)
	case Users:
		a.value, a.Err = d.source.Users(ctx)
	case Online:
		a.value, a.Err = d.source.Online(ctx)
	case Sessions:
		a.value, a.Err = d.source.Sessions(ctx)
	case Host:
		a.value, a.Err = d.source.Host(ctx)
	case Rates:
		a.value, a.Err = d.source.Rates(ctx, vpn.RatesQuery{Since: since, By: vpn.ByServer})
	case Top:
		// Of the second before the last, too: the last may not be there yet.
		if !since.IsZero() {
			since = since.Add(-2 * time.Second)
		}
		a.value, a.Err = d.source.Rates(ctx, vpn.RatesQuery{Since: since, By: vpn.ByUser})
	}
	return a
}

// Take keeps an answer. What was known before a fault stays.
func (d *Data) Take(a Answer, now time.Time) {
	s := d.states[a.Topic]
	s.busy, s.err = false, a.Err
	if a.Err != nil {
		return
	}
	s.at = now
	switch v := a.value.(type) {
	case vpn.Status:
		d.Status = v
	case []vpn.UserInfo:
		if a.Topic == Online {
			d.merge(v)
		} else {
			d.take(v)
		}
	case []vpn.Session:
		d.Sessions = v
	case vpn.Host:
		d.Host = v
	case vpn.Rates:
		if a.Topic == Rates {
			d.rates.take(v)
		} else {
			d.fastest = fastest(v)
		}
	}
}

// take takes all users.
func (d *Data) take(users []vpn.UserInfo) {
	d.Users, d.online = users, nil
	d.byID = make(map[vpn.UserID]*vpn.UserInfo, len(users))
	for i := range users {
		u := &users[i]
		d.byID[u.ID] = u
		if u.Online > 0 || u.Rate != (vpn.Rate{}) {
			d.online = append(d.online, u)
		}
	}
}

// merge takes what is new of those who are online. Of somebody who was not
// known of yet, an event tells.
func (d *Data) merge(users []vpn.UserInfo) {
	for _, u := range d.online {
		u.Online, u.Rate = 0, vpn.Rate{}
	}
	d.online = d.online[:0]
	for _, now := range users {
		if u := d.byID[now.ID]; u != nil {
			u.Status, u.Used, u.Online, u.Rate = now.Status, now.Used, now.Online, now.Rate
			d.online = append(d.online, u)
		}
	}
}

// Stale says that topics have changed, so that they are asked for soon.
func (d *Data) Stale(t Topic) {
	for topic, s := range d.states {
		if t&topic != 0 {
			s.stale = true
		}
	}
}

// Known reports whether a topic was answered at all.
func (d *Data) Known(t Topic) bool { return !d.states[t].at.IsZero() }

// AllKnown returns the topics that were answered at all.
func (d *Data) AllKnown() Topic {
	var known Topic
	for t := range d.states {
		if d.Known(t) {
			known |= t
		}
	}
	return known
}

// Outdated reports whether a topic is not known, or no more as it is.
func (d *Data) Outdated(t Topic) bool { return !d.Known(t) || d.states[t].stale }

// moment is how long answers take that are worth waiting for.
const moment = 200 * time.Millisecond

// Expects reports whether an answer is to be had in a moment: something was
// asked for just now.
func (d *Data) Expects(now time.Time) bool {
	for _, s := range d.states {
		if s.busy && now.Sub(s.asked) < moment {
			return true
		}
	}
	return false
}

// Age returns how old what is known of a topic is.
func (d *Data) Age(t Topic, now time.Time) time.Duration { return now.Sub(d.states[t].at) }

// Err returns why the last answer about a topic was none.
func (d *Data) Err(t Topic) error { return d.states[t].err }
