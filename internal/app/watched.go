package app

import (
	"context"
	"errors"
	"sync"

	"vpn/internal/vpn"
)

// watched is a store of which a person is told when it fails: a change that
// was refused for that reason was seen by one person, who may not be the one
// who has to do something about it.
type watched struct {
	Store
	feeds *feeds // who is told of what was changed

	mu  sync.Mutex
	err error // of the last change, if the store could not make it
}

// Update implements [Store].
func (s *watched) Update(ctx context.Context, fn func(Tx) error) error {
	var (
		refused error // by fn, which is no failure of the store
		added   []vpn.Event
	)
	err := s.Store.Update(ctx, func(tx Tx) error {
		added = added[:0]
		tx.Events = noting{tx.Events, &added}
		refused = fn(tx)
		return refused
	})
	if err == nil && len(added) > 0 {
		s.feeds.tell(added...)
	}
	if ctx.Err() != nil || refused != nil && errors.Is(err, refused) && vpn.KindOf(refused) != vpn.Unavailable {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
	return err
}

func (s *watched) problem() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}
