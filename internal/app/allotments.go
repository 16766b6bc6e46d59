package app

import (
	"context"
	"errors"

	"vpn/internal/vpn"
)

// allotments are what the workers are given of users' limits, so that each
// holds its part by itself, whether or not the control plane is there.
type allotments struct {
	ledger   *ledger
	ceilings *ceilings // of quotas
	shares   *shares   // of rates, devices and connections
}

func newAllotments(l *ledger) *allotments {
	return &allotments{ledger: l, ceilings: newCeilings(l), shares: newShares()}
}

// observe takes what a worker has told.
func (a *allotments) observe(ctx context.Context, id vpn.ServerID, cs vpn.Counters) error {
	if err := a.ledger.observe(ctx, id, cs); err != nil {
		return err
	}
	a.ceilings.hear(cs.Epoch, cs.CeilingsTurn)
	a.shares.observe(cs)
	return nil
}

// renew divides what is left of quotas among the workers, and if shares the
// other limits too, which follow what happens from second to second; it tells
// those that target holds true for.
func (a *allotments) renew(ctx context.Context, ks []*keeper, shares bool, target func(purse) bool) error {
	holders := holders(ks)
	err := a.ceilings.renew(ctx, holders, target)
	if !shares {
		return err
	}
	return errors.Join(err, a.shares.renew(ctx, holders, workforce(ks), target))
}

func everyone(purse) bool { return true }

// forget drops what an epoch held that has ended.
func (a *allotments) forget(epoch string) {
	a.ceilings.forget(epoch)
	a.shares.forget(epoch)
}

// holders returns the workers that may hold something, in an order that does
// not change.
func holders(ks []*keeper) []purse {
	var out []purse
	for _, k := range ks {
		if p, ok := k.claim(); ok {
			out = append(out, p)
		}
	}
	return byServer(out)
}

// workforce returns how many workers there are, or are to be soon.
func workforce(ks []*keeper) (n int) {
	for _, k := range ks {
		k.mu.Lock()
		if k.state != vpn.Stopped || k.worker != nil {
			n++
		}
		k.mu.Unlock()
	}
	return n
}
