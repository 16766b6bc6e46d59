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
	renewing sync.Mutex // taken before mu
	// Guarded by renewing.
	held    map[string]*stake // by epoch
	users   map[vpn.UserID]*sharer
	columns []string // the epoch that each seat is of; empty: a free one
	placing uint64   // counts the changes of who the holders are
	holders []string // the epochs of the last division

	mu      sync.Mutex
	reports map[string]*report // by epoch; guarded by mu, as are their views
}

// A stake is what one epoch's worker holds, as far as is known; the users'
// parts are in their seats.
type stake struct {
	turn    uint64
	workers int
	sure    bool // it is what the worker holds; else it must be read first
}

// A sharer is a user whose limits are divided now.
type sharer struct {
	user   vpn.UserID
	seen   time.Time               // when a worker last had the user
	idle   bool                    // that was long ago
	seats  []seat                  // by column
	known  map[netip.Prefix]device // the user's networks
	kept   map[string]int          // how many connections each epoch's worker was allowed
	goals  []vpn.Share             // of this round, by holder
	placed uint64                  // the goals for devices and connections are for these holders
}

// A seat is what one worker has of a user.
type seat struct {
	view  *view // nil: it never had the user
	live  bool  // as of the last division
	told  bool  // it has a part of its own:
	share vpn.Share
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
	column := slices.Index(s.columns, epoch)
	for _, x := range s.users {
		delete(x.kept, epoch)
		if 0 <= column && column < len(x.seats) {
			x.seats[column] = seat{}
		}
	}
	if column >= 0 {
		s.columns[column] = ""
	}
	s.renewing.Unlock()
	s.mu.Lock()
	delete(s.reports, epoch)
	s.mu.Unlock()
}

// column returns which seats are an epoch's.
func (s *shares) column(epoch string) int {
	i := slices.Index(s.columns, epoch)
	if i < 0 {
		if i = slices.Index(s.columns, ""); i < 0 {
			i, s.columns = len(s.columns), append(s.columns, "")
		}
		s.columns[i] = epoch
	}
	return i
}

// renew divides anew among the holders, workers of which there are or are to
// be soon. Only the holders that target holds true for are told.
func (s *shares) renew(ctx context.Context, holders []purse, workers int, target func(purse) bool) error {
	s.renewing.Lock()
	defer s.renewing.Unlock()
	workers = max(workers, len(holders), 1)
	turns := s.turns(holders)
	if workers < 2 && turns[0] == 0 && !slices.ContainsFunc(holders, func(p purse) bool { return s.held[p.epoch] != nil }) {
		return nil // there is nobody to share with, and never was
	}
	var errs []error
	for i, p := range holders {
		if p.epoch == "" || p.silent {
			continue
		}
		if err := s.read(ctx, p, turns[i]); err != nil && target(p) {
			errs = append(errs, err)
		}
	}
	d := s.division(holders, workers, target)
	moving := s.plan(d)
	for _, raise := range []bool{false, true} {
		errs = append(errs, s.tell(ctx, d, moving, raise))
	}
	return errors.Join(errs...)
}

// turns returns at which turns the holders' shares are, as far as they have
// said; one number at least.
func (s *shares) turns(holders []purse) []uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]uint64, max(len(holders), 1))
	for i, p := range holders {
		if r := s.reports[p.epoch]; r != nil {
			out[i] = r.turn
		}
	}
	return out
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
	column := s.column(p.epoch)
	for _, x := range s.users {
		x.seat(column).told = false
	}
	for _, share := range held.Shares {
		seat := s.user(share.User).seat(column)
		seat.told, seat.share = true, share
	}
	s.held[p.epoch] = &stake{turn: held.Turn, workers: held.Workers, sure: true}
	return nil
}

func (s *shares) user(u vpn.UserID) *sharer {
	x := s.users[u]
	if x == nil {
		x = &sharer{user: u, seen: time.Now(), known: map[netip.Prefix]device{}, kept: map[string]int{}}
		s.users[u] = x
	}
	return x
}

// seat returns the seat of a column.
func (x *sharer) seat(column int) *seat {
	for len(x.seats) <= column {
		x.seats = append(x.seats, seat{})
	}
	return &x.seats[column]
}

// told reports whether a worker has, or may have, a part of its own.
func (x *sharer) told() bool {
	for i := range x.seats {
		if x.seats[i].told {
			return true
		}
	}
	return false
}

// tell gives the holders what is less than they have, or what is more.
func (s *shares) tell(ctx context.Context, d *division, moving []*sharer, raise bool) error {
	// What all of them have now, or are to have: the more of the two.
	reach := make([][2]int, len(d.holders))
	messages := make([]vpn.Shares, len(d.holders))
	for _, x := range moving {
		d.look(x)
		var sum [2]int
		for i, h := range d.stakes {
			now := [2]int{vpn.Whole, vpn.Whole}
			if h != nil && h.sure {
				now = d.part(i)
			}
			reach[i] = [2]int{max(now[0], x.goals[i].Up), max(now[1], x.goals[i].Down)}
			sum[0], sum[1] = sum[0]+reach[i][0], sum[1]+reach[i][1]
		}
		for i := range d.holders {
			if d.tells[i] {
				d.message(&messages[i], x, i, raise, [2]int{
					vpn.Whole - (sum[0] - reach[i][0]), vpn.Whole - (sum[1] - reach[i][1]),
				})
			}
		}
	}
	var (
		wg   sync.WaitGroup
		sent = make([]bool, len(d.holders))
		errs = make([]error, len(d.holders))
	)
	for i, p := range d.holders {
		if !d.tells[i] || !d.stakes[i].sure {
			continue
		}
		h, m := d.stakes[i], &messages[i]
		m.Turn, m.Workers = h.turn+1, h.workers
		if h.workers != d.workers && raise == (d.workers < h.workers) {
			m.Workers = d.workers
		}
		if m.Workers == h.workers && len(m.Shares)+len(m.Even) == 0 {
			continue
		}
		sent[i] = true
		wg.Go(func() { errs[i] = p.worker.SetShares(ctx, p.epoch, *m) })
	}
	wg.Wait()
	for i := range d.holders {
		if sent[i] {
			s.take(d, i, messages[i], errs[i])
		}
	}
	return errors.Join(errs...)
}

// take notes what a holder was told, and how that went.
func (s *shares) take(d *division, i int, m vpn.Shares, err error) {
	h := d.stakes[i]
	if err != nil {
		h.sure = false
		return
	}
	h.turn, h.workers = m.Turn, m.Workers
	for _, share := range m.Shares {
		seat := s.users[share.User].seat(d.columns[i])
		seat.told, seat.share = true, share
	}
	for _, u := range m.Even {
		s.users[u].seat(d.columns[i]).told = false
	}
}

func alikeShares(a, b *vpn.Share) bool {
	return a.Up == b.Up && a.Down == b.Down && a.Connections == b.Connections && alikeNetworks(a.Networks, b.Networks)
}

// alikeNetworks knows what was told, which mostly it is, by where it stands.
func alikeNetworks(a, b []netip.Prefix) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0] || slices.Equal(a, b))
}

// byServer puts holders into an order that does not change.
func byServer(ps []purse) []purse {
	slices.SortFunc(ps, func(a, b purse) int { return cmp.Compare(a.server, b.server) })
	return ps
}
