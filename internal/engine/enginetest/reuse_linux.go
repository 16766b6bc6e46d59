package enginetest

import "syscall"

// reusePort lets others listen on the same port, as xray-core does.
func reusePort(_, _ string, c syscall.RawConn) error {
	const soReusePort = 15 // package syscall has no name for it
	var err error
	if e := c.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, soReusePort, 1) }); e != nil {
		return e
	}
	return err
}
