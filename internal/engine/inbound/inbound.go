// Package inbound is what engines that take TCP connections share: the
// listener, the register of everything that lives, and the watch on what is
// silent.
//
// It knows no protocol, counts no bytes and decides nothing about users.
package inbound

import (
	"net"
	"time"
)

// HangUp ends a client's connection, and drops what the kernel has not sent
// after a moment: a slow client would get megabytes yet. It does not begin
// with that, because a client of xray's that waits in readv(2) misses a reset
// and waits on. It does not block.
func HangUp(c *net.TCPConn) {
	const moment = 500 * time.Millisecond
	_ = c.CloseWrite()
	time.AfterFunc(moment, func() {
		_ = c.SetLinger(0)
		_ = c.Close()
	})
}
