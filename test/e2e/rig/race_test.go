//go:build linux && e2e

package rig

import (
	"strings"
	"testing"
)

func TestRacesOfOursAndOfOthers(t *testing.T) {
	const line = "==================\n"
	report := func(frames string) string { return line + "WARNING: DATA RACE\n" + frames + line }
	upstream := report(`Write at 0x00c0000b4010 by goroutine 8:
  github.com/xtls/xray-core/proxy/vless/encoding.(*X).Y()
      github.com/xtls/xray-core@v1/proxy/vless/encoding/x.go:10 +0x1

Goroutine 8 (running) created at:
  github.com/xtls/xray-core/core.(*Instance).Start()
      github.com/xtls/xray-core@v1/core/xray.go:10 +0x1
`)
	inside := report("Read at 0x1 by goroutine 9:\n  vpn/internal/engine/meter.(*Meter).Set()\n      vpn/internal/engine/meter/meter.go:5 +0x1\n")
	created := report("Write at 0x1 by goroutine 9:\n  github.com/xtls/xray-core/x.Y()\n\nGoroutine 9 (running) created at:\n  vpn/internal/engine/vless.(*Engine).Apply()\n")
	torn := line + "WARNING: DATA RACE\nRead at 0x1 by main goroutine:\n  main.main()\n" // the process was killed meanwhile

	ours, others := races("a line\n" + upstream + inside + "another\n" + created + torn)
	if len(ours) != 3 || len(others) != 1 || !strings.Contains(others[0], "encoding.(*X)") {
		t.Errorf("ours %q\nothers %q", ours, others)
	}
	if ours, others := races("nothing of note\n"); ours != nil || others != nil {
		t.Errorf("%q, %q in a log without reports", ours, others)
	}
}
