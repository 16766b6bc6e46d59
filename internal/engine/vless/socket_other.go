//go:build !linux

package vless

import (
	"net"
	"syscall"

	"github.com/xtls/xray-core/common/buf"
)

// canSplice says that the kernel can move bytes from one socket to another.
const canSplice = false

func received(syscall.RawConn) (uint64, bool) { return 0, false }

func newReader(c *net.TCPConn, _ syscall.RawConn) buf.Reader { return &buf.SingleReader{Reader: c} }
