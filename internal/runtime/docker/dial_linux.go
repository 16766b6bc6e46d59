package docker

import (
	"context"
	"errors"
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// dialSocket connects to the socket at path if the process pid listens there.
// Whoever serves can put anything at that path, so no link is followed, and
// the kernel is asked who it is.
func dialSocket(ctx context.Context, path string, pid int) (net.Conn, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open the control socket: %w", err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFSOCK {
		return nil, errOther
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", fmt.Sprintf("/proc/self/fd/%d", fd)) // however long the path is
	if err != nil {
		return nil, err
	}
	peer, err := peerOf(c.(*net.UnixConn))
	// From within another process namespace it is 0.
	if err == nil && peer != 0 && peer != pid {
		err = errOther
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func peerOf(c *net.UnixConn) (int, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	var asked error
	err = raw.Control(func(fd uintptr) {
		cred, asked = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err := errors.Join(err, asked); err != nil {
		return 0, err
	}
	return int(cred.Pid), nil
}
