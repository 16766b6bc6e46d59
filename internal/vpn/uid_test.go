package vpn_test

import (
	"testing"

	"vpn/internal/vpn"
)

func TestUIDRange(t *testing.T) {
	r := vpn.UIDRange{Base: 471000, Count: 2}
	for slot, want := range []bool{true, true, false} {
		uid, ok := r.At(uint32(slot))
		if ok != want || ok && uid != 471000+uint32(slot) {
			t.Errorf("slot %d: %d, %v", slot, uid, ok)
		}
	}
	if _, ok := (vpn.UIDRange{}).At(0); ok {
		t.Error("the empty range has an id")
	}
}
