package logs

import (
	"context"
	"errors"
	"hash/maphash"
	"io"
	"time"

	tea "charm.land/bubbletea/v2"

	"vpn/internal/tui/widget"
	"vpn/internal/vpn"
)

const (
	tail      = 5000 // lines that it begins with
	batch     = 2000 // lines that are taken at once
	pace      = 150 * time.Millisecond
	firstWait = time.Second
	lastWait  = 30 * time.Second
)

// source is where the lines come from: one stream after the other.
type source struct {
	api   API
	after After

	turn    int // of the stream that is meant: answers of others are late
	stream  *reader
	err     error         // why there is none
	wait    time.Duration // until it is tried again
	retryAt time.Time
	opened  bool // once at least

	// After a break the new stream begins a little before the last line, so
	// that nothing is missed. Lines up to until may be here already: had and
	// before are those of the last while.
	last, until, turned time.Time
	had, before         map[uint64]bool
	seed                maphash.Seed
}

type (
	openedMsg struct {
		turn   int
		stream *reader
		err    error
	}
	linesMsg struct {
		turn  int
		lines []vpn.LogLine
		err   error
	}
	retryMsg struct{ turn int }
)

// overlap is how much before the last line a new stream begins: lines of
// different servers do not come in the order of their times.
const overlap = 2 * time.Second

// open returns the command that asks for a stream.
func (s *source) open() tea.Cmd {
	s.turn++
	turn, api := s.turn, s.api
	q := vpn.LogQuery{Follow: true, Tail: tail}
	if !s.last.IsZero() {
		q.Since, q.Tail = s.last.Add(-overlap), maxLines
		s.until = s.last
	}
	return func() tea.Msg {
		ctx, cancel := context.WithCancel(context.Background())
		stream, err := api.Logs(ctx, q)
		if err != nil {
			cancel()
			return openedMsg{turn: turn, err: err}
		}
		return openedMsg{turn: turn, stream: newReader(ctx, stream, cancel)}
	}
}

// next returns the command that waits for lines.
func (s *source) next(wait time.Duration) tea.Cmd {
	turn, r := s.turn, s.stream
	return s.after(wait, func(time.Time) tea.Msg {
		lines, err := r.read()
		return linesMsg{turn, lines, err}
	})
}

// took takes what open has brought.
func (s *source) took(m openedMsg, now time.Time) tea.Cmd {
	if m.turn != s.turn {
		if m.stream != nil {
			m.stream.cancel()
		}
		return nil
	}
	if m.err != nil {
		return s.broken(m.err, now)
	}
	s.stream, s.err, s.wait, s.opened = m.stream, nil, 0, true
	return s.next(0)
}

// broken remembers why there is no stream, and tries again after a while that
// becomes longer.
func (s *source) broken(err error, now time.Time) tea.Cmd {
	if errors.Is(err, io.EOF) {
		err = vpn.Errorf(vpn.Unavailable, "the daemon has ended the stream of its logs")
	}
	if s.stream != nil {
		s.stream.cancel()
	}
	s.stream, s.err = nil, err
	s.wait = min(max(2*s.wait, firstWait), lastWait)
	s.retryAt = now.Add(s.wait)
	turn := s.turn
	return s.after(s.wait, func(time.Time) tea.Msg { return retryMsg{turn} })
}

// fresh returns those of lines that are not here yet, and remembers them.
func (s *source) fresh(lines []vpn.LogLine) []vpn.LogLine {
	out := lines[:0]
	for _, l := range lines {
		h := s.hash(l)
		if !l.At.After(s.until) && (s.had[h] || s.before[h]) {
			continue
		}
		if l.At.Sub(s.turned) > overlap {
			s.had, s.before, s.turned = map[uint64]bool{}, s.had, l.At
		}
		if l.At.After(s.last) {
			s.last = l.At
		}
		s.had[h] = true
		out = append(out, l)
	}
	return out
}

func (s *source) hash(l vpn.LogLine) uint64 {
	var h maphash.Hash
	h.SetSeed(s.seed)
	_, _ = h.WriteString(l.At.Format(time.RFC3339Nano))
	_, _ = h.WriteString(l.Source)
	_ = h.WriteByte(separator)
	_, _ = h.WriteString(l.Message)
	for _, k := range fieldsOf(l) {
		_ = h.WriteByte(separator)
		_, _ = h.WriteString(k)
		_ = h.WriteByte(separator)
		_, _ = h.WriteString(l.Fields[k])
	}
	return h.Sum64()
}

// fault returns in a line why no lines come, or "".
func (s *source) fault(now time.Time) string {
	if s.err == nil {
		return ""
	}
	in := max(int(s.retryAt.Sub(now).Round(time.Second).Seconds()), 1)
	return widget.Clean(s.err.Error()) + ", again in " + (time.Duration(in) * time.Second).String()
}

// reader reads a stream ahead, so that what is there can be taken at once.
type reader struct {
	lines  chan vpn.LogLine
	cancel context.CancelFunc
	err    error // once lines is closed
}

func newReader(ctx context.Context, s Stream, cancel context.CancelFunc) *reader {
	r := &reader{lines: make(chan vpn.LogLine, batch), cancel: cancel}
	go func() {
		defer close(r.lines)
		defer s.Close()
		for {
			l, err := s.Next()
			if err != nil {
				r.err = err
				return
			}
			select {
			case r.lines <- l:
			case <-ctx.Done():
				r.err = ctx.Err()
				return
			}
		}
	}()
	return r
}

// read waits for a line and takes what is there.
func (r *reader) read() ([]vpn.LogLine, error) {
	l, ok := <-r.lines
	if !ok {
		return nil, r.err
	}
	lines := []vpn.LogLine{l}
	for len(lines) < batch {
		select {
		case l, ok := <-r.lines:
			if !ok {
				return lines, r.err
			}
			lines = append(lines, l)
		default:
			return lines, nil
		}
	}
	return lines, nil
}
