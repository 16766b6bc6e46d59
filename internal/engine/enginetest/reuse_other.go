//go:build !linux

package enginetest

import "syscall"

func reusePort(_, _ string, _ syscall.RawConn) error { return nil }
