package logging

import (
	"context"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"
)

const (
	// perSecond is how many bytes may be logged in a second before lines below
	// info are left out. At that pace a log grows by less than 4 MB in a minute.
	perSecond = 64 << 10

	// most is how large a log file may be before lines below info are left out.
	// Whoever keeps logs small does so at 10 MB, each minute: nobody does.
	most = 16 << 20
)

// NewBounded is [NewAdjustable] for a process that strangers can make log at
// debug, as often as they like: lines below info are left out in a second in
// which more than enough was logged, and while w is a file that nobody keeps
// small. Their number is said afterwards. Lines at info and above are always
// written.
func NewBounded(w io.Writer, level slog.Level, format string) (*slog.Logger, *Control, error) {
	b := &budget{to: w, now: time.Now, most: most}
	b.file, _ = w.(statter)
	log, control, err := NewAdjustable(b, level, format)
	if err != nil {
		return nil, nil, err
	}
	b.log = log.Handler()
	return slog.New(bounded{log.Handler(), b}), control, nil
}

type statter interface{ Stat() (os.FileInfo, error) }

// A budget counts what is written in each second.
type budget struct {
	to   io.Writer
	file statter // to, if it is a file
	most int64   // bytes in it
	now  func() time.Time
	log  slog.Handler // says what is missing

	mu      sync.Mutex
	second  int64
	spent   int
	looked  int64 // the second in which the file's size was looked at
	full    bool
	omitted uint64 // lines that were left out, and of which nothing was said
}

// Write passes on one line or more.
func (b *budget) Write(p []byte) (int, error) {
	b.mu.Lock()
	b.turn()
	b.spent += len(p)
	b.mu.Unlock()
	return b.to.Write(p)
}

// allow reports whether a line that can be left out may be written, and how
// many before it were left out, if that was not said yet.
func (b *budget) allow() (omitted uint64, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.turn()
	if b.looked != b.second {
		b.looked, b.full = b.second, b.overfull()
	}
	if b.spent >= perSecond || b.full {
		b.omitted++
		return 0, false
	}
	omitted, b.omitted = b.omitted, 0
	return omitted, true
}

// turn begins the next second, if it is due. The caller holds b.mu.
func (b *budget) turn() {
	if now := b.now().Unix(); now != b.second {
		b.second, b.spent = now, 0
	}
}

// overfull reports whether the file has grown too large. What is no regular
// file keeps nothing itself.
func (b *budget) overfull() bool {
	if b.file == nil {
		return false
	}
	st, err := b.file.Stat()
	return err == nil && st.Mode().IsRegular() && st.Size() > b.most
}

// bounded is a handler that leaves lines out.
type bounded struct {
	slog.Handler
	budget *budget
}

// Handle implements [slog.Handler].
func (h bounded) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelInfo {
		return h.Handler.Handle(ctx, r)
	}
	omitted, ok := h.budget.allow()
	if !ok {
		return nil
	}
	if omitted > 0 {
		note := slog.NewRecord(r.Time, slog.LevelDebug, "lines were left out", 0)
		note.AddAttrs(slog.Uint64("lines", omitted))
		if err := h.budget.log.Handle(ctx, note); err != nil {
			return err
		}
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements [slog.Handler].
func (h bounded) WithAttrs(attrs []slog.Attr) slog.Handler {
	return bounded{h.Handler.WithAttrs(attrs), h.budget}
}

// WithGroup implements [slog.Handler].
func (h bounded) WithGroup(name string) slog.Handler {
	return bounded{h.Handler.WithGroup(name), h.budget}
}
