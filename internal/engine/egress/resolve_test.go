package egress

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vpn/internal/vpn"
)

func addrs(s ...string) []netip.Addr {
	var out []netip.Addr
	for _, a := range s {
		out = append(out, netip.MustParseAddr(a))
	}
	return out
}

// found is a resolver that knows one answer, and counts the questions.
func found(asked *int, answer ...string) func(context.Context, string, string) ([]netip.Addr, error) {
	return func(context.Context, string, string) ([]netip.Addr, error) {
		*asked++
		return addrs(answer...), nil
	}
}

var sameAddr = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })

func TestResolveReturnsThePermitted(t *testing.T) {
	g := New(nil)
	asked := 0
	g.lookup = found(&asked, "127.0.0.1", "2001:db8::1", "::ffff:203.0.113.1", "10.0.0.1", "203.0.113.2")
	got, err := g.Resolve(t.Context(), "example.com")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(addrs("2001:db8::1", "203.0.113.1", "203.0.113.2"), got, sameAddr); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
}

func TestResolveAsksNobodyAboutAddresses(t *testing.T) {
	g := New(prefixes("127.0.0.0/8"))
	asked := 0
	g.lookup = found(&asked, "127.0.0.1")
	for _, host := range []string{"203.0.113.1", "[2001:db8::1]", "127.0.0.1"} {
		if _, err := g.Resolve(t.Context(), host); err != nil {
			t.Errorf("Resolve(%q): %v", host, err)
		}
	}
	for _, host := range []string{"127.1", "0x7f.1", "2130706433", "0", "127.0.0.1.", "127.1.", "0X7F000001", "a.0x7f", "", "::1%"} {
		if _, err := g.Resolve(t.Context(), host); vpn.KindOf(err) != vpn.Denied {
			t.Errorf("Resolve(%q): %v", host, err)
		}
	}
	if asked != 0 {
		t.Errorf("the resolver was asked %d times", asked)
	}
	for _, host := range []string{"localhost", "1.example", "0x7f.example", "example.c0m", "example.com.", "xn--p1ai", "a_b", "0xg"} {
		if _, err := g.Resolve(t.Context(), host); err != nil {
			t.Errorf("Resolve(%q): %v", host, err)
		}
	}
}

func TestResolveErrors(t *testing.T) {
	g := New(nil)
	cause := &net.DNSError{Err: "no such host", Server: "192.0.2.53:53"}
	for _, tt := range []struct {
		host   string
		lookup func(context.Context, string, string) ([]netip.Addr, error)
		kind   vpn.Kind
		says   string
	}{
		{"127.0.0.1", nil, vpn.Denied, "destination 127.0.0.1 is not allowed"},
		{"::ffff:10.0.0.1", nil, vpn.Denied, "destination ::ffff:10.0.0.1 is not allowed"},
		{"intern.example", found(new(int), "10.0.0.1"), vpn.Denied, `destination "intern.example" (10.0.0.1) is not allowed`},
		{"none.example", found(new(int)), vpn.Unavailable, `destination "none.example" has no address`},
		{
			"evil\n.example", func(context.Context, string, string) ([]netip.Addr, error) { return nil, cause }, vpn.Unavailable,
			`destination "evil\n.example" cannot be resolved`,
		},
	} {
		g.lookup = tt.lookup
		_, err := g.Resolve(t.Context(), tt.host)
		if vpn.KindOf(err) != tt.kind || err.Error() != tt.says {
			t.Errorf("Resolve(%q): %s, %v", tt.host, vpn.KindOf(err), err)
		}
		if tt.kind == vpn.Denied {
			if e, _ := errors.AsType[*vpn.Error](err); !strings.Contains(e.Hint, "allow") {
				t.Errorf("Resolve(%q) gives no hint", tt.host)
			}
		}
	}
	if _, err := g.Resolve(t.Context(), "evil.example"); !errors.Is(err, cause) {
		t.Errorf("the cause is lost: %v", err)
	}
}

// The real resolver knows localhost without a network.
func TestLocalhostIsLoopback(t *testing.T) {
	if got, err := New(nil).Resolve(t.Context(), "localhost"); vpn.KindOf(err) != vpn.Denied {
		t.Errorf("Resolve(localhost) = %v, %v", got, err)
	}
	if got, err := New(prefixes("127.0.0.0/8", "::1/128")).Resolve(t.Context(), "localhost"); err != nil || len(got) == 0 {
		t.Errorf("Resolve(localhost) where it is allowed = %v, %v", got, err)
	}
}

func FuzzResolve(f *testing.F) {
	for _, s := range spellings {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, host string) {
		g := New(nil)
		g.lookup = everyNameIsLoopback
		got, err := g.Resolve(t.Context(), host)
		if err == nil && len(got) == 0 {
			t.Errorf("Resolve(%q): neither addresses nor an error", host)
		}
		for _, a := range got {
			if forbidden(a.Unmap()) {
				t.Errorf("Resolve(%q) = %s", host, a)
			}
		}
	})
}
