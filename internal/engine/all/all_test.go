package all_test

import (
	"testing"

	"vpn/internal/engine/all"
	protocols "vpn/internal/protocol/all"
)

func TestEveryProtocolHasAnEngine(t *testing.T) {
	engines := all.Engines()
	for _, p := range protocols.Protocols().All() {
		if engines[p.Name()] == nil {
			t.Errorf("%s has no engine", p.Name())
		}
		delete(engines, p.Name())
	}
	for name := range engines {
		t.Errorf("%s is no protocol", name)
	}
}
