package users

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	tea "charm.land/bubbletea/v2"

	"vpn/internal/tui/dialog"
	"vpn/internal/tui/feed"
	"vpn/internal/tui/page"
	"vpn/internal/vpn"
)

// A deed is one thing that is done to each of some users.
type deed struct {
	twin string
	done string // "deleted", of: alice is deleted

	do func(ctx context.Context, u vpn.UserInfo) (vpn.UserChange, error)

	// undo takes it back for one user; nil: it cannot be.
	undo   func(ctx context.Context, u vpn.UserInfo) error
	undone string

	say  func(c vpn.UserChange) string    // instead of "is done", of one user; nil: that
	then func(c []vpn.UserChange) tea.Cmd // after it was done to all or some; nil: nothing
}

// results are how a deed went.
type results struct {
	done    []vpn.UserInfo // as they were before
	changes []vpn.UserChange
	failed  []error // with the user's name, unless there is only one
	behind  bool    // the workers have yet to follow
}

// change returns what does d to each of users, one after the other. If it
// fails for some, it is done to the others, and what failed is told.
func (p *Page) change(users []vpn.UserInfo, d deed) page.Change {
	r, count := &results{}, &atomic.Int64{}
	c := page.Change{Twin: d.twin, Affects: feed.Users, Takes: time.Duration(len(users)) * patience, Do: func(ctx context.Context) (string, error) {
		*r = results{}
		for _, u := range users {
			r.take(u, len(users) > 1)(within(ctx, func(ctx context.Context) (vpn.UserChange, error) { return d.do(ctx, u) }))
			count.Add(1)
		}
		if len(r.done) == 0 {
			return "", r.err(d.done, len(users))
		}
		return r.text(d), nil
	}}
	if len(users) > 1 {
		c.Progress = func() (done, of int) { return int(count.Load()), len(users) }
	}
	c.Then = func() tea.Cmd {
		var cmds []tea.Cmd
		if len(r.failed) > 0 {
			cmds = append(cmds, p.frame.Say(page.Fault, r.err(d.done, len(users)).Error()))
		}
		if d.then != nil {
			cmds = append(cmds, d.then(r.changes))
		}
		return tea.Batch(cmds...)
	}
	if d.undo != nil {
		c.Undo = func(ctx context.Context) (string, error) {
			back := &results{}
			for _, u := range r.done {
				back.take(u, len(r.done) > 1)(within(ctx, func(ctx context.Context) (vpn.UserChange, error) {
					return vpn.UserChange{Synced: true}, d.undo(ctx, u)
				}))
			}
			if len(back.failed) > 0 {
				return "", back.err(d.undone, len(r.done))
			}
			return whom(back.done) + isAre(len(back.done)) + d.undone, nil
		}
	}
	return c
}

// patience is how long each single change is waited for.
const patience = time.Minute

func within(ctx context.Context, do func(context.Context) (vpn.UserChange, error)) (vpn.UserChange, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return do(ctx)
}

func (r *results) take(u vpn.UserInfo, several bool) func(vpn.UserChange, error) {
	return func(c vpn.UserChange, err error) {
		switch {
		case err == nil:
			r.done = append(r.done, u)
			r.changes = append(r.changes, c)
			r.behind = r.behind || !c.Synced
		case several:
			r.failed = append(r.failed, fmt.Errorf("%s: %w", u.Name, err))
		default:
			r.failed = append(r.failed, err)
		}
	}
}

// text says what was done.
func (r *results) text(d deed) string {
	text := whom(r.done) + isAre(len(r.done)) + d.done
	if len(r.done) == 1 && d.say != nil {
		text = d.say(r.changes[0])
	}
	if r.behind {
		text += "; the workers follow when they are back"
	}
	return text
}

// mostFaults is how many of them are told one by one.
const mostFaults = 5

// err says for whom it was not done, and why.
func (r *results) err(done string, of int) error {
	if of == 1 {
		return r.failed[0]
	}
	lines := []string{fmt.Sprintf("%d of %d users are not %s:", len(r.failed), of, done)}
	for _, err := range r.failed[:min(len(r.failed), mostFaults)] {
		lines = append(lines, err.Error())
	}
	if more := len(r.failed) - mostFaults; more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", more))
	}
	kind := vpn.Internal
	if e, ok := errors.AsType[*vpn.Error](r.failed[0]); ok {
		kind = e.Kind
	}
	return &vpn.Error{Kind: kind, Message: strings.Join(lines, "\n"), Err: errors.Join(r.failed...)}
}

// mostTwins are written in a command; nobody reads, or types, more.
const mostTwins = 20

// twin is the command line that does the same to all of users: verb and rest
// are around the name.
func twin(users []vpn.UserInfo, verb, rest string) string {
	if len(users) == 1 {
		return "vpn users " + verb + " " + dialog.Quote(users[0].Name) + rest
	}
	names := make([]string, 0, mostTwins+1)
	for _, u := range users[:min(len(users), mostTwins)] {
		names = append(names, dialog.Quote(u.Name))
	}
	if len(users) > mostTwins {
		names = append(names, "…")
	}
	return "for u in " + strings.Join(names, " ") + "; do vpn users " + verb + ` "$u"` + rest + "; done"
}

// online says how many of users are connected, with how many connections.
func online(users []vpn.UserInfo) (people, connections int) {
	for _, u := range users {
		if u.Online > 0 {
			people++
			connections += u.Online
		}
	}
	return people, connections
}

// cutLine says whose connections will be closed; empty: nobody's.
func cutLine(users []vpn.UserInfo, what string) string {
	people, connections := online(users)
	switch {
	case people == 0:
		return ""
	case len(users) == 1:
		return many(connections, "connection") + isAre(connections) + what + "."
	}
	return fmt.Sprintf("%d of them%sonline: %s%s%s.", people, isAre(people), many(connections, "connection"), isAre(connections), what)
}

// confirm asks before d is done to users.
func (p *Page) confirm(q dialog.Question, users []vpn.UserInfo, d deed) tea.Cmd {
	if len(users) > 1 {
		q.Lines = append([]string{named(users)}, q.Lines...)
	}
	lines := q.Lines[:0:0]
	for _, l := range q.Lines {
		if l != "" {
			lines = append(lines, l)
		}
	}
	q.Lines, q.Twin = lines, d.twin
	q.Do = func() tea.Cmd { return p.frame.Change(p.change(users, d)) }
	p.frame.Open(dialog.NewConfirm(p.frame, q))
	return nil
}
