package app

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"vpn/internal/clock"
	"vpn/internal/vpn"
)

// books store what the ledger holds, and know how that went last.
type books struct {
	ledger *ledger
	log    *slog.Logger

	mu  sync.Mutex
	err error // of the last try
}

func (b *books) commit(ctx context.Context) error { return b.note(b.ledger.commit(ctx, false)) }

func (b *books) commitAll(ctx context.Context) error { return b.note(b.ledger.commit(ctx, true)) }

// finish ends an epoch whose worker is gone, and reports whether the store
// knows. A store that cannot be written now, as on a full disk, must not keep
// the next worker from its start: what the last one has counted waits in the
// ledger.
func (b *books) finish(ctx context.Context, epoch string) (stored bool, err error) {
	err = b.note(b.ledger.finish(ctx, epoch))
	if vpn.KindOf(err) == vpn.Unavailable {
		return false, nil
	}
	return err == nil, err
}

// problem returns why usage cannot be stored now, or nil.
func (b *books) problem() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// note keeps how a try went, logs when that changes, and returns err.
func (b *books) note(err error) error {
	b.mu.Lock()
	before := b.err
	b.err = err
	b.mu.Unlock()
	switch {
	case err != nil && before == nil:
		b.log.Error("usage could not be stored; it is kept until it can", slog.Any("err", err))
	case err == nil && before != nil:
		b.log.Info("usage is stored again")
	}
	return err
}

// A clockWatch reads a clock, which has to be read to notice a jump, and logs
// when one begins.
type clockWatch struct {
	clock *clock.Clock
	log   *slog.Logger
	jump  time.Duration // as it was last seen
}

func (w *clockWatch) look() {
	jump := w.clock.Jump()
	if jump != 0 && w.jump == 0 {
		w.log.Warn("the clock has jumped; nobody expires by that before it has stood for a minute",
			slog.Duration("by", jump.Round(time.Second)))
	}
	w.jump = jump
}
