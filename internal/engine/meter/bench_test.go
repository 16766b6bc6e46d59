package meter

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"

	"vpn/internal/vpn"
)

func users(n int) []vpn.Grant {
	g := make([]vpn.Grant, n)
	for i := range g {
		g[i] = grant(vpn.CredentialID(vpn.NewID()), vpn.UserID(vpn.NewID()), capped, rates(1e6, 1e6), devices(3))
	}
	return g
}

func TestHotPathAllocatesNothing(t *testing.T) {
	m := newMeter(t, grant("c", "u"), grant("d", "v", capped, rates(1<<40, 1<<40)))
	setCeiling(t, m, "v", 1<<60)
	for _, c := range []vpn.CredentialID{"c", "d"} {
		x := dial(t, m, c, "203.0.113.1")
		for name, f := range map[string]func(){
			"Wait": func() { _, _ = x.Wait(t.Context(), Up, 1400) },
			"Take": func() { x.Take(Down, 1400) },
		} {
			if n := testing.AllocsPerRun(1000, f); n != 0 {
				t.Errorf("%s of %s: %v allocations", name, c, n)
			}
		}
	}
}

func BenchmarkFlow(b *testing.B) {
	for _, limits := range []struct {
		name   string
		change func(*vpn.Grant)
	}{
		{"unlimited", func(*vpn.Grant) {}},
		{"capped", capped},
		{"rated", rates(1<<50, 1<<50)},
	} {
		for _, goroutines := range []int{1, 8} {
			for _, one := range []bool{true, false} {
				if goroutines == 1 && !one {
					continue
				}
				whose := map[bool]string{true: "one user", false: "a user each"}[one]
				name := fmt.Sprintf("%s/%d goroutines, %s", limits.name, goroutines, whose)
				b.Run("Wait/"+name, func(b *testing.B) {
					race(b, goroutines, one, limits.change, func(x *conn) { _, _ = x.Wait(b.Context(), Down, 16<<10) })
				})
				b.Run("Take/"+name, func(b *testing.B) {
					race(b, goroutines, one, limits.change, func(x *conn) { x.Take(Down, 1400) })
				})
			}
		}
	}
}

func race(b *testing.B, goroutines int, oneUser bool, change func(*vpn.Grant), f func(*conn)) {
	m := newMeter(b)
	var grants []vpn.Grant
	var ceilings []vpn.Ceiling
	for i := range goroutines {
		u := vpn.UserID("u")
		if !oneUser {
			u = vpn.UserID(fmt.Sprint("u", i))
		}
		grants = append(grants, grant(vpn.CredentialID(fmt.Sprint(i)), u, change))
		ceilings = append(ceilings, vpn.Ceiling{User: u, Bytes: vpn.MaxTraffic})
	}
	if _, err := m.SetCeilings(epoch, ceilings); err != nil {
		b.Fatal(err)
	}
	m.Set(grants)
	b.ReportAllocs()
	var wg sync.WaitGroup
	b.ResetTimer()
	for i := range goroutines {
		x := dial(b, m, grants[i].Credential, "203.0.113.1")
		wg.Go(func() {
			for range b.N / goroutines {
				f(x)
			}
		})
	}
	wg.Wait()
}

func BenchmarkSet(b *testing.B) {
	g := users(10_000)
	b.Run("10,000 new", func(b *testing.B) {
		for b.Loop() {
			m := New(Options{})
			m.Set(g)
			m.Close()
		}
	})
	b.Run("10,000 unchanged", func(b *testing.B) {
		m := newMeter(b, g...)
		for b.Loop() {
			m.Set(g)
		}
	})
}

func BenchmarkUsage(b *testing.B) {
	g := users(10_000)
	m := newMeter(b, g...)
	var c []vpn.Ceiling
	for _, x := range g {
		c = append(c, vpn.Ceiling{User: x.User, Bytes: 1 << 40})
	}
	b.Run("10,000 ceilings", func(b *testing.B) {
		for b.Loop() {
			if _, err := m.SetCeilings("", c); err == nil {
				b.Fatal("wrong epoch")
			}
			if _, err := m.SetCeilings(epoch, c); err != nil {
				b.Fatal(err)
			}
		}
	})
	for _, x := range g[:1000] {
		dial(b, m, x.Credential, "203.0.113.1")
	}
	b.Run("10,000 users, 1,000 live, nothing moved", func(b *testing.B) {
		for b.Loop() {
			m.Usage(1)
		}
	})
	b.Run("1,000 sessions", func(b *testing.B) {
		for b.Loop() {
			m.Sessions()
		}
	})
}

func BenchmarkOpenClose(b *testing.B) {
	m := newMeter(b, users(10_000)...)
	m.Set([]vpn.Grant{grant("c", "u", devices(3))})
	source := netip.MustParseAddrPort("203.0.113.1:1")
	for b.Loop() {
		f, err := m.Open("c", source, "tcp", func(error) {})
		if err != nil {
			b.Fatal(err)
		}
		f.Close()
	}
}
