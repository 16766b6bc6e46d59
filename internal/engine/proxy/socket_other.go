//go:build !unix

package proxy

import (
	"net"
	"syscall"
)

func newSocketReader(c *net.TCPConn, _ syscall.RawConn) portionReader { return &connReader{conn: c} }

func waitReadable(syscall.RawConn) error { return nil }
