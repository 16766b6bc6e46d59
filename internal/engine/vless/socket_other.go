//go:build !linux

package vless

import (
	"net"
	"syscall"

	"github.com/xtls/xray-core/common/buf"
)

func newReader(c *net.TCPConn, _ syscall.RawConn) buf.Reader { return &buf.SingleReader{Reader: c} }
