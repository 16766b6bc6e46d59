package logging

import (
	"context"
	"errors"
	"io"
	"log/slog"
)

// Also returns a logger that does what log does and writes the same to w, as
// JSON and masked, if it weighs as much as level. What is written to w may
// weigh less than what log writes. Each line is one Write to w.
func Also(log *slog.Logger, w io.Writer, level slog.Leveler) *slog.Logger {
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: inUTC}
	return slog.New(both{log.Handler(), slog.NewJSONHandler(Mask(w), options)})
}

// both are two handlers, of which each writes what weighs enough for it.
type both [2]slog.Handler

// Enabled implements [slog.Handler].
func (h both) Enabled(ctx context.Context, l slog.Level) bool {
	return h[0].Enabled(ctx, l) || h[1].Enabled(ctx, l)
}

// Handle implements [slog.Handler].
func (h both) Handle(ctx context.Context, r slog.Record) error {
	var errs []error
	for _, x := range h {
		if x.Enabled(ctx, r.Level) {
			errs = append(errs, x.Handle(ctx, r.Clone()))
		}
	}
	return errors.Join(errs...)
}

// WithAttrs implements [slog.Handler].
func (h both) WithAttrs(attrs []slog.Attr) slog.Handler {
	return both{h[0].WithAttrs(attrs), h[1].WithAttrs(attrs)}
}

// WithGroup implements [slog.Handler].
func (h both) WithGroup(name string) slog.Handler {
	return both{h[0].WithGroup(name), h[1].WithGroup(name)}
}
