package vpn_test

import (
	"testing"

	"vpn/internal/vpn"
)

func TestNearest(t *testing.T) {
	names := []string{"alice", "bob", "carol", "carol.work", "x"}
	for word, want := range map[string]string{
		"alice": "alice", "Alice": "alice", "alcie": "alice", "alic": "alice", "lice": "alice", "al": "alice",
		"work": "carol.work", "wok": "carol.work", "carrol": "carol", "carol.w": "carol.work", "bobo": "bob",
		"ca": "", "zoe": "", "": "", "y": "",
	} {
		if got, ok := vpn.Nearest(word, names); got != want || ok != (want != "") {
			t.Errorf("%q: got %q, %v", word, got, ok)
		}
	}
}
