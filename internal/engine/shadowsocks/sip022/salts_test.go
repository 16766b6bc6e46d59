package sip022

import (
	"encoding/binary"
	"testing"
	"time"

	"vpn/internal/vpn"
)

func numbered(n int) (s salt) {
	binary.BigEndian.PutUint64(s[:], uint64(n))
	return s
}

func TestSalts(t *testing.T) {
	var p salts
	begin := time.Now()
	if !p.add("c", numbered(1), begin) || p.add("c", numbered(1), begin) {
		t.Error("a salt must be good once")
	}
	// However often it is swept and filled meanwhile.
	for s := time.Duration(0); s <= rememberFor; s += time.Second {
		p.sweep(begin.Add(s))
		p.add("c", numbered(1000+int(s/time.Second)), begin.Add(s))
		if p.add("c", numbered(1), begin.Add(s)) {
			t.Fatalf("forgotten after %v", s)
		}
	}
	p.sweep(begin.Add(2 * rememberFor))
	p.sweep(begin.Add(3 * rememberFor))
	if n := len(p.old) + len(p.new); n > 0 {
		t.Errorf("%d salts are kept for ever", n)
	}
}

func TestSaltsAreBounded(t *testing.T) {
	var p salts
	now := time.Now()
	for n := range maxSaltsPerUser {
		if !p.add("greedy", numbered(n), now) {
			t.Fatalf("salt %d was refused", n)
		}
	}
	if p.add("greedy", numbered(maxSaltsPerUser), now) {
		t.Error("a user takes more than there is for one")
	}
	if !p.add("other", numbered(maxSaltsPerUser+1), now) {
		t.Error("another user has to suffer for that")
	}
	for n := 2 * maxSaltsPerUser; len(p.new) < maxSalts; n++ {
		p.add(vpn.CredentialID(rune('a'+n/maxSaltsPerUser)), numbered(n), now)
	}
	if p.add("late", numbered(-1), now) {
		t.Error("all users take more than there is")
	}
	if !p.add("late", numbered(-1), now.Add(rememberFor)) {
		t.Error("nobody comes in any more")
	}
}
