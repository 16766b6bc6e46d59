package meter

// A user who has a throttle is not cut at the ceiling: what passes beyond it
// passes one bucket, for both directions and all flows, besides those of the
// rates. The bucket is made when the ceiling is reached and goes when more is
// granted.

// throttled reports whether u has a throttle. The caller holds u.mu, as for
// all that follow.
func (u *user) throttled() bool { return u.limits.capped && u.limits.throttle > 0 }

// spent reports whether nothing may pass any more.
func (u *user) spent() bool { return u.room() == 0 && !u.throttled() }

// brake returns the bucket of what passes beyond the ceiling.
func (u *user) brake() *bucket {
	if u.slow == nil {
		u.slow = u.slow.set(u.pace())
	}
	return u.slow
}

// pace is this worker's part of the throttle.
func (u *user) pace() uint64 {
	if u.part == 0 {
		return u.limits.throttle
	}
	return min(u.part, u.limits.throttle)
}

// setSlow makes the bucket follow the limits and the ceiling: who waits in it
// waits no longer than they say.
func (u *user) setSlow() {
	switch {
	case u.slow == nil:
	case u.throttled() && u.room() == 0:
		u.slow = u.slow.set(u.pace())
	default:
		u.slow = u.slow.set(0)
	}
}
