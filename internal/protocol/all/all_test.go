package all_test

import (
	"testing"

	"vpn/internal/protocol/all"
)

func TestProtocols(t *testing.T) {
	for _, p := range all.Protocols().All() {
		if got, err := all.Protocols().Get(p.Name()); err != nil || got.Name() != p.Name() {
			t.Errorf("%s: got %v, %v", p.Name(), got, err)
		}
	}
	if first := all.Protocols().All()[0].Name(); first != "vless" {
		t.Errorf("the recommended protocol is %q", first)
	}
}
