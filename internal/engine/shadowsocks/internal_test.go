package shadowsocks

import (
	"bytes"
	"container/list"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Jigsaw-Code/outline-sdk/transport/shadowsocks"
	"github.com/Jigsaw-Code/outline-ss-server/service"

	"vpn/internal/engine/inbound"
	settings "vpn/internal/protocol/shadowsocks"
	"vpn/internal/vpn"
)

func newTestKeys(t testing.TB, n int) map[vpn.CredentialID]*key {
	t.Helper()
	out := map[vpn.CredentialID]*key{}
	for i := range n {
		id := vpn.CredentialID(fmt.Sprint("c", i))
		k, err := newKey(settings.ChaCha20, &vpn.Grant{Credential: id, Secret: vpn.NewSecret(fmt.Sprintf("password of user %d", i))})
		if err != nil {
			t.Fatal(err)
		}
		out[id] = k
	}
	return out
}

func ids(of []*list.Element) (out []string) {
	for _, e := range of {
		out = append(out, e.Value.(*service.CipherEntry).ID)
	}
	return out
}

// The order in which keys are tried is that of their last use, those of the
// address first.
func TestRing(t *testing.T) {
	keys := newTestKeys(t, 4)
	r := newRing()
	r.set(keys)
	here, there := netip.MustParseAddr("203.0.113.1"), netip.MustParseAddr("2001:db8::1")
	use := func(id string, from netip.Addr) {
		t.Helper()
		all := r.SnapshotForClientIP(from)
		i := slices.Index(ids(all), id)
		if i < 0 || len(all) != len(r.keys) {
			t.Fatalf("%s is not among %v", id, ids(all))
		}
		r.MarkUsedByClientIP(all[i], from)
	}
	use("c0", here)
	use("c1", here)
	use("c2", there)
	if got := ids(r.SnapshotForClientIP(here)); !slices.Equal(got[:3], []string{"c1", "c0", "c2"}) {
		t.Errorf("here %v", got)
	}
	if got := ids(r.SnapshotForClientIP(netip.AddrFrom16(here.As16()))); !slices.Equal(got[:2], []string{"c1", "c0"}) {
		t.Errorf("here, written as IPv6: %v", got)
	}
	if got := ids(r.SnapshotForClientIP(there)); !slices.Equal(got[:3], []string{"c2", "c1", "c0"}) {
		t.Errorf("there %v", got)
	}
	use("c0", there)
	if got := ids(knownKeys{r}.SnapshotForClientIP(here)); !slices.Equal(got, []string{"c1"}) {
		t.Errorf("known here %v", got)
	}
	use("c1", here)
	if got := ids(knownKeys{r}.SnapshotForClientIP(there)); !slices.Equal(got, []string{"c0", "c2"}) {
		t.Errorf("known there %v", got)
	}
	taken := r.SnapshotForClientIP(there)[0]
	delete(keys, "c0")
	r.set(keys)
	r.MarkUsedByClientIP(taken, here) // it was found before it was taken away
	if got := ids(r.SnapshotForClientIP(there)); !slices.Equal(got[:2], []string{"c2", "c1"}) || len(got) != 3 {
		t.Errorf("there, without one: %v", got)
	}
	r.set(nil)
	if len(r.from) > 0 || r.all.Len() > 0 || r.get("c1") != nil {
		t.Errorf("left: %v", r.from)
	}
}

func TestSources(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSources()
		a, neighbour, b := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2"), netip.MustParseAddr("2001:db8:1::1")
		for range trialsAtOnce {
			if wait, ok := s.trial(a); wait > 0 || !ok {
				t.Fatalf("wait %v, %v", wait, ok)
			}
		}
		for i := range maxWaiting {
			if wait, ok := s.trial(neighbour); wait != time.Duration(i+1)*trialPause || !ok {
				t.Fatalf("wait %v, %v", wait, ok)
			}
		}
		if _, ok := s.trial(a); ok {
			t.Error("one too many may wait")
		}
		if wait, ok := s.trial(b); wait > 0 || !ok {
			t.Errorf("another network has to wait: %v, %v", wait, ok)
		}
		<-time.After(time.Hour)
		for range maxWaiting {
			s.waited(a)
		}
		for range trialsAtOnce {
			if wait, ok := s.trial(a); wait > 0 || !ok {
				t.Fatalf("after an hour: wait %v, %v", wait, ok)
			}
			s.forgive(a)
		}
		if wait, ok := s.trial(a); wait > 0 || !ok {
			t.Errorf("those that found a key counted: %v, %v", wait, ok)
		}
		for range maxStrangersPerSource {
			if !s.enter(a) {
				t.Fatal("refused")
			}
		}
		if s.enter(neighbour) || !s.enter(b) {
			t.Error("connections of strangers are not counted by network")
		}
		s.leave(a)
		if !s.enter(neighbour) {
			t.Error("refused though one has left")
		}
		for i := range 3 * maxSources {
			s.trial(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}))
		}
		if n := len(s.by); n > maxSources {
			t.Errorf("%d sources are remembered", n)
		}
		if s.by[inbound.SourceNetwork(a)].strangers != maxStrangersPerSource {
			t.Error("connections that live were forgotten")
		}
	})
}

// What the library writes is read, in whatever pieces it comes, and what is
// written the library reads.
func TestChunks(t *testing.T) {
	for _, m := range []settings.Method{settings.ChaCha20, settings.AES256, settings.AES128} {
		k, err := newKey(m, &vpn.Grant{Credential: "c", Secret: vpn.NewSecret("a password that is long enough")})
		if err != nil {
			t.Fatal(err)
		}
		text := bytes.Repeat([]byte("0123456789"), 10_000)
		var sealed bytes.Buffer
		if _, err := shadowsocks.NewWriter(&sealed, k.entry.CryptoKey).Write(text); err != nil {
			t.Fatal(err)
		}
		salt := k.entry.CryptoKey.SaltSize()
		for _, piece := range []int{1, 17, 1000, chunkSize, sealed.Len()} {
			o, err := newOpener(k.entry.CryptoKey, sealed.Bytes()[:salt])
			if err != nil {
				t.Fatal(err)
			}
			var out, have []byte
			for b := sealed.Bytes()[salt:]; len(b) > 0; {
				n := min(piece, len(b))
				have, b = append(have, b[:n]...), b[n:]
				var used int
				if out, used, err = o.open(out, have); err != nil {
					t.Fatal(err)
				}
				have = have[used:]
			}
			if !bytes.Equal(out, text) {
				t.Errorf("%s, pieces of %d: %d bytes are read, of %d", m, piece, len(out), len(text))
			}
		}
		s, err := newSealer(&k.entry)
		if err != nil {
			t.Fatal(err)
		}
		var mine []byte
		for b := text; len(b) > 0; b = b[min(len(b), 33_333):] {
			mine = s.seal(mine, b[:min(len(b), 33_333)])
		}
		var read bytes.Buffer
		if _, err := shadowsocks.NewReader(bytes.NewReader(mine), k.entry.CryptoKey).WriteTo(&read); err != nil || !bytes.Equal(read.Bytes(), text) {
			t.Errorf("%s: the library reads %d bytes, of %d, %v", m, read.Len(), len(text), err)
		}
		if marked := k.entry.SaltGenerator.IsServerSalt(mine[:salt]); marked != (m != settings.AES128) {
			t.Errorf("%s: the salt is marked as a server's: %v", m, marked)
		}
	}
}

// Addresses come from clients who have a key, and may be anything.
func FuzzParseTarget(f *testing.F) {
	for _, s := range []string{"\x01\x7f\x00\x00\x01\x00\x50rest", "\x03\x09localhost\x00\x50", "\x04" + "0123456789abcdef" + "\x00\x50", "\x03\x00\x00\x50", "\x00", "\x02", ""} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		to, rest, more, err := parseTarget(b)
		if err == nil && !more && (to.host == "" || len(rest) >= len(b) || !bytes.HasSuffix(b, rest)) {
			t.Errorf("%q: %+v, rest %q", b, to, rest)
		}
		if to.addr.IsValid() && err == nil && !more && to.addr.Zone() == "" {
			if again, _, _, err := parseTarget(appendAddr(nil, netip.AddrPortFrom(to.addr, to.port))); err != nil || again.addr.Unmap() != to.addr.Unmap() {
				t.Errorf("%q: %v becomes %v, %v", b, to, again, err)
			}
		}
	})
}

// A stream may be anything to whoever has the key.
func FuzzOpener(f *testing.F) {
	k := newTestKeys(f, 1)["c0"]
	s, err := newSealer(&k.entry)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(s.seal(nil, []byte("hello")))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < 32 {
			return
		}
		o, err := newOpener(k.entry.CryptoKey, b[:32])
		if err != nil {
			t.Fatal(err)
		}
		if out, used, err := o.open(nil, b[32:]); used > len(b)-32 || len(out) > used || err == nil && used == 0 && len(b) > 32+chunkSize {
			t.Errorf("%d bytes from %d of %d, %v", len(out), used, len(b), err)
		}
	})
}
