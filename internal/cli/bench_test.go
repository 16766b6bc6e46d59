package cli

import (
	"context"
	"fmt"
	"io"
	"testing"

	"vpn/internal/client"
)

// BenchmarkList is "vpn users list" with 10,000 users, all but the store.
func BenchmarkList(b *testing.B) {
	f := newFakePlane()
	for i := range 10_000 {
		u := f.users["alice"]
		u.Name = fmt.Sprintf("user%05d", i)
		f.users[u.Name] = u
	}
	r := &runner{plane: f}
	for b.Loop() {
		p := newProgram(IO{Out: io.Discard, Err: io.Discard, Getenv: func(string) string { return "" }, Now: r.now})
		p.dial = func(context.Context, intent) (*connection, error) {
			return &connection{Client: client.InProcess(f.handler()), close: func() error { return nil }}, nil
		}
		if status := p.run(b.Context(), []string{"users", "list"}); status != 0 {
			b.Fatal(status)
		}
	}
}
