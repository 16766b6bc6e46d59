package docker

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"sync"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"

	entry "vpn/internal/container"
	engine "vpn/internal/docker"
	"vpn/internal/vpn"
)

// stream connects to the worker by a process that is executed in its
// container, and never to a worker that has come after it.
func (a *attached) stream(ctx context.Context) (net.Conn, error) {
	if a.ended() {
		return nil, errOther
	}
	s, err := engine.Call(ctx, a.w.options.Engine, engine.Quick, "reach the worker in its container", func(ctx context.Context, c *client.Client) (*stream, error) {
		made, err := c.ExecCreate(ctx, a.container, client.ExecCreateOptions{
			AttachStdin: true, AttachStdout: true, AttachStderr: true,
			Env: []string{"GOMAXPROCS=1"}, // it has little to do
			Cmd: []string{"/vpn", entry.Command, entry.Stream},
		})
		if err != nil {
			return nil, err
		}
		r, err := c.ExecAttach(ctx, made.ID, client.ExecAttachOptions{})
		if err != nil {
			return nil, err
		}
		return &stream{Conn: r.Conn, r: r.Reader}, nil
	})
	if err != nil {
		return nil, err
	}
	// The engine executes it in the life that the container has just then.
	// One that is still the same afterwards was it.
	c, err := a.w.inspect(ctx, a.container)
	if err == nil && !a.lives(c.State) {
		err = errOther
	}
	if err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

// A stream is a connection over the standard input and output of a process in
// a container. Once it is closed, the process ends.
type stream struct {
	net.Conn // to the engine, and with its deadlines

	mu   sync.Mutex // of who reads
	r    io.Reader
	head [8]byte // of a piece: what it is of, and its length
	have int     // bytes of head
	left int     // bytes of the piece
	says strings.Builder
}

// maxSays bounds what is kept of what the process says to people.
const maxSays = 1000

// Read reads what the process has written to its standard output. After the
// end of that, its standard error is the error.
func (s *stream) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(p) == 0 {
		return 0, nil
	}
	for {
		switch {
		case s.left > 0 && stdcopy.StdType(s.head[0]) == stdcopy.Stdout:
			n, err := s.r.Read(p[:min(len(p), s.left)])
			s.left -= n
			if n > 0 || err != nil {
				return n, s.why(err)
			}
		case s.left > 0:
			n, err := s.r.Read(p[:min(len(p), s.left)]) // p is not read before something is in it
			s.left -= n
			s.says.Write(p[:min(n, maxSays-s.says.Len())])
			if err != nil {
				return 0, s.why(err)
			}
		default:
			n, err := s.r.Read(s.head[s.have:])
			s.have += n
			if s.have == len(s.head) {
				s.have, s.left = 0, int(binary.BigEndian.Uint32(s.head[4:]))
				continue
			}
			if err != nil {
				return 0, s.why(err)
			}
		}
	}
}

// why is the error that a reader is told.
func (s *stream) why(err error) error {
	if says := strings.TrimSpace(s.says.String()); errors.Is(err, io.EOF) && says != "" {
		return vpn.Errorf(vpn.Unavailable, "the process in the worker's container says: %s", says)
	}
	return err
}
