package remote

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// How long somebody may be silent before he is asked whether he is there, and
// how long he may take: who has stopped a screen for a moment (^Z) need not log
// in again, and one whose machine has gone to sleep leaves nothing here for the
// two hours that TCP would wait.
const (
	silentWait = time.Minute
	replyWait  = 4 * time.Minute
)

// Serve answers with h the requests that come in at in, until there are no
// more, nobody is there any more, or ctx ends. It is what [Open] talks to.
func Serve(ctx context.Context, in io.Reader, out io.Writer, h http.Handler) error {
	return serve(ctx, in, out, h, silentWait, replyWait)
}

func serve(ctx context.Context, in io.Reader, out io.Writer, h http.Handler, silent, reply time.Duration) error {
	if _, err := fmt.Fprintln(out, greeting); err != nil {
		return fmt.Errorf("greet: %w", err)
	}
	srv := &http.Server{
		Handler:     h,
		BaseContext: func(net.Listener) context.Context { return ctx },
		Protocols:   new(http.Protocols),
		HTTP2:       &http.HTTP2Config{SendPingTimeout: silent, PingTimeout: reply},
		ErrorLog:    log.New(io.Discard, "", 0), // standard error is for what a person is told
	}
	srv.Protocols.SetUnencryptedHTTP2(true)
	one := &only{conn: &served{stream: stream{in, out}, closed: make(chan struct{})}}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	if err := srv.Serve(one); ctx.Err() == nil && err != io.EOF { //nolint:errorlint // it is what Accept returns, as it is
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

// only is a listener with one connection. It ends when that does.
type only struct {
	conn *served
	once sync.Once
}

func (l *only) Accept() (net.Conn, error) {
	var first net.Conn
	l.once.Do(func() { first = l.conn })
	if first != nil {
		return first, nil
	}
	<-l.conn.closed
	return nil, io.EOF
}

func (l *only) Close() error   { return l.conn.Close() }
func (l *only) Addr() net.Addr { return addr{} }

// served is the standard streams as a connection.
type served struct {
	stream
	once   sync.Once
	closed chan struct{}
}

func (c *served) Close() error {
	c.once.Do(func() { close(c.closed) })
	return nil
}

// stream makes a connection of its two ways, but for the end. It keeps no
// deadlines: one on a pipe of ssh's would say nothing of the other machine.
type stream struct {
	io.Reader
	io.Writer
}

func (stream) LocalAddr() net.Addr              { return addr{} }
func (stream) RemoteAddr() net.Addr             { return addr{} }
func (stream) SetDeadline(time.Time) error      { return nil }
func (stream) SetReadDeadline(time.Time) error  { return nil }
func (stream) SetWriteDeadline(time.Time) error { return nil }

type addr struct{}

func (addr) Network() string { return "ssh" }
func (addr) String() string  { return "ssh" }
