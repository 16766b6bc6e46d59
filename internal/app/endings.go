package app

import (
	"context"
	"log/slog"

	"vpn/internal/vpn"
)

// This file is about workers that end although nobody asked them to.

// causeOf asks a worker why it has ended.
func causeOf(ctx context.Context, w Worker) string {
	if e, ok := w.(Explained); ok {
		if why := e.Cause(ctx); why != "" {
			return why
		}
	}
	return "it ended by itself"
}

// mourn notes, once, why a worker has ended, and tells whoever follows.
func (f *face) mourn(log *slog.Logger, w Worker, why string) {
	f.mu.Lock()
	if f.mourned == w {
		f.mu.Unlock()
		return
	}
	f.mourned, f.before = w, &vpn.End{At: f.now(), Why: why}
	name := f.name
	f.mu.Unlock()
	log.Warn("worker ended by itself", slog.String("server", name), slog.String("why", why))
	f.tell(vpn.ServerEnded, name, why)
}

// lastly says why the worker before ended, to go on with; "" if somebody asked
// it to.
func (f *face) lastly() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.before == nil {
		return ""
	}
	return ", the last time: " + f.before.Why
}

// complaint says what is wrong with a worker that does not answer.
func (f *face) complaint() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.problem == "" {
		return "it did not answer"
	}
	return f.problem
}
