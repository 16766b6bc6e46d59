package shadowsocks

import (
	"time"

	"vpn/internal/engine"
)

// NewImpatient returns New for tests of those who show no key.
func NewImpatient(handshake time.Duration) engine.New {
	return func(c engine.Config) (engine.Engine, error) { return newServer(c, handshake), nil }
}

// NewNarrow returns New for tests of those who have many associations.
func NewNarrow(most int64) engine.New {
	return func(c engine.Config) (engine.Engine, error) {
		s := newServer(c, handshakeTime)
		s.most = most
		return s, nil
	}
}
