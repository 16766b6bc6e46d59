package worker

import (
	"net/http"
	"sync"

	"vpn/internal/vpn"
)

// allotted guards what the control plane allots to this worker: a call that
// waited in a socket while the worker was suspended, or that an earlier
// control plane had sent, must not undo a later one. So each names the turn
// that it takes, and only the one that follows the last is taken.
type allotted struct {
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

func (h *host) putCeilings(r *http.Request) (any, error) {
	var in wireCeilings
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	a := &h.allotted
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case in.Epoch != h.epoch:
		return nil, otherEpoch()
	case in.Turn != a.ceilings+1:
		return nil, outOfTurn(in.Turn, a.ceilings)
	}
	counters, err := h.meter.SetCeilings(in.Epoch, in.Ceilings.Ceilings)
	if err != nil {
		return nil, err
	}
	a.ceilings = in.Turn
	return vpn.Counters{Epoch: h.epoch, CeilingsTurn: a.ceilings, Counters: counters}, nil
}

func (h *host) getCeilings(*http.Request) (any, error) {
	a := &h.allotted
	a.mu.Lock()
	defer a.mu.Unlock()
	return vpn.Ceilings{Turn: a.ceilings, Ceilings: h.meter.Ceilings(), Retired: h.meter.Retired()}, nil
}

func (h *host) putShares(r *http.Request) (any, error) {
	var in wireShares
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	a := &h.allotted
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case in.Epoch != h.epoch:
		return nil, otherEpoch()
	case in.Turn != a.shares+1:
		return nil, outOfTurn(in.Turn, a.shares)
	}
	h.meter.SetShares(in.Workers, in.Shares.Shares, in.Even)
	a.shares = in.Turn
	return struct{}{}, nil
}

func (h *host) getShares(*http.Request) (any, error) {
	a := &h.allotted
	a.mu.Lock()
	defer a.mu.Unlock()
	workers, shares := h.meter.Shares()
	return vpn.Shares{Turn: a.shares, Workers: workers, Shares: shares}, nil
}

// usage returns the counters with what the worker holds and its users want.
func (h *host) usage(after uint64) vpn.Counters {
	h.allotted.mu.Lock()
	ceilings, shares := h.allotted.ceilings, h.allotted.shares
	h.allotted.mu.Unlock()
	out := h.meter.Usage(after)
	out.CeilingsTurn, out.SharesTurn = ceilings, shares
	out.At, out.Demands = h.age().Milliseconds(), h.meter.Demands()
	return out
}
