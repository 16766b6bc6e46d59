package compose

import (
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"vpn/internal/vpn"
)

// Bytes is an amount of memory; Compose also writes 256m.
type Bytes uint64

// UnmarshalYAML implements [yaml.Unmarshaler].
func (b *Bytes) UnmarshalYAML(n *yaml.Node) error {
	digits := strings.TrimRight(strings.ToLower(n.Value), "bkmg")
	unit := strings.TrimSuffix(strings.ToLower(n.Value)[len(digits):], "b")
	v, err := strconv.ParseUint(digits, 10, 40)
	shift, ok := map[string]int{"": 0, "k": 10, "m": 20, "g": 30}[unit]
	if err != nil || !ok || v > 1<<40>>shift {
		return vpn.Errorf(vpn.Invalid, "line %d: %q is no amount of memory", n.Line, n.Value)
	}
	*b = Bytes(v << shift)
	return nil
}
