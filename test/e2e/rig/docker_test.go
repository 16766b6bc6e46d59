//go:build linux && e2e

package rig

import (
	"strings"
	"testing"
)

// An engine comes up on a host, runs on its network, goes and comes again, and
// leaves nothing.
func TestEngine(t *testing.T) {
	h := newHost(t, "engine", 0)
	h.IP(t, "route add unreachable default")
	e := h.Docker(t)
	before := e.Objects(t)
	if !strings.Contains(before, "network") || strings.Contains(before, "container") {
		t.Errorf("a new engine holds\n%s", before)
	}
	if err := e.Stop(); err != nil {
		t.Fatal(err)
	}
	if e.answers() {
		t.Error("an engine that was stopped answers")
	}
	if err := e.Start(); err != nil {
		t.Fatal(err)
	}
	e.Kill()
	if err := e.Start(); err != nil {
		t.Fatal(err)
	}
	// The networks of an engine are made anew at each start.
	if after := e.Objects(t); strings.Count(after, "\n") != strings.Count(before, "\n") {
		t.Errorf("before\n%s\nafter\n%s", before, after)
	}
}
