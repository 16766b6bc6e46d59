package splice

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Supported says that the kernel can do it.
const Supported = true

// The kernel grants a user without privileges 64 MiB of pipes in all, before
// new ones shrink to two pages. Half of that goes to a few large pipes, with
// which a transfer costs least, the rest to those that come beyond them, for
// when very many receivers are slow at once.
const (
	large  = 1 << 20
	larges = 32
	small  = 64 << 10 // what a new pipe has

	// spare is how many pipes are kept that nobody uses.
	spare = 16
)

// Pipes lends pipes to moves. Its zero value is ready. Its methods may be
// called concurrently.
type Pipes struct {
	mu     sync.Mutex
	idle   []*pipe // large ones
	larges int     // those in use included
	closed bool
}

// Close closes the pipes that are not in use now, and the others once they
// come back.
func (p *Pipes) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, idle := range p.idle {
		p.drop(idle)
	}
	p.idle = nil
}

// Move moves what arrives on src to dst, until src has sent its last. It
// returns nil then, and an error when either socket fails or is closed, or
// admit says no. Nobody else may read from src or write to dst meanwhile.
func (p *Pipes) Move(dst, src syscall.RawConn, admit Admit) error {
	m := move{pipes: p}
	fill, drain := m.fill, m.drain // made once: a portion costs no memory
	for {
		if err := m.outcome(src.Read(fill)); err != nil {
			return fmt.Errorf("%w: %w", ErrSource, err)
		}
		if m.left == 0 {
			return nil
		}
		var err error
		for m.left > 0 && err == nil {
			var n int
			if n, err = admit(m.left); err == nil {
				m.may = min(n, m.left)
				err = m.outcome(dst.Write(drain))
			}
		}
		m.giveBack()
		if err != nil {
			return err
		}
	}
}

// A move is one call of Move.
type move struct {
	pipes *Pipes

	pipe   *pipe // nil while src is silent
	left   int   // bytes in it
	may    int   // of these, those that are admitted and wait for dst
	failed error // of the last splice, or of the pipe for it
}

// fill takes what src has to say into a pipe, nothing if it has sent its
// last. It returns false if src is silent.
func (m *move) fill(fd uintptr) bool {
	if m.pipe, m.failed = m.pipes.take(); m.failed != nil {
		return true
	}
	m.left, m.failed = transfer(int(fd), m.pipe.w, m.pipe.size)
	if m.left <= 0 || m.failed != nil {
		m.left = 0
		m.giveBack()
	}
	return !errors.Is(m.failed, unix.EAGAIN)
}

// drain hands the bytes that may pass from the pipe to dst. It returns false
// if dst takes no more for now.
func (m *move) drain(fd uintptr) bool {
	for m.may > 0 {
		var n int
		if n, m.failed = transfer(m.pipe.r, int(fd), m.may); m.failed != nil {
			return !errors.Is(m.failed, unix.EAGAIN)
		}
		m.may -= n
		m.left -= n
	}
	return true
}

// outcome returns what went wrong in a call of fill or drain, closed being
// what the socket says of itself.
func (m *move) outcome(closed error) error {
	if closed != nil {
		return closed
	}
	return os.NewSyscallError("splice", m.failed)
}

// giveBack parts with the pipe. One that is not empty is of no use to others.
func (m *move) giveBack() {
	m.pipes.put(m.pipe, m.left == 0)
	m.pipe, m.left = nil, 0
}

// transfer is splice(2), of which one end is a pipe. It does not wait.
func transfer(from, to, n int) (int, error) {
	for {
		k, err := unix.Splice(from, nil, to, nil, n, unix.SPLICE_F_NONBLOCK|unix.SPLICE_F_MOVE)
		if !errors.Is(err, unix.EINTR) {
			return int(k), err
		}
	}
}

// A pipe is an empty pipe of the kernel's, except while a move has it.
type pipe struct {
	r, w int // descriptors of its ends
	size int // bytes it is meant to hold
}

// take lends a pipe.
func (p *Pipes) take() (*pipe, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if last := len(p.idle) - 1; last >= 0 {
		lent := p.idle[last]
		p.idle = p.idle[:last]
		return lent, nil
	}
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, os.NewSyscallError("pipe2", err)
	}
	made := &pipe{r: ends[0], w: ends[1], size: small}
	if p.larges < larges {
		p.larges++
		made.size = large
		// Where others of this user have used up the grant it stays small, and
		// works all the same.
		_, _ = unix.FcntlInt(uintptr(made.w), unix.F_SETPIPE_SZ, large)
	}
	return made, nil
}

// put takes a pipe back, to be used again if it is empty.
func (p *Pipes) put(back *pipe, empty bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || !empty || back.size != large || len(p.idle) >= spare {
		p.drop(back)
		return
	}
	p.idle = append(p.idle, back)
}

// drop closes a pipe. The caller holds p.mu.
func (p *Pipes) drop(old *pipe) {
	if old.size == large {
		p.larges--
	}
	_ = unix.Close(old.r)
	_ = unix.Close(old.w)
}
