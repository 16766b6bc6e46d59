//go:build !unix

package daemon

import (
	"errors"
	"syscall"
)

// No control plane runs on this system; what follows makes the package build.

// UpgradeSignal never comes.
const UpgradeSignal = syscall.Signal(0xff)

func keepOpen(uintptr, bool) error { return errors.ErrUnsupported }

func become(string, []string, []string) error { return errors.ErrUnsupported }

func bury() {}

func mayWrite(string) error { return errors.ErrUnsupported }

func lockFork() func() { return func() {} }

func ownSession() *syscall.SysProcAttr { return nil }
