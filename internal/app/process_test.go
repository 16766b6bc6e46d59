package app_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"vpn/internal/app"
	"vpn/internal/protocol/all"
	"vpn/internal/vpn"
)

// stuckStore is a store whose reads hang while it is told to.
type stuckStore struct {
	app.Store
	hang chan struct{} // closed: it goes on
}

func (s stuckStore) View(ctx context.Context, fn func(app.Tx) error) error {
	<-s.hang
	return s.Store.View(ctx, fn)
}

func (s stuckStore) Update(ctx context.Context, fn func(app.Tx) error) error {
	<-s.hang
	return s.Store.Update(ctx, fn)
}

// Turns grows while the reconciler works, and stands still while the store
// hangs: that is what a watchdog goes by.
func TestTurns(t *testing.T) {
	b := newBench(t)
	hang := make(chan struct{})
	stuck := app.New(app.Config{
		Store: stuckStore{b.store, hang}, Workers: newFakeWorkers(), Protocols: all.Protocols(), Network: quietNetwork{},
		Log: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- stuck.Reconciler.Run(ctx) }()
	b.supervise()
	b.until("a turn of the one whose store works", func() bool { return b.app.Reconciler.Turns() > 2 })
	if n := stuck.Reconciler.Turns(); n != 0 {
		t.Errorf("with a store that hangs: %d turns", n)
	}
	close(hang)
	b.until("a turn, once the store goes on", func() bool { return stuck.Reconciler.Turns() > 1 })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestSummaryAndPublicHost(t *testing.T) {
	b := newBench(t)
	if text, err := b.app.System.Summary(b.ctx); err != nil || text != "0 of 0 servers running, 0 users online" {
		t.Errorf("got %q, %v", text, err)
	}
	b.supervise()
	b.server("main")
	b.until("a running server", func() bool {
		text, err := b.app.System.Summary(b.ctx)
		return err == nil && text == "1 of 1 server running, 0 users online"
	})
	b.app.SetPublicHost("vpn.example.org")
	c, err := b.app.Users.Create(b.ctx, vpn.NewUser{Name: "alice"})
	if err != nil || !strings.Contains(c.Access[0].Link, "@vpn.example.org:") {
		t.Errorf("after the public host has changed: %+v, %v", c.Access, err)
	}
}
