package vpn

import (
	"math/big"
	"strconv"
	"strings"
)

// quantity is a plain decimal number and a unit. Its length is bounded, so
// that no input costs more than a few additions.
var quantity = pattern(`^([0-9]{1,20}(?:\.[0-9]{1,20})?) ?([A-Za-z/]*)$`)

// sizeUnits are the units of [ParseSize] in bytes, in lower case.
var sizeUnits = map[string]int64{
	"": 1, "b": 1,
	"k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12, "p": 1e15, "e": 1e18,
	"kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12, "pb": 1e15, "eb": 1e18,
	"kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40, "pib": 1 << 50, "eib": 1 << 60,
}

// bitUnits and byteUnits are the units of [ParseRate], in bits and bytes per
// second. People mean bits by a small b and bytes by a big one, so letter
// case counts where the b stands alone.
var (
	bitUnits = map[string]int64{
		"bit": 1, "kbit": 1e3, "mbit": 1e6, "gbit": 1e9, "tbit": 1e12,
		"bit/s": 1, "kbit/s": 1e3, "mbit/s": 1e6, "gbit/s": 1e9, "tbit/s": 1e12,
		"bps": 1, "kbps": 1e3, "mbps": 1e6, "gbps": 1e9, "tbps": 1e12,
	}
	byteUnits = map[string]int64{
		"B/s": 1, "kB/s": 1e3, "KB/s": 1e3, "MB/s": 1e6, "GB/s": 1e9, "TB/s": 1e12, "PB/s": 1e15, "EB/s": 1e18,
		"KiB/s": 1 << 10, "MiB/s": 1 << 20, "GiB/s": 1 << 30, "TiB/s": 1 << 40,
	}
)

// ParseSize reads an amount of data as people write it, in bytes: "50GB" is
// 50·10⁹, "10GiB" is 10·2³⁰, "123" is 123. Case does not count. "none" and
// "unlimited" are 0, which is how [Limits] writes no limit. "0" and an amount
// below one byte are refused rather than taken for no limit at all; so is one
// above [MaxTraffic]. Errors are of kind [Invalid].
func ParseSize(s string) (uint64, error) {
	if isNoLimit(s) {
		return 0, nil
	}
	number, unit, ok := splitQuantity(s)
	bytes, known := sizeUnits[strings.ToLower(unit)]
	if !ok || !known {
		return 0, Errorf(Invalid, "size %s is not valid", quoted(s)).
			WithHint(`write it like 50GB, 1.5TB or 10GiB, or "none" for no limit`)
	}
	return whole("size", s, number.Mul(number, big.NewRat(bytes, 1)))
}

// ParseRate reads a speed as people write it, in bytes per second: "20mbit",
// "800kbit" and "20Mbps" count bits, "2.5MB/s" and "1MiB/s" count bytes. A
// spelling that could be either, such as "5mb/s", is refused, and so are a bare
// number and 0. "none" and "unlimited" are 0. Errors are of kind [Invalid].
func ParseRate(s string) (uint64, error) {
	if isNoLimit(s) {
		return 0, nil
	}
	number, unit, ok := splitQuantity(s)
	bytes, known := rateUnit(unit)
	if !ok || !known {
		return 0, Errorf(Invalid, "rate %s is not valid", quoted(s)).
			WithHint(`write it like 20mbit or 2.5MB/s, or "none" for no limit`)
	}
	return whole("rate", s, number.Mul(number, bytes))
}

// rateUnit returns unit in bytes per second.
func rateUnit(unit string) (*big.Rat, bool) {
	if n, ok := byteUnits[unit]; ok {
		return big.NewRat(n, 1), true
	}
	lower := strings.ToLower(unit)
	if strings.HasSuffix(lower, "bps") && !strings.HasSuffix(unit, "bps") {
		return nil, false // MBps: bytes to some, bits to others
	}
	if n, ok := bitUnits[lower]; ok {
		return big.NewRat(n, 8), true
	}
	return nil, false
}

func isNoLimit(s string) bool {
	s = strings.ToLower(strings.TrimSpace(s))
	return s == "none" || s == "unlimited"
}

func splitQuantity(s string) (number *big.Rat, unit string, ok bool) {
	m := quantity().FindStringSubmatch(strings.TrimSpace(s))
	if m == nil {
		return nil, "", false
	}
	number, ok = new(big.Rat).SetString(m[1])
	return number, m[2], ok
}

// whole returns exact rounded down. Fractions are exact until here: a float
// would turn some quotas into others.
func whole(what, s string, exact *big.Rat) (uint64, error) {
	n := new(big.Int).Quo(exact.Num(), exact.Denom())
	switch {
	case exact.Sign() == 0:
		return 0, Errorf(Invalid, "%s %s would let nothing pass", what, quoted(s)).
			WithHint(`write "none" for no limit`)
	case n.Sign() == 0:
		return 0, Errorf(Invalid, "%s %s is less than one byte", what, quoted(s)).
			WithHint(`write "none" for no limit`)
	case !n.IsInt64():
		return 0, Errorf(Invalid, "%s %s is too big", what, quoted(s)).
			WithHint(`write "none" for no limit`)
	}
	return n.Uint64(), nil
}

// FormatSize returns n bytes with three digits and a decimal unit, such as
// "1.23 GB", "50 GB" or "999 B". [ParseSize] reads it back, rounded.
func FormatSize(n uint64) string {
	value, unit := float64(n), "B"
	for _, next := range []string{"kB", "MB", "GB", "TB", "PB", "EB"} {
		if value < 999.5 { // what is above would be shown as 1000
			break
		}
		value, unit = value/1000, next
	}
	decimals := 0
	switch {
	case unit == "B":
	case value < 9.995:
		decimals = 2
	case value < 99.95:
		decimals = 1
	}
	text := strconv.FormatFloat(value, 'f', decimals, 64)
	if decimals > 0 {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text + " " + unit
}

// FormatRate returns n bytes per second, such as "2.5 MB/s". [ParseRate]
// reads it back, rounded.
func FormatRate(n uint64) string { return FormatSize(n) + "/s" }
