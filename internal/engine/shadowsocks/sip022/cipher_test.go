package sip022

import (
	"bytes"
	"crypto/rand"
	"testing"

	"lukechampine.com/blake3"
)

func TestSubkey(t *testing.T) {
	for name, c := range map[string]purpose{
		"shadowsocks 2022 session subkey":  sessionPurpose,
		"shadowsocks 2022 identity subkey": identityPurpose,
	} {
		for _, sizes := range [][2]int{{16, 16}, {32, 32}, {16, 8}, {32, 8}} {
			key, salt := make([]byte, sizes[0]), make([]byte, sizes[1])
			_, _ = rand.Read(key)
			_, _ = rand.Read(salt)
			want := make([]byte, len(key))
			blake3.DeriveKey(want, name, append(append([]byte{}, key...), salt...))
			if got := c.subkey(key, salt); !bytes.Equal(got, want) {
				t.Errorf("%s, %v: %x, want %x", name, sizes, got, want)
			}
		}
	}
}
