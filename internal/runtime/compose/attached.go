package compose

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"

	"vpn/internal/vpn"
	"vpn/internal/worker"
)

const (
	greetTimeout = 2 * time.Second
	greetAgain   = time.Second // for a worker that does not answer
	maxHealth    = 1 << 20
)

var (
	errNobody = errors.New("nobody listens")
	errSilent = errors.New("it does not answer")
	errEnded  = errors.New("the worker has ended")
)

// greet connects to the worker at path and asks it who it is. On the
// connection, which the caller closes, it may be asked more.
func greet(ctx context.Context, path string) (net.Conn, vpn.Health, error) {
	var h vpn.Health
	st, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, h, errNobody
	case err == nil && st.Mode().Type() != fs.ModeSocket:
		// Who lives there can write there: it shall not lead elsewhere.
		return nil, h, vpn.Errorf(vpn.Unavailable, "%s is no socket", path)
	case err != nil:
		return nil, h, fmt.Errorf("look for a worker: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, greetTimeout)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", path)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOENT):
		return nil, h, errNobody
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, context.DeadlineExceeded):
		return nil, h, errSilent // nobody takes its connections any more
	case err != nil:
		return nil, h, fmt.Errorf("connect to a worker: %w", err)
	}
	if h, err = health(ctx, conn); err != nil {
		_ = conn.Close()
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
			return nil, h, errNobody // it ended just now
		}
		return nil, h, fmt.Errorf("%w: %w", errSilent, err)
	}
	return conn, h, nil
}

// health asks on conn, and leaves it as it was.
func health(ctx context.Context, conn net.Conn) (h vpn.Health, err error) {
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return h, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := io.WriteString(conn, "GET /v1/health HTTP/1.1\r\nHost: worker\r\n\r\n"); err != nil {
		return h, err
	}
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		return h, err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxHealth))
	if err != nil {
		return h, err
	}
	if err := json.Unmarshal(body, &h); err != nil || resp.StatusCode != http.StatusOK || h.Epoch == "" || in.Buffered() > 0 {
		return h, fmt.Errorf("it answers %s", resp.Status)
	}
	if !stop() {
		return h, ctx.Err()
	}
	return h, conn.SetDeadline(time.Time{})
}

// attached is one worker, as long as it lives.
type attached struct {
	*worker.Client
	life *life
}

func attach(w *Workers, id vpn.ServerID, conn net.Conn, epoch string) *attached {
	ctx, cancel := context.WithCancel(context.Background())
	l := &life{id: id, path: w.socket(id), epoch: epoch, done: make(chan struct{}), let: cancel}
	a := &attached{life: l}
	a.Client = worker.NewClient(l.dial, l)
	go func() {
		l.watch(ctx, conn)
		a.Close()
	}()
	return a
}

func (a *attached) ended() bool {
	select {
	case <-a.Done():
		return true
	default:
		return false
	}
}

// release lets go of the worker, which lives on.
func (a *attached) release() { a.life.let() }

// A life is that of one worker: from one start of its container to the next.
type life struct {
	id   vpn.ServerID
	path string
	done chan struct{}
	let  context.CancelFunc // ends watch

	mu    sync.Mutex
	epoch string // "" as long as it has not answered
	over  bool   // done is closed
}

// dial connects to the worker, and to none that came after it.
func (l *life) dial(ctx context.Context) (net.Conn, error) {
	conn, h, err := greet(ctx, l.path)
	if err != nil {
		return nil, err
	}
	if !l.is(h) {
		_ = conn.Close()
		return nil, errEnded
	}
	return conn, nil
}

// is reports whether the worker that answers so is this one. If it is not,
// this one has ended.
func (l *life) is(h vpn.Health) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.epoch == "" && !idle(h) {
		l.epoch = h.Epoch
	}
	if l.epoch == h.Epoch {
		return !l.over
	}
	l.end()
	return false
}

// end closes done. The caller holds mu.
func (l *life) end() {
	if !l.over {
		l.over = true
		close(l.done)
	}
}

// watch holds an open connection to the worker, which ends when the worker
// does, and closes done then. It returns then, or when ctx ends.
func (l *life) watch(ctx context.Context, conn net.Conn) {
	for ctx.Err() == nil {
		if conn != nil {
			hold(ctx, conn)
			conn = nil
			continue
		}
		next, h, err := greet(ctx, l.path)
		switch {
		case ctx.Err() != nil:
		case errors.Is(err, errNobody):
			l.mu.Lock()
			l.end()
			l.mu.Unlock()
			return
		case err == nil && !l.is(h):
			_ = next.Close()
			return
		case err == nil:
			conn = next
			continue
		default:
			select {
			case <-ctx.Done():
			case <-l.done:
				return
			case <-time.After(greetAgain):
			}
		}
		if next != nil {
			_ = next.Close()
		}
	}
}

// hold keeps a connection open until the other end closes it, or ctx ends.
func hold(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	_, _ = conn.Read(make([]byte, 1)) // a worker says nothing unasked
}

// Done implements [worker.Process].
func (l *life) Done() <-chan struct{} { return l.done }

// Resume implements [worker.Process]. Whether its container is paused is not
// to be seen from here.
func (l *life) Resume() error { return nil }

// Terminate implements [worker.Process].
func (l *life) Terminate() error { return l.Kill() }

// Kill implements [worker.Process].
func (l *life) Kill() error {
	select {
	case <-l.done:
		return nil
	default:
		return vpn.Errorf(vpn.Unavailable, "the server's container does not follow, and this control plane cannot end it").
			WithHint("vpn compose restart %s", l.id)
	}
}
