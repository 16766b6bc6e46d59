// Package splice moves bytes from one TCP socket to another inside the kernel
// (splice(2)), so that bulk traffic costs no copy through this process, and
// asks for every portion whether it may pass: the kernel moves, the meter
// counts.
//
// Between two sockets the kernel needs a pipe. It grants each user of the
// machine so many pages of pipes, and connections are silent most of the
// time: here a pipe is held only while bytes are in it, unlike by
// [net.TCPConn.ReadFrom], which holds one as long as a connection lasts.
//
// The package knows no users and no limits, and has no way around the
// function that decides.
package splice

import "errors"

// ErrSource is what the error of a move holds if the source failed, and not
// the destination or whoever had to admit the bytes.
var ErrSource = errors.New("the source failed")

// Admit is asked, for n bytes that have come, how many may pass now, and may
// wait before it answers. It is asked again for the rest. An error ends the
// move; what has not been admitted is lost then.
type Admit func(n int) (int, error)
