package vpn

import (
	"cmp"
	"slices"
	"time"
)

// How near to an end of something an active user has to be to be told of.
const (
	NearExpiry       = 7 * 24 * time.Hour
	NearQuotaPercent = 90
)

// Ending are the active users for whom something ends soon.
type Ending struct {
	Count int          `json:"count"`
	First []EndingUser `json:"first,omitempty" doc:"those who are nearest to it, at most 3"`
}

// An EndingUser is one of them.
type EndingUser struct {
	ID        UserID    `json:"id"`
	Name      string    `json:"name"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	Quota     uint64    `json:"quota,omitempty"`
	Used      Traffic   `json:"used"`
}

// QuotaPercent is how much of the quota is used, 0 without one.
func (u EndingUser) QuotaPercent() float64 {
	if u.Quota == 0 {
		return 0
	}
	return 100 * float64(u.Used.Total()) / float64(u.Quota)
}

// mostFirst is how many of the ending are named.
const mostFirst = 3

// Endings sorts out for whom of users something ends soon.
type Endings struct{ expiring, nearQuota []EndingUser }

// Add looks at one user, at the time now.
func (e *Endings) Add(u User, status UserStatus, now time.Time) {
	if status != Active {
		return
	}
	x := EndingUser{ID: u.ID, Name: u.Name, ExpiresAt: u.ExpiresAt, Quota: u.Limits.Quota, Used: u.Used}
	if !x.ExpiresAt.IsZero() && x.ExpiresAt.Sub(now) < NearExpiry {
		e.expiring = append(e.expiring, x)
	}
	if x.QuotaPercent() >= NearQuotaPercent {
		e.nearQuota = append(e.nearQuota, x)
	}
}

// Sum returns who was found.
func (e *Endings) Sum() (expiring, nearQuota Ending) {
	return sum(e.expiring, func(a, b EndingUser) int { return a.ExpiresAt.Compare(b.ExpiresAt) }),
		sum(e.nearQuota, func(a, b EndingUser) int { return cmp.Compare(b.QuotaPercent(), a.QuotaPercent()) })
}

func sum(all []EndingUser, nearer func(a, b EndingUser) int) Ending {
	slices.SortFunc(all, func(a, b EndingUser) int { return cmp.Or(nearer(a, b), cmp.Compare(a.Name, b.Name)) })
	return Ending{len(all), slices.Clone(all[:min(len(all), mostFirst)])}
}
