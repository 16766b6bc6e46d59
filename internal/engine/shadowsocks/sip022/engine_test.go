package sip022

import (
	"testing"

	"vpn/internal/engine/enginetest"
	"vpn/internal/vpn"
)

var sizes = map[string]int{"2022-blake3-aes-128-gcm": 16, "2022-blake3-aes-256-gcm": 32}

func TestEngine(t *testing.T) {
	for method, size := range sizes {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			enginetest.Run(t, enginetest.Harness{
				New:        New,
				Server:     func(t testing.TB) vpn.ServerSpec { return newServer(t, method) },
				Secret:     func() vpn.Secret { return newSecret(size) },
				Dial:       dial,
				PacketPort: true,
				Mute:       true,
			})
		})
	}
}
