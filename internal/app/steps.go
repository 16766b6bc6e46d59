package app

import (
	"context"
	"sync"
)

// steps lets callers wait for a keeper's step that begins after they asked:
// one that was under way may not have seen their change. Many who ask at once
// are served by one step.
type steps struct {
	wake chan struct{}

	mu       sync.Mutex
	asked    uint64 // how many times a step was asked for
	served   uint64 // how many of them the last finished step covers
	err      error  // of the last finished step
	any      bool   // a step has finished
	finished chan struct{}
}

func newSteps() steps {
	return steps{wake: make(chan struct{}, 1), finished: make(chan struct{})}
}

// poke makes the keeper step soon.
func (s *steps) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// ask waits for a step that begins after the call, and returns its error.
func (s *steps) ask(ctx context.Context) error {
	s.mu.Lock()
	s.asked++
	mine := s.asked
	s.mu.Unlock()
	s.poke()
	for {
		s.mu.Lock()
		served, err, finished := s.served, s.err, s.finished
		s.mu.Unlock()
		if served >= mine {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-finished:
		}
	}
}

// begin returns what a step that begins now covers, for end.
func (s *steps) begin() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// stepped reports whether a step has finished, well or not.
func (s *steps) stepped() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.any
}

func (s *steps) end(covers uint64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.served, s.err, s.any = covers, err, true
	close(s.finished)
	s.finished = make(chan struct{})
}
