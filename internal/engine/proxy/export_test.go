package proxy

import (
	"time"

	"vpn/internal/engine"
)

// NewImpatient is New for tests of those who are slow.
func NewImpatient(c engine.Config) (engine.Engine, error) {
	return newEngine(c, 300*time.Millisecond), nil
}
