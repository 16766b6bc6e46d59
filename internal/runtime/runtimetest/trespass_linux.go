package runtimetest

import (
	"net"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// reach tries what one process may do to another.
func reach(verb string, pid int) error {
	switch verb {
	case "ptrace":
		if err := syscall.PtraceAttach(pid); err != nil {
			return err
		}
		return syscall.PtraceDetach(pid)
	case "memory":
		var b [1]byte
		at := []unix.RemoteIovec{{Base: 0x400000, Len: 1}}
		_, err := unix.ProcessVMReadv(pid, []unix.Iovec{{Base: &b[0], Len: 1}}, at, 0)
		return err
	default:
		return syscall.Kill(pid, 0)
	}
}

// trespass tries what a worker is to be kept from.
func trespass(verb, operand string) error {
	switch verb {
	case "write":
		f, err := os.OpenFile(operand, os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			return err
		}
		return f.Close()
	case "unix":
		c, err := net.Dial("unix", operand)
		if err != nil {
			return err
		}
		return c.Close()
	case "become":
		return unix.Setresuid(0, 0, 0)
	case "capabilities":
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		all := [2]unix.CapUserData{{Effective: 1<<32 - 1, Permitted: 1<<32 - 1}, {}}
		return unix.Capset(&header, &all[0])
	case "execute":
		return exec.Command(operand).Run()
	default:
		return unix.Mount("tmpfs", operand, "tmpfs", 0, "")
	}
}
