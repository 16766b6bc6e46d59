package vpn

import (
	"fmt"
	"io"
	"log/slog"
)

// hidden is what a Secret says of itself.
const hidden = "[secret]"

// Secret holds a key or a password. Printing it, logging it and encoding it
// all give "[secret]"; only [Secret.Reveal] gives the value.
//
// The value is behind a pointer because fmt calls no method on an unexported
// field of somebody else's struct, and would print a string.
type Secret struct{ value *string }

// NewSecret returns a secret that holds v.
func NewSecret(v string) Secret { return Secret{&v} }

func (s Secret) String() string { return hidden }

// Format keeps every verb of fmt, %x and %q too, from the value.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// LogValue implements [slog.LogValuer].
func (s Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText implements [encoding.TextMarshaler].
func (s Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// IsZero reports whether s holds nothing.
func (s Secret) IsZero() bool { return s.value == nil || *s.value == "" }

// Equal reports whether s and t hold the same value.
func (s Secret) Equal(t Secret) bool { return s.Reveal() == t.Reveal() }

// Reveal returns the value. Only what renders configurations and links, what
// stores secrets and what hands them to a worker may call it; package arch
// says who that is.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}
