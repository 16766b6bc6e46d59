package meter

import (
	"cmp"
	"slices"
	"time"

	"vpn/internal/vpn"
)

// holding is what a meter knows of a user's hold: what it was told, and when
// the user was let in here first. It is guarded by Meter.mu.
type holding struct {
	hold  vpn.Hold
	begun time.Time // of the first flow since the hold began
}

// setHold takes what a grant says. Another hold than the one before begins anew.
func (h *holding) setHold(told vpn.Hold) {
	if !told.HeldSince.Equal(h.hold.HeldSince) {
		h.begun = time.Time{}
	}
	h.hold = told
}

// waits reports whether the next flow is the first use.
func (h *holding) waits() bool { return h.hold.Holds() && h.begun.IsZero() }

// ends returns when the time is over that the first use has begun; the zero
// time means that it has not.
func (h *holding) ends() time.Time {
	first := earlier(h.begun, h.hold.FirstUsedAt)
	if first.IsZero() || h.hold.ValidFor == 0 {
		return time.Time{}
	}
	return first.Add(h.hold.ValidFor.Duration())
}

// untold reports whether nobody knows yet of a use as early as the first one
// here.
func (h *holding) untold() bool {
	return !h.begun.IsZero() && (h.hold.FirstUsedAt.IsZero() || h.begun.Before(h.hold.FirstUsedAt))
}

// begin notes the first use of u, if it is. The caller holds m.mu.
func (m *Meter) begin(u *user, now time.Time) {
	if u.waits() {
		u.begun = now.UTC().Truncate(time.Microsecond) // what a store keeps
		m.begun[u] = true
	}
}

// beginIfLive is begin for a user who was put on hold while connected: that is
// a use. The caller holds m.mu.
func (m *Meter) beginIfLive(u *user, now time.Time) {
	if !u.waits() {
		return
	}
	u.mu.Lock()
	live := len(u.flows) > 0
	u.mu.Unlock()
	if live {
		m.begin(u, now)
		m.expireBy(u.ends())
	}
}

// firstUses returns the first uses that the grants do not know of. The caller
// holds m.mu.
func (m *Meter) firstUses() []vpn.FirstUse {
	var out []vpn.FirstUse
	for u := range m.begun {
		if !u.untold() {
			delete(m.begun, u)
			continue
		}
		out = append(out, vpn.FirstUse{User: u.id, Held: u.hold.HeldSince, At: u.begun})
	}
	slices.SortFunc(out, func(a, b vpn.FirstUse) int { return cmp.Compare(a.User, b.User) })
	return out
}
