package host

import (
	"context"
	"net"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vpn/internal/vpn"
)

// What is told of this machine is so, as far as a test can know.
func TestThisMachine(t *testing.T) {
	dir := t.TempDir()
	h, err := New(dir).Now(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	name, _ := os.Hostname()
	if h.Name != name || h.System == "" || h.Kernel == "" || h.Uptime <= 0 || time.Since(h.At) > time.Minute {
		t.Errorf("got %+v", h)
	}
	if c := h.CPU; c == nil || c.Percent < 0 || c.Percent > 100 || c.Cores < 1 {
		t.Errorf("the processors are %+v", h.CPU)
	}
	for what, r := range map[string]*vpn.Room{"memory": h.Memory, "disk": &h.Disk.Room} {
		if r == nil || r.Total == 0 || r.Used == 0 || r.Used > r.Total || r.Free > r.Total {
			t.Errorf("the %s is %+v", what, r)
		}
	}
	if h.Disk.Path != dir || h.Load == nil {
		t.Errorf("got %+v", h)
	}
	if h.Network == nil {
		t.Fatal("there is no network")
	}
	for _, i := range h.Network.Interfaces {
		if found, err := net.InterfaceByName(i); err != nil || found.Flags&net.FlagLoopback != 0 {
			t.Errorf("interface %s: %+v, %v", i, found, err)
		}
	}
}

// Who works is seen: a core that computes shows in the percentage.
func TestProcessorsShowWork(t *testing.T) {
	m := New(t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	worked := make(chan struct{})
	go func() {
		defer close(worked)
		for ctx.Err() == nil {
			for range 1_000_000 { // compute
			}
		}
	}()
	h, err := m.Now(t.Context())
	cancel()
	<-worked
	if err != nil || h.CPU == nil || h.CPU.Percent < 50/float64(h.CPU.Cores) {
		t.Errorf("with a core at work: %+v, %v", h.CPU, err)
	}
}

func TestSpeedsAreOfTheTimeBetween(t *testing.T) {
	at := time.Now()
	readings := []reading{
		{at: at.Add(-1500 * time.Millisecond), busy: 100, all: 1000, cores: 4, in: 1000, out: 500, hasCPU: true, hasNetworks: true},
		{at: at.Add(-500 * time.Millisecond), busy: 150, all: 1400, cores: 4, in: 5000, out: 400, hasCPU: true, hasNetworks: true, interfaces: []string{"eth0"}},
	}
	m := New(t.TempDir())
	m.read = func() reading {
		r := readings[0]
		readings = readings[1:]
		return r
	}
	m.take()
	m.take()
	h, err := m.Now(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(&vpn.HostCPU{Percent: 12.5, Cores: 4}, h.CPU); d != "" {
		t.Error(d)
	}
	// A counter that fell, as when an interface went, has not moved.
	if d := cmp.Diff(&vpn.HostNetwork{In: 4000, Out: 0, TotalIn: 5000, TotalOut: 400, Interfaces: []string{"eth0"}}, h.Network); d != "" {
		t.Error(d)
	}
}

// A reading of long ago makes no speed, and two in one moment make none.
func TestReadingsThatFit(t *testing.T) {
	now := time.Now()
	at := func(ago time.Duration) reading { return reading{at: now.Add(-ago)} }
	for _, c := range []struct {
		before, last time.Duration
		want         bool
	}{
		{time.Second, 0, true},
		{250 * time.Millisecond, 0, true},
		{50 * time.Millisecond, 0, false},
		{10 * time.Second, 0, false},
		{11 * time.Second, 10 * time.Second, false},
	} {
		if got := fits(at(c.before), at(c.last)); got != c.want {
			t.Errorf("%v and %v ago: %v", c.before, c.last, got)
		}
	}
	if fits(reading{}, at(0)) {
		t.Error("one reading makes a speed")
	}
}

func TestFilesOfTheKernel(t *testing.T) {
	busy, all, cores, ok := processors("cpu  10 1 5 100 20 2 3 4 50 60\ncpu0 1 1 1 1 1\ncpu1 1 1 1 1 1\nintr 5\n")
	if busy != 25 || all != 145 || cores != 2 || !ok {
		t.Errorf("got %d of %d, %d cores, %v", busy, all, cores, ok)
	}
	got := interfaces("Inter-|   Receive  |\n face |bytes packets\n    lo: 10 1 0 0 0 0 0 0 20 1 0 0 0 0 0 0\neth0:1000 1 0 0 0 0 0 0 2000 1 0 0 0 0 0 0\n")
	if got["eth0"] != (passed{1000, 2000}) || got["lo"] != (passed{10, 20}) || len(got) != 2 {
		t.Errorf("got %v", got)
	}
	ram, swap := memory("MemTotal: 1000 kB\nMemFree: 100 kB\nMemAvailable: 600 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n")
	if d := cmp.Diff(&vpn.Room{Total: 1024000, Free: 614400, Used: 409600}, ram); d != "" || swap != nil {
		t.Error(d, swap)
	}
	routes := defaultRoutes("Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\neth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\neth1\t0000A8C0\t0\t1\t0\t0\t0\t0000FFFF\n",
		"00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe80 00000400 1 0 00000003 eth2\n"+
			"00000000000000000000000000000000 00 00000000000000000000000000000000 00 00 ffffffff 1 0 00200200 lo\n")
	if d := cmp.Diff([]string{"eth0", "eth2"}, routes); d != "" {
		t.Error(d)
	}
	for text, want := range map[string]string{"NAME=x\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n": "Debian GNU/Linux 12 (bookworm)", "PRETTY_NAME=Alpine\n": "Alpine", "": "Linux"} {
		if got := systemName(text); got != want {
			t.Errorf("%q: got %q", text, got)
		}
	}
	// What cannot be read is left out, and not zero.
	if _, _, _, ok := processors("intr 5\n"); ok || load("x y z") != nil || interfaces("") != nil {
		t.Error("something was made up")
	}
}
