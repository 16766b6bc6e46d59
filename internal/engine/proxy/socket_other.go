//go:build !unix

package proxy

import "syscall"

func waitReadable(syscall.RawConn) error { return nil }
