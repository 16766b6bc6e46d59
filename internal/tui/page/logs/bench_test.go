package logs

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"vpn/internal/tui"
	"vpn/internal/tui/key"
	"vpn/internal/tui/page"
	"vpn/internal/tui/theme"
	"vpn/internal/vpn"
)

func full() *view {
	r := newRing()
	v := &view{ring: r, follow: true}
	for i := range maxLines {
		l := vpn.LogLine{
			At: time.Unix(int64(i), 0), Level: vpn.LogInfo, Source: "main", Message: "user is connected",
			Fields: map[string]string{"user": fmt.Sprintf("bob-%04d", i%3000), "source": fmt.Sprintf("203.0.113.%d:%d", i%250, 1024+i), "protocol": "vless", "destination": "video.example.com:443"},
		}
		if i%100 == 0 {
			l.Message, l.Level = "user has reached the quota", vpn.LogWarn
		}
		r.add(l)
	}
	v.judge()
	return v
}

// The budgets: a search of a full ring 20 ms, a frame 2 ms.
func BenchmarkSearch(b *testing.B) {
	v := full()
	for _, text := range []string{"quota", "e", "bob-0042 is nowhere", "Quota"} {
		b.Run(text, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				v.look(text)
			}
		})
	}
}

func BenchmarkFrame(b *testing.B) {
	keys, err := key.New(nil)
	if err != nil {
		b.Fatal(err)
	}
	for _, wrap := range []bool{false, true} {
		b.Run(fmt.Sprintf("wrap=%t", wrap), func(b *testing.B) {
			var p *Page
			tui.New(tui.Options{Keys: keys, Look: page.Look{Theme: theme.Dark}, Dark: true, Glyphs: func(string) theme.Glyphs { return theme.Unicode() }, Pages: func(f page.Frame) []page.Page {
				p = New(f, nil, nil)
				return []page.Page{p}
			}})
			p.view = full()
			p.ring = p.view.ring
			p.look.wrap = wrap
			p.view.look("quota")
			b.ReportAllocs()
			for b.Loop() {
				p.view.match(-1)
				p.Render(120, 38)
			}
		})
	}
}

func BenchmarkAppend(b *testing.B) {
	v := full()
	v.look("quota")
	l := vpn.LogLine{At: time.Unix(1, 0), Level: vpn.LogInfo, Source: "main", Message: "user is connected", Fields: map[string]string{"user": "bob", "source": "203.0.113.4:5555"}}
	b.ReportAllocs()
	for b.Loop() {
		for range 100 {
			v.ring.add(l)
		}
		v.judge()
	}
}

// A full ring is no burden: it holds little more than its text.
func TestFullRingIsSmall(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	v := full()
	runtime.GC()
	runtime.ReadMemStats(&after)
	if got := int64(after.HeapAlloc) - int64(before.HeapAlloc); got > 6<<20 {
		t.Errorf("%d bytes for %d bytes of text", got, v.ring.bytes)
	}
	runtime.KeepAlive(v)
}

// A capital letter in the query is meant; without one, none matters.
func TestCapitals(t *testing.T) {
	r := newRing()
	for _, m := range []string{"Bob is here", "bob is here", "BOB", "alice"} {
		r.add(vpn.LogLine{Message: m})
	}
	for text, want := range map[string]int{"bob": 3, "Bob": 1, "BOB": 1, "bOB": 0, "": 0} {
		if got := r.find(newQuery(text), 0); len(got) != want {
			t.Errorf("%q is in lines %v", text, got)
		}
	}
}

// Bytes bound the ring, too, and what is left can be found.
func TestRingIsBoundedByBytes(t *testing.T) {
	r := newRing()
	for i := range 3000 {
		r.add(vpn.LogLine{Message: fmt.Sprintf("%d ", i) + long(9000)})
	}
	if r.bytes > maxBytes || r.len() > 1000 || r.len() < 700 {
		t.Errorf("%d lines of %d bytes", r.len(), r.bytes)
	}
	if found := r.find(newQuery("2999 x"), r.first()); len(found) != 1 || found[0] != 2999 || r.line(2999).text[:6] != "2999 x" {
		t.Errorf("found %v", found)
	}
}

func long(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = 'x'
	}
	return string(b)
}
