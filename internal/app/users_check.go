package app

import (
	"slices"
	"time"

	"vpn/internal/vpn"
)

// What can be asked for of a user, and what makes no sense.

func (u *Users) checkNew(in vpn.NewUser) error {
	if err := vpn.ValidName(in.Name); err != nil {
		return err
	}
	if err := checkLimits(in.Limits); err != nil {
		return err
	}
	if in.Limits.Throttle > 0 && in.Limits.Quota == 0 {
		return errNoQuota
	}
	if in.ValidFor != 0 {
		if !in.ExpiresAt.IsZero() {
			return errTwoEnds
		}
		if err := checkValidFor(in.ValidFor); err != nil {
			return err
		}
	}
	if err := u.checkExpiry(in.ExpiresAt, "leave it out, or give a later one"); err != nil {
		return err
	}
	return checkAbout(sortedTags(in.Tags), in.Email, in.Note)
}

var (
	errTwoEnds error = vpn.Errorf(vpn.Invalid, "a user has an expiry or is valid from the first use on, not both").
			WithHint("give --expires or --valid-for")
	errNoQuota error = vpn.Errorf(vpn.Invalid, "there is no quota after which the user could be slowed down").
			WithHint("give one, as in --quota 50GB; for a speed limit at all times: --rate-down, --rate-up")
)

// checkExpiry refuses an end that is over; hint is what to do instead.
func (u *Users) checkExpiry(t time.Time, hint string) error {
	if !t.IsZero() && !t.After(u.Now()) {
		return vpn.Errorf(vpn.Invalid, "the expiry %s is in the past", t.UTC().Format(time.RFC3339)).
			WithHint("%s", hint)
	}
	return nil
}

// checkValidFor refuses times that nobody means.
func checkValidFor(s vpn.Seconds) error {
	if most := vpn.Seconds(100 * 365 * 24 * 3600); s < 1 || s > most {
		return vpn.Errorf(vpn.Invalid, "valid-for must be from 1 second to 100 years").
			WithHint("write it like 30d; for no end: --expires never")
	}
	return nil
}

func checkLimits(l vpn.Limits) error {
	if l.Quota > vpn.MaxQuota {
		return vpn.Errorf(vpn.Invalid, "the quota is too large").WithHint("the most is 999 PB; for none: --quota none")
	}
	for name, v := range map[string]uint64{"rate-up": l.RateUp, "rate-down": l.RateDown, "after-quota": l.Throttle} {
		if v > vpn.MaxTraffic {
			return vpn.Errorf(vpn.Invalid, "%s is too large", name).WithHint("the most is %d bytes", int64(vpn.MaxTraffic))
		}
	}
	for name, v := range map[string]int{"devices": l.Devices, "connections": l.Connections} {
		if v < 0 || v > 1_000_000 {
			return vpn.Errorf(vpn.Invalid, "%s must be from 0 (no limit) to 1000000", name).WithHint("for no limit: --%s none", name)
		}
	}
	return l.Period.Valid()
}

// checkAbout looks at what is written about a user. tags are sorted.
func checkAbout(tags []string, email, note string) error {
	if len(tags) > vpn.MaxTags {
		return vpn.Errorf(vpn.Invalid, "%d tags are too many", len(tags)).WithHint("a user may have %d", vpn.MaxTags)
	}
	for _, tag := range tags {
		if err := vpn.ValidTag(tag); err != nil {
			return err
		}
	}
	if err := vpn.ValidEmail(email); err != nil {
		return err
	}
	return vpn.ValidNote(note)
}

// sortedTags returns each tag once, nil if there is none.
func sortedTags(tags []string) []string {
	out := slices.Compact(slices.Sorted(slices.Values(tags)))
	if len(out) == 0 {
		return nil
	}
	return out
}

func checkFilter(f vpn.UserFilter) error {
	if f.Status == "" || slices.Contains(vpn.Findable(), f.Status) {
		return nil
	}
	var words []string
	for _, s := range vpn.Findable() {
		words = append(words, string(s))
	}
	return vpn.Unknown("status", string(f.Status), words)
}

// hold is what makes a user's time begin with the next use.
func hold(s vpn.Seconds, now time.Time) vpn.Hold {
	return vpn.Hold{ValidFor: s, HeldSince: now.UTC().Truncate(time.Microsecond)} // as the store keeps it
}
