package cli

import (
	"cmp"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"vpn/internal/vpn"
)

// value is a flag whose text becomes a T. It implements pflag.Value.
type value[T any] struct {
	to    *T
	parse func(string) (T, error)
	kind  string // what help calls it: SIZE
	text  string
}

func (v *value[T]) Set(s string) error {
	t, err := v.parse(s)
	if err != nil {
		return err
	}
	*v.to, v.text = t, s
	return nil
}

func (v *value[T]) String() string { return v.text }
func (v *value[T]) Type() string   { return v.kind }

// list is a flag that may be given several times.
type list[T any] struct {
	to    *[]T
	parse func(string) (T, error)
	kind  string
	texts []string
}

func (l *list[T]) Set(s string) error {
	t, err := l.parse(s)
	if err != nil {
		return err
	}
	*l.to, l.texts = append(*l.to, t), append(l.texts, s)
	return nil
}

func (l *list[T]) String() string { return strings.Join(l.texts, ",") }
func (l *list[T]) Type() string   { return l.kind }

// choice is a flag that is one of a few words.
type choice struct {
	to   *string
	what string // one of them is
	of   []string
	kind string // what help calls it
}

func (c *choice) Set(s string) error {
	if !slices.Contains(c.of, s) {
		return vpn.Unknown(c.what, s, c.of)
	}
	*c.to = s
	return nil
}

func (c *choice) String() string { return *c.to }
func (c *choice) Type() string   { return cmp.Or(c.kind, "FORMAT") }

func sizeValue(to *uint64) *value[uint64] {
	return &value[uint64]{to: to, parse: vpn.ParseSize, kind: "SIZE"}
}

func rateValue(to *uint64) *value[uint64] {
	return &value[uint64]{to: to, parse: vpn.ParseRate, kind: "RATE"}
}

func countValue(to *int) *value[int] {
	return &value[int]{to: to, parse: parseCount, kind: "N"}
}

func whenValue(to *time.Time, now func() time.Time) *value[time.Time] {
	parse := func(s string) (time.Time, error) { return vpn.ParseWhen(s, now()) }
	return &value[time.Time]{to: to, parse: parse, kind: "WHEN"}
}

func portValue(to *uint16) *value[uint16] {
	return &value[uint16]{to: to, parse: parsePort, kind: "PORT"}
}

func addrValue(to *netip.Addr) *value[netip.Addr] {
	return &value[netip.Addr]{to: to, parse: parseAddr, kind: "ADDR"}
}

func prefixList(to *[]netip.Prefix) *list[netip.Prefix] {
	return &list[netip.Prefix]{to: to, parse: parsePrefix, kind: "CIDR"}
}

func parseSearch(s string) (string, error) { return s, vpn.ValidSearch(s) }

func parseTag(s string) (string, error) { return s, vpn.ValidTag(s) }

// parseCount reads how many of something there may be; none is 0, no limit.
func parseCount(s string) (int, error) {
	if s == "none" || s == "unlimited" {
		return 0, nil
	}
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil || n == 0 {
		return 0, vpn.Errorf(vpn.Invalid, "%q is not a number from 1 on", s).WithHint(`write it like 3, at most %d, or "none" for no limit`, math.MaxInt32)
	}
	return int(n), nil
}

// validTail returns an error unless n is how many lines of a log can be asked
// for.
func validTail(n, most int) error {
	if n < 0 || n > most {
		return vpn.Errorf(vpn.Invalid, "--tail cannot be %d", n).WithHint("it is a number of lines, at most %d, as in --tail 100", most)
	}
	return nil
}

func parsePort(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 {
		return 0, vpn.Errorf(vpn.Invalid, "%q is not a port", s).WithHint("a port is a number from 1 to 65535")
	}
	return uint16(n), nil
}

func parseAddr(s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return netip.Addr{}, vpn.Errorf(vpn.Invalid, "%q is not an IP address", s).WithHint("write it like 203.0.113.5 or ::")
	}
	return a, nil
}

// parsePrefix reads a network; an address alone is a network of one.
func parsePrefix(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	n, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, vpn.Errorf(vpn.Invalid, "%q is not a network", s).WithHint("write it like 10.0.0.0/8 or 10.1.2.3")
	}
	return n.Masked(), nil
}
