//go:build linux

package rig

import (
	"strings"
	"testing"
)

// wantNoRaces fails the test for each race of ours in a log of that name.
func wantNoRaces(t testing.TB, name, log string) {
	t.Helper()
	ours, others := races(log)
	for _, report := range ours {
		t.Errorf("in %s: %s", name, report)
	}
	for _, report := range others {
		t.Logf("in %s, not a frame of ours (docs/adr/0005): %s", name, report)
	}
}

// races returns the race detector's reports in a log: those in which a frame
// of this module appears, where the race is or where one of its goroutines was
// created, and the others. docs/adr/0005 says why they differ.
func races(log string) (ours, others []string) {
	const begin, end = "WARNING: DATA RACE", "\n=================="
	for {
		_, rest, found := strings.Cut(log, begin)
		if !found {
			return ours, others
		}
		report, after, _ := strings.Cut(rest, end)
		log = after
		switch report = begin + report; {
		case strings.Contains(report, "  vpn/") || strings.Contains(report, "  main."):
			ours = append(ours, report)
		default:
			others = append(others, report)
		}
	}
}
