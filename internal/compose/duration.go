package compose

import (
	"time"

	"go.yaml.in/yaml/v3"

	"vpn/internal/vpn"
)

// Duration is a time as Compose writes it: 1m30s.
type Duration time.Duration

// MarshalYAML implements [yaml.Marshaler].
func (d Duration) MarshalYAML() (any, error) { return time.Duration(d).String(), nil }

// UnmarshalYAML implements [yaml.Unmarshaler].
func (d *Duration) UnmarshalYAML(n *yaml.Node) error {
	v, err := time.ParseDuration(n.Value)
	if err != nil {
		return vpn.Errorf(vpn.Invalid, "line %d: %q is no duration", n.Line, n.Value)
	}
	*d = Duration(v)
	return nil
}
