package host

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"vpn/internal/vpn"
)

// read looks at the counters that have to be looked at twice.
func read() reading {
	r := reading{at: time.Now()}
	r.busy, r.all, r.cores, r.hasCPU = processors(contents("/proc/stat"))
	counters := interfaces(contents("/proc/net/dev"))
	r.hasNetworks = counters != nil
	for _, name := range leading(counters) {
		r.in += counters[name].in
		r.out += counters[name].out
		r.interfaces = append(r.interfaces, name)
	}
	return r
}

// describe tells what one look shows.
func (m *Meter) describe() vpn.Host {
	var h vpn.Host
	h.System = systemName(contents("/etc/os-release"))
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		h.Kernel = unix.ByteSliceToString(u.Sysname[:]) + " " + unix.ByteSliceToString(u.Release[:])
	}
	if f := strings.Fields(contents("/proc/uptime")); len(f) > 0 {
		if seconds, err := strconv.ParseFloat(f[0], 64); err == nil {
			h.Uptime = vpn.Seconds(seconds)
		}
	}
	h.Load = load(contents("/proc/loadavg"))
	h.Memory, h.Swap = memory(contents("/proc/meminfo"))
	var st unix.Statfs_t
	if unix.Statfs(m.dir, &st) == nil && st.Blocks > 0 {
		block := uint64(max(st.Bsize, 1))
		h.Disk = &vpn.HostDisk{Path: m.dir, Room: vpn.Room{
			Total: st.Blocks * block, Used: (st.Blocks - min(st.Blocks, st.Bfree)) * block, Free: st.Bavail * block,
		}}
	}
	return h
}

// contents returns a file, nothing if it cannot be read: what is in it is left
// out then.
func contents(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return string(b)
}

// processors reads proc_stat(5). Time that another guest of the same machine
// had instead (steal) was wanted here, so it counts as busy; time in guests of
// our own is in user time already.
func processors(stat string) (busy, all uint64, cores int, ok bool) {
	for line := range strings.Lines(stat) {
		f := strings.Fields(line)
		if len(f) < 5 || !strings.HasPrefix(f[0], "cpu") {
			continue
		}
		if f[0] != "cpu" {
			cores++
			continue
		}
		for i, text := range f[1:min(len(f), 9)] { // user nice system idle iowait irq softirq steal
			n, err := strconv.ParseUint(text, 10, 64)
			if err != nil {
				return 0, 0, 0, false
			}
			all += n
			if i != 3 && i != 4 {
				busy += n
			}
		}
		ok = true
	}
	return busy, all, cores, ok
}

type passed struct{ in, out uint64 }

// interfaces reads /proc/net/dev: bytes by interface.
func interfaces(dev string) map[string]passed {
	var out map[string]passed
	for line := range strings.Lines(dev) {
		name, counters, ok := strings.Cut(line, ":")
		f := strings.Fields(counters)
		if !ok || len(f) < 9 {
			continue
		}
		in, err := strconv.ParseUint(f[0], 10, 64)
		sent, err2 := strconv.ParseUint(f[8], 10, 64)
		if err != nil || err2 != nil {
			continue
		}
		if out == nil {
			out = map[string]passed{}
		}
		out[strings.TrimSpace(name)] = passed{in, sent}
	}
	return out
}

// leading returns the interfaces that lead out of the machine: those behind
// which there is a device or, where there is none, as in a container, those
// with a default route.
func leading(all map[string]passed) []string {
	var outward []string
	for name := range all {
		if _, err := os.Stat(filepath.Join("/sys/class/net", name, "device")); err == nil {
			outward = append(outward, name)
		}
	}
	if len(outward) == 0 {
		for _, name := range defaultRoutes(contents("/proc/net/route"), contents("/proc/net/ipv6_route")) {
			if _, there := all[name]; there && name != "lo" {
				outward = append(outward, name)
			}
		}
	}
	slices.Sort(outward)
	return outward
}

// defaultRoutes reads both tables of routes for those to everywhere.
func defaultRoutes(v4, v6 string) []string {
	var out []string
	add := func(name string) {
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	for line := range strings.Lines(v4) { // interface, destination, …, mask
		if f := strings.Fields(line); len(f) > 7 && f[1] == "00000000" && f[7] == "00000000" {
			add(f[0])
		}
	}
	for line := range strings.Lines(v6) { // destination, its length, …, interface
		f := strings.Fields(line)
		if len(f) < 10 || f[1] != "00" || f[9] == "lo" {
			continue
		}
		if to, err := hex.DecodeString(f[0]); err == nil && bytes.Count(to, []byte{0}) == len(to) {
			add(f[9])
		}
	}
	return out
}

func load(text string) *vpn.HostLoad {
	f := strings.Fields(text)
	if len(f) < 3 {
		return nil
	}
	var n [3]float64
	for i := range n {
		var err error
		if n[i], err = strconv.ParseFloat(f[i], 64); err != nil {
			return nil
		}
	}
	return &vpn.HostLoad{One: n[0], Five: n[1], Fifteen: n[2]}
}

// memory reads proc_meminfo(5). What the kernel would give back at once, as
// its caches, is free.
func memory(text string) (ram, swap *vpn.Room) {
	kib := map[string]uint64{}
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(line, ":")
		if f := strings.Fields(value); len(f) > 0 {
			if n, err := strconv.ParseUint(f[0], 10, 53); err == nil {
				kib[key] = n
			}
		}
	}
	room := func(total, free uint64) *vpn.Room {
		if total == 0 {
			return nil
		}
		return &vpn.Room{Total: total << 10, Free: free << 10, Used: since(total, free) << 10}
	}
	available, known := kib["MemAvailable"]
	if !known {
		available = kib["MemFree"] + kib["Buffers"] + kib["Cached"] // before Linux 3.14
	}
	return room(kib["MemTotal"], available), room(kib["SwapTotal"], kib["SwapFree"])
}

// systemName reads os-release(5).
func systemName(text string) string {
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), "PRETTY_NAME="); ok {
			if plain, err := strconv.Unquote(value); err == nil {
				return plain
			}
			return strings.Trim(value, `'"`)
		}
	}
	return "Linux"
}
