package app

import "testing"

func TestNear(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"alice", "Alice", true},
		{"alice", "alcie", false},
		{"alice", "alic", true},
		{"alice", "alicee", true},
		{"alice", "alixe", true},
		{"alice", "bob", false},
		{"a", "", true},
		{"ab", "", false},
		{"lice", "alice", true},
	} {
		if got := near(c.a, c.b); got != c.want {
			t.Errorf("near(%q, %q) = %v", c.a, c.b, got)
		}
		if got := near(c.b, c.a); got != c.want {
			t.Errorf("near(%q, %q) = %v", c.b, c.a, got)
		}
	}
}
