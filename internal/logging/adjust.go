package logging

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"sync/atomic"

	"vpn/internal/vpn"
)

// A Control changes how a logger writes while it is in use. It may be used
// concurrently.
type Control struct {
	level slog.LevelVar
	json  atomic.Bool
}

// NewAdjustable returns a logger as [New] does, and what adjusts it. The
// loggers that were derived from it follow.
func NewAdjustable(w io.Writer, level slog.Level, format string) (*slog.Logger, *Control, error) {
	c := &Control{}
	if err := c.Set(level, format); err != nil {
		return nil, nil, err
	}
	options := &slog.HandlerOptions{Level: &c.level, ReplaceAttr: inUTC}
	masked := Mask(w)
	return slog.New(either{
		control: c, text: slog.NewTextHandler(masked, options), json: slog.NewJSONHandler(masked, options),
	}), c, nil
}

// Set changes level and format, or neither: an unknown format is an error of
// kind [vpn.Invalid].
func (c *Control) Set(level slog.Level, format string) error {
	switch format {
	case "", "text", "json":
	default:
		return vpn.Unknown("log format", format, []string{"text", "json"})
	}
	c.level.Set(level)
	c.json.Store(format == "json")
	return nil
}

// Adjust is [Control.Set] for what a worker is told. An unknown level is an
// error of kind [vpn.Invalid] too.
func (c *Control) Adjust(l vpn.Logging) error {
	var level slog.Level
	if !slices.Contains(vpn.LogLevels(), l.Level) || level.UnmarshalText([]byte(l.Level)) != nil {
		return vpn.Unknown("log level", string(l.Level), levelNames())
	}
	return c.Set(level, l.Format)
}

func levelNames() (out []string) {
	for _, l := range vpn.LogLevels() {
		out = append(out, string(l))
	}
	return out
}

// either is two handlers, of which one writes.
type either struct {
	control    *Control
	text, json slog.Handler
}

func (h either) now() slog.Handler {
	if h.control.json.Load() {
		return h.json
	}
	return h.text
}

func (h either) Enabled(ctx context.Context, l slog.Level) bool { return h.now().Enabled(ctx, l) }

func (h either) Handle(ctx context.Context, r slog.Record) error { return h.now().Handle(ctx, r) }

func (h either) WithAttrs(attrs []slog.Attr) slog.Handler {
	return either{h.control, h.text.WithAttrs(attrs), h.json.WithAttrs(attrs)}
}

func (h either) WithGroup(name string) slog.Handler {
	return either{h.control, h.text.WithGroup(name), h.json.WithGroup(name)}
}
