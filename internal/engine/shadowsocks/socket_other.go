//go:build !unix

package shadowsocks

import "net"

// A waiter reads from a TCP socket.
type waiter struct{ conn *net.TCPConn }

func newWaiter(c *net.TCPConn) (waiter, error) { return waiter{c}, nil }

func (w waiter) read(take func() []byte, give func()) (int, error) {
	n, err := w.conn.Read(take())
	if n > 0 {
		return n, nil
	}
	give()
	return 0, err
}

func waitReadable(*net.UDPConn) error { return nil }
