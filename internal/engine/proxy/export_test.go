package proxy

import (
	"time"

	"vpn/internal/engine"
)

// NewImpatient is New for tests of those who are slow.
func NewImpatient(c engine.Config) (engine.Engine, error) {
	return newEngine(c, 300*time.Millisecond), nil
}

// NewHasty is New for those who guess very often, of whom the first wait only
// so long.
func NewHasty(pause time.Duration) engine.New {
	return func(c engine.Config) (engine.Engine, error) {
		e := newEngine(c, greetTime)
		e.patience.first = pause
		return e, nil
	}
}
