package router

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"vpn/internal/vpn"
)

// Settings of the kernel, by their paths.
const (
	sysctls   = "/proc/sys/"
	forward4  = "net/ipv4/ip_forward"
	conf6     = "net/ipv6/conf/"
	forward6  = conf6 + "all/forwarding"
	acceptRA  = "/accept_ra"
	ignoresRA = "0" // of accept_ra
	hostsRA   = "1" // router advertisements count unless this host forwards
	alwaysRA  = "2" // they count, whatever this host is

	receiveMost = "net/core/rmem_max"
)

// receiveBuffer is what a socket must be allowed to hold, in bytes, for a
// server to take the bursts of a fast line. As Linux comes it is 208 KiB, with
// which uploads through a tunnel were up to a fifth slower (docs/benchmarks.md).
// Whoever has CAP_NET_ADMIN need not ask, but a worker has not.
const receiveBuffer = 4 << 20

// hasIPv6 reports whether the kernel, and the device, speak IPv6 at all.
func hasIPv6(device string) bool {
	off, err := readSetting(conf6 + device + "/disable_ipv6")
	return err == nil && off == "0"
}

// forward switches forwarding on for the versions of IP that addresses are
// of, as far as it is off.
//
// For IPv6 that makes a router of a host, and a router does not listen to
// router advertisements: a machine that has its address or its default route
// from them would lose both within the half hour. So every link that listened
// until now is told to go on; links that did not, still do not.
//
// Of the device itself no advertisement counts: a client could send one. The
// rules drop it, so this is not worth an error where settings are read-only.
func forward(device string, addresses []netip.Prefix) ([]Change, error) {
	var changes []Change
	set := func(path, value string) error {
		was, err := readSetting(path)
		if err != nil || was == value {
			return err
		}
		if err := os.WriteFile(sysctls+path, []byte(value), 0); err != nil {
			name := dotted(path)
			return vpn.Errorf(vpn.Unavailable, "this host does not forward: set %s: %w", name, err).
				WithHint("switch it on: sysctl -w %s=%s", name, value)
		}
		changes = append(changes, Change{Name: dotted(path), Was: was, Is: value})
		return nil
	}
	has := func(v6 bool) bool {
		return slices.ContainsFunc(addresses, func(a netip.Prefix) bool { return a.Addr().Is6() == v6 })
	}
	if has(false) {
		if err := set(forward4, "1"); err != nil {
			return changes, err
		}
	}
	if !has(true) {
		return changes, nil
	}
	_ = os.WriteFile(sysctls+conf6+device+acceptRA, []byte(ignoresRA), 0)
	switch on, err := readSetting(forward6); {
	case err != nil:
		return changes, err
	case on != "0":
		return changes, nil
	}
	links, err := listeners()
	if err != nil {
		return changes, err
	}
	for _, link := range links {
		// A link that went away meanwhile needs nothing.
		if err := set(conf6+link+acceptRA, alwaysRA); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return changes, err
		}
	}
	return changes, set(forward6, "1")
}

// widen lets sockets ask for a buffer of so many bytes, as far as a setting of
// the kernel's, at path, allows less. Where it cannot be changed, as in a
// container, it stays.
func widen(path string, bytes uint64) []Change {
	was, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	now, err := strconv.ParseUint(strings.TrimSpace(string(was)), 10, 64)
	if err != nil || now >= bytes {
		return nil
	}
	want := strconv.FormatUint(bytes, 10)
	if err := os.WriteFile(path, []byte(want), 0); err != nil {
		return nil
	}
	return []Change{{Name: dotted(strings.TrimPrefix(path, sysctls)), Was: strconv.FormatUint(now, 10), Is: want}}
}

// listeners returns the links whose router advertisements count only as long
// as they do not forward, "default" for those to come among them; "all" has no
// say.
func listeners() ([]string, error) {
	dirs, err := os.ReadDir(sysctls + conf6)
	if err != nil {
		return nil, fmt.Errorf("list the links with IPv6: %w", err)
	}
	var out []string
	for _, d := range dirs {
		name := d.Name()
		if name == "all" || name == "lo" {
			continue
		}
		accepts, err := readSetting(conf6 + name + acceptRA)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		forwards, err := readSetting(conf6 + name + "/forwarding")
		if err == nil && accepts == hostsRA && forwards == "0" {
			out = append(out, name)
		}
	}
	return out, nil
}

func readSetting(path string) (string, error) {
	b, err := os.ReadFile(filepath.Join(sysctls, path))
	if err != nil {
		return "", fmt.Errorf("read a setting of the kernel: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}

// dotted is a setting's name as sysctl(8) has it: a dot in the name of a link
// becomes a slash.
func dotted(path string) string {
	return strings.Map(func(r rune) rune {
		switch r {
		case '/':
			return '.'
		case '.':
			return '/'
		}
		return r
	}, path)
}
