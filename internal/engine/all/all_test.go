package all_test

import (
	"os"
	"slices"
	"testing"

	"vpn/internal/engine/all"
	"vpn/internal/vpn"
)

func TestEveryEngineIsListed(t *testing.T) {
	dirs, err := os.ReadDir("..")
	if err != nil {
		t.Fatal(err)
	}
	engines := all.Engines()
	n := 0
	for _, d := range dirs {
		if !d.IsDir() || slices.Contains([]string{"all", "egress", "enginetest", "meter", "splice"}, d.Name()) {
			continue
		}
		n++
		if engines[vpn.Protocol(d.Name())] == nil {
			t.Errorf("%s is not listed", d.Name())
		}
	}
	if n != len(engines) {
		t.Errorf("%d are listed, and there are %d", len(engines), n)
	}
}
