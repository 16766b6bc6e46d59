package vpn_test

import (
	"strings"
	"testing"

	"vpn/internal/vpn"
)

func TestContainersThatCannotBe(t *testing.T) {
	for _, c := range []*vpn.Container{
		nil, {}, {Network: "host"}, {Network: "vpn_net.1-a"}, {Memory: 64e6}, {Memory: 1e12}, {PIDs: 32}, {PIDs: 100_000},
	} {
		if err := c.Valid(); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
	}
	for _, c := range []*vpn.Container{
		{Network: "none"},
		{Network: "container:other"},
		{Network: "-x"},
		{Network: "a b"},
		{Network: "a/b"},
		{Network: "a\n"},
		{Network: strings.Repeat("x", 64)},
		{Memory: 1},
		{Memory: 64e6 - 1},
		{Memory: 1e12 + 1},
		{PIDs: 31},
		{PIDs: -1},
		{PIDs: 100_001},
	} {
		if err := c.Valid(); vpn.KindOf(err) != vpn.Invalid {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestBridged(t *testing.T) {
	for network, want := range map[string]bool{"": false, "host": false, "bridge": true, "x": true} {
		if got := (&vpn.Container{Network: network}).Bridged(); got != want {
			t.Errorf("%q: %v", network, got)
		}
	}
	if (*vpn.Container)(nil).Bridged() {
		t.Error("a process is on a bridge")
	}
}

func TestUnknownRuntimesAreToldTheKnown(t *testing.T) {
	err := vpn.ValidRuntime("kubernetes")
	if vpn.KindOf(err) != vpn.Invalid || !strings.Contains(vpn.HintOf(err), "process, docker") {
		t.Errorf("%v; hint: %s", err, vpn.HintOf(err))
	}
}
