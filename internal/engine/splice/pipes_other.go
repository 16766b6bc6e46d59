//go:build !linux

package splice

import (
	"errors"
	"syscall"
)

// Supported says that the kernel can do it.
const Supported = false

// Pipes does nothing here.
type Pipes struct{}

// Close does nothing.
func (*Pipes) Close() {}

// Move fails.
func (*Pipes) Move(_, _ syscall.RawConn, _ Admit) error { return errors.ErrUnsupported }
