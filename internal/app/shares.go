package app

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"

	"vpn/internal/vpn"
)

// shares divides users' rates, devices and connections among the workers.
// Each worker holds a part, and the parts make no more than the whole, so the
// limits hold whether or not the control plane is there. Every second the
// parts follow what users did in the last one. What they are and want the
// workers tell ([vpn.Demand]).
type shares struct {
	renewing sync.Mutex
	// Guarded by renewing.
	held  map[string]*stake // by epoch
	users map[vpn.UserID]*sharer

	mu      sync.Mutex
	reports map[string]*report // by epoch; guarded by mu
}

// A stake is what one epoch's worker holds, as far as is known.
type stake struct {
	turn    uint64
	workers int
	parts   map[vpn.UserID]vpn.Share
	sure    bool // parts is what it holds; else it must be read first
}

// part returns which part of a user's rates the worker may use.
func (h *stake) part(u vpn.UserID, workers int) [2]int {
	if p, ok := h.parts[u]; ok {
		return [2]int{p.Up, p.Down}
	}
	if h.workers > 1 {
		workers = h.workers
	}
	return [2]int{vpn.Whole / workers, vpn.Whole / workers}
}

// A sharer is a user whose limits are divided now.
type sharer struct {
	seen  time.Time               // when a worker last had the user
	idle  bool                    // that was long ago
	known map[netip.Prefix]device // the user's networks
	kept  map[string]int          // how many connections each epoch's worker was allowed
	goals []vpn.Share             // of this round, by holder
	moves bool                    // somebody has something else now
}

// idleTime is after how long without a connection a user's limits are divided
// evenly again.
const idleTime = 10 * time.Second

func newShares() *shares {
	return &shares{held: map[string]*stake{}, users: map[vpn.UserID]*sharer{}, reports: map[string]*report{}}
}

// forget drops what is known of an epoch that has ended.
func (s *shares) forget(epoch string) {
	s.renewing.Lock()
	delete(s.held, epoch)
	for _, x := range s.users {
		delete(x.kept, epoch)
	}
	s.renewing.Unlock()
	s.mu.Lock()
	delete(s.reports, epoch)
	s.mu.Unlock()
}

// renew divides anew among the holders, workers of which there are or are to
// be soon. Only the holders that target holds true for are told.
func (s *shares) renew(ctx context.Context, holders []purse, workers int, target func(purse) bool) error {
	s.renewing.Lock()
	defer s.renewing.Unlock()
	workers = max(workers, len(holders), 1)
	seen := s.reported(holders)
	if workers < 2 && !slices.ContainsFunc(holders, func(p purse) bool { return s.held[p.epoch] != nil || seen[p.epoch].turn > 0 }) {
		return nil // there is nobody to share with, and never was
	}
	var errs []error
	for _, p := range holders {
		if p.epoch == "" || p.silent {
			continue
		}
		if err := s.read(ctx, p, seen[p.epoch].turn); err != nil && target(p) {
			errs = append(errs, err)
		}
	}
	s.plan(holders, seen, workers)
	for _, raise := range []bool{false, true} {
		errs = append(errs, s.tell(ctx, holders, workers, raise, target))
	}
	for u, x := range s.users {
		if x.idle && !slices.ContainsFunc(holders, func(p purse) bool { return s.holds(p, u) }) {
			delete(s.users, u)
		}
	}
	return errors.Join(errs...)
}

// holds reports whether a holder has, or may have, a part of its own.
func (s *shares) holds(p purse, u vpn.UserID) bool {
	h := s.held[p.epoch]
	if h == nil {
		return false
	}
	_, ok := h.parts[u]
	return ok
}

// read asks a worker what it holds, unless that is known and it is at the
// turn that is known.
func (s *shares) read(ctx context.Context, p purse, turn uint64) error {
	if h := s.held[p.epoch]; h != nil && h.sure && h.turn >= turn {
		return nil
	}
	held, err := p.worker.Shares(ctx)
	if err != nil {
		return err
	}
	h := &stake{turn: held.Turn, workers: held.Workers, parts: make(map[vpn.UserID]vpn.Share, len(held.Shares)), sure: true}
	for _, x := range held.Shares {
		h.parts[x.User] = x
		s.user(x.User)
	}
	s.held[p.epoch] = h
	return nil
}

func (s *shares) user(u vpn.UserID) *sharer {
	x := s.users[u]
	if x == nil {
		x = &sharer{seen: time.Now(), known: map[netip.Prefix]device{}, kept: map[string]int{}}
		s.users[u] = x
	}
	return x
}

// plan sets the goals of every user whose limits are divided.
func (s *shares) plan(holders []purse, seen map[string]sight, workers int) {
	for _, p := range holders {
		for u := range seen[p.epoch].users {
			s.user(u)
		}
	}
	// A worker of which it is not known what it holds may hold anything: till
	// it has answered or has ended nobody gets more.
	blind := slices.ContainsFunc(holders, func(p purse) bool { return s.held[p.epoch] == nil || !s.held[p.epoch].sure })
	// Nor is it known what is free while one has not said who is there.
	deaf := slices.ContainsFunc(holders, func(p purse) bool { _, told := seen[p.epoch]; return !told })
	views := make([]*view, len(holders))
	sights := make([]sight, len(holders))
	stakes := make([]*stake, len(holders))
	for i, p := range holders {
		sights[i], stakes[i] = seen[p.epoch], s.held[p.epoch]
	}
	ws := make([]want, len(holders))
	now := time.Now()
	for u, x := range s.users {
		here := false
		for i := range holders {
			views[i] = sights[i].users[u]
			here = here || views[i] != nil
		}
		if here {
			x.seen = now
		}
		x.idle = now.Sub(x.seen) >= idleTime
		if len(x.goals) != len(holders) {
			x.goals = make([]vpn.Share, len(holders))
		}
		for i := range holders {
			x.goals[i] = vpn.Share{User: u}
		}
		for i, p := range holders {
			ws[i] = want{fixed: p.silent || blind}
		}
		planRates(u, x, ws, stakes, views, workers)
		if deaf {
			s.leavePlaces(u, x, holders)
		} else {
			s.planPlaces(u, x, holders, views)
		}
		x.moves = x.idle || slices.ContainsFunc(stakes, func(h *stake) bool { return h == nil })
		for i, h := range stakes {
			x.moves = x.moves || !h.has(x.goals[i], workers)
		}
	}
}

// has reports whether that is what the worker has.
func (h *stake) has(g vpn.Share, workers int) bool {
	if p, told := h.parts[g.User]; told {
		return alikeShares(p, g)
	}
	return h.part(g.User, workers) == [2]int{g.Up, g.Down} && g.Connections == 0 && len(g.Networks) == 0
}

// leavePlaces leaves what holders were told of other workers as it is.
func (s *shares) leavePlaces(u vpn.UserID, x *sharer, holders []purse) {
	for i, p := range holders {
		if h := s.held[p.epoch]; h != nil {
			if told, ok := h.parts[u]; ok {
				x.goals[i].Connections, x.goals[i].Networks = told.Connections, told.Networks
			}
		}
	}
}

// planRates sets the goals of a user's rates. ws says who can be told.
func planRates(u vpn.UserID, x *sharer, ws []want, stakes []*stake, views []*view, workers int) {
	held := func(i int) [2]int {
		if h := stakes[i]; h != nil {
			return h.part(u, workers)
		}
		return [2]int{vpn.Whole / workers, vpn.Whole / workers}
	}
	for d := range 2 {
		var rate uint64
		for i := range ws {
			w := &ws[i]
			w.held, w.moved, w.hungry = held(i)[d], 0, false
			if v := views[i]; v != nil {
				rate = max(rate, v.rate[d])
				w.moved, w.hungry = v.moved[d], v.hungry[d]
			}
		}
		var goal []int
		if !x.idle && rate > 0 {
			goal = divide(ws, rate)
		}
		for i := range ws {
			n := ws[i].held // there is no limit, or nobody who comes up to one
			switch {
			case goal != nil:
				n = goal[i]
			case x.idle:
				n = vpn.Whole / workers
			}
			if d == 0 {
				x.goals[i].Up = n
			} else {
				x.goals[i].Down = n
			}
		}
	}
}

// planPlaces says what of a user's devices and connections is on other
// workers.
func (s *shares) planPlaces(u vpn.UserID, x *sharer, holders []purse, views []*view) {
	devices, connections := 0, 0
	for _, v := range views {
		if v != nil {
			devices, connections = max(devices, v.devices), max(connections, v.connections)
		}
	}
	if devices == 0 && connections == 0 {
		clear(x.known)
		clear(x.kept)
		return
	}
	here := make([][]netip.Prefix, len(holders))
	live, before := make([]int, len(holders)), make([]int, len(holders))
	known := map[netip.Prefix]device{}
	for i, v := range views {
		if v == nil {
			continue
		}
		live[i], before[i] = v.conns, s.keptBefore(u, x, holders, i)
		for n, at := range v.networks {
			here[i] = append(here[i], n)
			if old, was := x.known[n]; was {
				at.born = old.born
			}
			if other, twice := known[n]; twice {
				at = device{min(at.born, other.born), at.silent && other.silent}
			}
			known[n] = at
		}
	}
	x.known = known
	if devices > 0 {
		for i, networks := range elsewhere(here, known, devices) {
			x.goals[i].Networks = networks
		}
	}
	if connections > 0 {
		keep, sum := kept(live, before, connections), 0
		for i, n := range keep {
			x.kept[holders[i].epoch] = n
			sum += n
		}
		for i, n := range keep {
			x.goals[i].Connections = sum - n
		}
	}
}

// keptBefore returns how many connections a worker was allowed when it was
// last looked at: the others were told that of it, by an earlier control plane
// if need be.
func (s *shares) keptBefore(u vpn.UserID, x *sharer, holders []purse, i int) int {
	if n, known := x.kept[holders[i].epoch]; known || len(holders) < 2 {
		return n
	}
	all := 0 // what each was told of the others counts every one of them so often
	for _, p := range holders {
		if h := s.held[p.epoch]; h != nil {
			all += h.parts[u].Connections
		}
	}
	if h := s.held[holders[i].epoch]; h != nil {
		return max(0, all/(len(holders)-1)-h.parts[u].Connections)
	}
	return 0
}

// tell gives the holders what is less than they have, or what is more.
func (s *shares) tell(ctx context.Context, holders []purse, workers int, raise bool, target func(purse) bool) error {
	// What all of them have now, or are to have: the more of the two.
	reach := make([][2]int, len(holders))
	messages := make([]vpn.Shares, len(holders))
	for u, x := range s.users {
		if !x.moves {
			continue
		}
		var sum [2]int
		for i, p := range holders {
			now := [2]int{vpn.Whole, vpn.Whole}
			if h := s.held[p.epoch]; h != nil && h.sure {
				now = h.part(u, workers)
			}
			reach[i] = [2]int{max(now[0], x.goals[i].Up), max(now[1], x.goals[i].Down)}
			sum[0], sum[1] = sum[0]+reach[i][0], sum[1]+reach[i][1]
		}
		for i, p := range holders {
			h := s.held[p.epoch]
			if h == nil || !h.sure || p.silent || !target(p) {
				continue
			}
			s.message(&messages[i], h, x, i, raise, workers, [2]int{
				vpn.Whole - (sum[0] - reach[i][0]), vpn.Whole - (sum[1] - reach[i][1]),
			})
		}
	}
	var (
		wg   sync.WaitGroup
		sent = make([]bool, len(holders))
		errs = make([]error, len(holders))
	)
	for i, p := range holders {
		h := s.held[p.epoch]
		if h == nil || !h.sure || p.silent || !target(p) {
			continue
		}
		m := &messages[i]
		m.Turn, m.Workers = h.turn+1, h.workers
		if h.workers != workers && raise == (workers < h.workers) {
			m.Workers = workers
		}
		if m.Workers == h.workers && len(m.Shares)+len(m.Even) == 0 {
			continue
		}
		sent[i] = true
		wg.Go(func() { errs[i] = p.worker.SetShares(ctx, p.epoch, *m) })
	}
	wg.Wait()
	for i, p := range holders {
		if sent[i] {
			s.held[p.epoch].take(messages[i], errs[i])
		}
	}
	return errors.Join(errs...)
}

// message adds to m what holder i is to be told of a user now. room is what
// the others leave of the rates.
func (s *shares) message(m *vpn.Shares, h *stake, x *sharer, i int, raise bool, workers int, room [2]int) {
	goal := x.goals[i]
	have, told := h.parts[goal.User]
	now := h.part(goal.User, workers)
	if raise {
		goal.Up = max(now[0], min(goal.Up, room[0]))
		goal.Down = max(now[1], min(goal.Down, room[1]))
	} else {
		goal.Up, goal.Down = min(now[0], goal.Up), min(now[1], goal.Down)
	}
	even := vpn.Whole / workers
	plain := goal.Connections == 0 && len(goal.Networks) == 0
	switch {
	case x.idle && plain && goal.Up == even && goal.Down == even:
		if told {
			m.Even = append(m.Even, goal.User)
		}
	case told && alikeShares(have, goal), !told && plain && goal.Up == now[0] && goal.Down == now[1]:
	default:
		m.Shares = append(m.Shares, goal)
	}
}

// take notes what a holder was told, and how that went.
func (h *stake) take(m vpn.Shares, err error) {
	if err != nil {
		h.sure = false
		return
	}
	h.turn, h.workers = m.Turn, m.Workers
	for _, x := range m.Shares {
		h.parts[x.User] = x
	}
	for _, u := range m.Even {
		delete(h.parts, u)
	}
}

func alikeShares(a, b vpn.Share) bool {
	return a.Up == b.Up && a.Down == b.Down && a.Connections == b.Connections && slices.Equal(a.Networks, b.Networks)
}

// byServer puts holders into an order that does not change.
func byServer(ps []purse) []purse {
	slices.SortFunc(ps, func(a, b purse) int { return cmp.Compare(a.server, b.server) })
	return ps
}
