package app

import (
	"slices"
	"sync"
	"time"

	"vpn/internal/vpn"
)

// A face is what others are shown of a keeper's server.
type face struct {
	tell func(action, subject, detail string) // whoever follows
	now  func() time.Time

	mu sync.Mutex
	// Guarded by mu.
	name     string   // of the server, once it is known
	strays   []string // runtimes where it has a worker that it should not have
	state    vpn.ServerState
	since    time.Time // when that became so, but for attempts to change it
	problem  string
	worker   Worker
	health   vpn.Health
	answered time.Time // when the worker last did
	restarts int
	before   *vpn.End // of the worker before, if nobody asked for it
	mourned  Worker   // whose end that is
	busy     effort
	looked   bool // whether there is a worker was found out once
	fresh    bool // the worker was started from here, and so holds only what it was given from here
}

func (f *face) current() Worker {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.worker
}

// label is what the log calls the server.
func (f *face) label() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.name
}

func (f *face) call(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.name = name
}

// in reports whether the server is in that state.
func (f *face) in(state vpn.ServerState) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.state == state
}

// show notes the server's state, and tells whoever follows if it is another
// one.
func (f *face) show(state vpn.ServerState, problem string) {
	f.mu.Lock()
	other, name := f.state != state, f.name
	if kind(f.state) != kind(state) {
		f.since = f.now()
	}
	f.state, f.problem = state, problem
	f.mu.Unlock()
	if other {
		f.tell("servers."+string(state), name, problem)
	}
}

// kind is what a state comes to for those who want to know since when: it
// runs, it does not though it should, or it should not. Each attempt to start
// a server that fails goes through two states of the second kind.
func kind(s vpn.ServerState) vpn.ServerState {
	switch s {
	case vpn.Syncing:
		return vpn.Running
	case vpn.Starting, vpn.Unresponsive:
		return vpn.Failed
	case vpn.Running, vpn.Failed, vpn.Stopped:
	}
	return s
}

// stray notes that the server has workers where it should have none.
func (f *face) stray(runtimes []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range runtimes {
		if !slices.Contains(f.strays, r) {
			f.strays = append(f.strays, r)
		}
	}
}

// strayed returns the runtimes that stray has noted, until ended forgets one.
func (f *face) strayed() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.strays)
}

func (f *face) ended(runtime string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.strays = slices.DeleteFunc(f.strays, func(s string) bool { return s == runtime })
}

// found notes that it is known what worker there is, and whether it was
// started from here.
func (f *face) found(fresh bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.looked, f.fresh = true, fresh
}
