package worker

import (
	"net/http"
	"sync"
	"time"

	"vpn/internal/engine/meter"
	"vpn/internal/vpn"
)

// allotted guards what the control plane allots to this worker: a call that
// waited in a socket while the worker was suspended, or that an earlier
// control plane had sent, must not undo a later one. So each names the turn
// that it takes, and only the one that follows the last is taken.
type allotted struct {
	epoch string
	born  time.Time // by the monotonic clock
	meter *meter.Meter

	mu       sync.Mutex
	ceilings uint64 // turns taken
	shares   uint64
}

func outOfTurn(got, last uint64) error {
	return vpn.Errorf(vpn.Conflict, "turn %d does not follow the worker's %d", got, last).
		WithHint("read what it holds and allot anew")
}

func otherEpoch() error {
	return vpn.Errorf(vpn.Conflict, "this is for another epoch of this worker").
		WithHint("read the usage again and allot anew")
}

func (a *allotted) putCeilings(r *http.Request) (any, error) {
	var in wireCeilings
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case in.Epoch != a.epoch:
		return nil, otherEpoch()
	case in.Turn != a.ceilings+1:
		return nil, outOfTurn(in.Turn, a.ceilings)
	}
	counters, err := a.meter.SetCeilings(in.Epoch, in.Ceilings.Ceilings)
	if err != nil {
		return nil, err
	}
	a.ceilings = in.Turn
	return vpn.Counters{Epoch: a.epoch, CeilingsTurn: a.ceilings, Counters: counters}, nil
}

func (a *allotted) getCeilings(*http.Request) (any, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return vpn.Ceilings{Turn: a.ceilings, Ceilings: a.meter.Allotments().Ceilings(), Retired: a.meter.Allotments().Retired()}, nil
}

func (a *allotted) putShares(r *http.Request) (any, error) {
	var in wireShares
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case in.Epoch != a.epoch:
		return nil, otherEpoch()
	case in.Turn != a.shares+1:
		return nil, outOfTurn(in.Turn, a.shares)
	}
	a.meter.Allotments().SetShares(in.Workers, in.Shares.Shares, in.Even)
	a.shares = in.Turn
	return struct{}{}, nil
}

func (a *allotted) getShares(*http.Request) (any, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	workers, shares := a.meter.Allotments().Shares()
	return vpn.Shares{Turn: a.shares, Workers: workers, Shares: shares}, nil
}

// usage returns the counters with what the worker holds and its users want.
func (a *allotted) usage(after uint64) vpn.Counters {
	a.mu.Lock()
	ceilings, shares := a.ceilings, a.shares
	a.mu.Unlock()
	out := a.meter.Usage(after)
	out.CeilingsTurn, out.SharesTurn = ceilings, shares
	out.At, out.CPU = time.Since(a.born).Milliseconds(), processorTime().Milliseconds()
	return out
}
