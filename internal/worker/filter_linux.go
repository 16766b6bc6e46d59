package worker

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// errNoFilter says that there can be no filter of system calls: not in this
// kernel, not on this processor, or not inside the sandbox around this one.
var errNoFilter = errors.New("no filter of system calls can be had")

// Offsets in what the kernel shows a filter (struct seccomp_data), where the
// low half of an argument comes first.
const (
	filterNumber   = 0
	filterArch     = 4
	filterArgument = 16
)

// x32 marks the calls of another numbering that amd64 kernels may have.
const x32 = 0x40000000

// forbidden is what no engine needs: other processes, and the kernel's less
// trodden paths. io_uring would be a way around the filter.
func forbidden() []uint32 {
	return []uint32{
		unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_KCMP,
		unix.SYS_PIDFD_GETFD, unix.SYS_PIDFD_SEND_SIGNAL, unix.SYS_TKILL, unix.SYS_RT_SIGQUEUEINFO, unix.SYS_RT_TGSIGQUEUEINFO,
		unix.SYS_IO_URING_SETUP, unix.SYS_USERFAULTFD, unix.SYS_PERF_EVENT_OPEN, unix.SYS_BPF,
		unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY, unix.SYS_KEYCTL,
		unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT, unix.SYS_UNSHARE, unix.SYS_SETNS,
		unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_KEXEC_LOAD,
	}
}

// filter forbids this thread, and what it executes, to reach other processes
// of its uid by means that Landlock does not cover, or covers in new kernels
// only: unix sockets by their names, signals, their memory. Sockets that are
// open stay so. It returns [errNoFilter] where there is no such thing.
//
// No new privileges has to be set before.
func filter() error {
	arch, ok := map[string]uint32{"amd64": unix.AUDIT_ARCH_X86_64, "arm64": unix.AUDIT_ARCH_AARCH64}[runtime.GOARCH]
	if !ok {
		return errNoFilter
	}
	program := filterProgram(arch, uint32(os.Getpid()))
	fprog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	// Not seccomp(2), which service managers' own filters often leave out.
	err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&fprog)), 0, 0)
	runtime.KeepAlive(program)
	switch {
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return errNoFilter
	case err != nil:
		return fmt.Errorf("filter the worker's system calls: %w", err)
	}
	return nil
}

// filterProgram is the filter of the process self.
func filterProgram(arch, self uint32) []unix.SockFilter {
	var p []unix.SockFilter
	load := func(offset uint32) {
		p = append(p, unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset})
	}
	refuse := func(errno uint32) {
		p = append(p, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | errno})
	}
	// onlyIf runs the next n instructions if the loaded value is k.
	onlyIf := func(k uint32, n uint8) {
		p = append(p, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: n, K: k})
	}
	unless := func(k uint32) {
		p = append(p, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: 1, K: k})
	}

	load(filterArch)
	unless(arch)
	refuse(uint32(unix.EPERM))
	load(filterNumber)
	p = append(p, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K, Jf: 1, K: x32})
	refuse(uint32(unix.EPERM))
	for _, call := range forbidden() {
		onlyIf(call, 1)
		refuse(uint32(unix.EPERM))
	}
	for _, call := range []uint32{unix.SYS_SOCKET, unix.SYS_SOCKETPAIR} {
		onlyIf(call, 4)
		load(filterArgument)
		onlyIf(unix.AF_UNIX, 1)
		refuse(uint32(unix.EACCES))
		load(filterNumber)
	}
	for _, call := range []uint32{unix.SYS_KILL, unix.SYS_TGKILL} {
		onlyIf(call, 4)
		load(filterArgument)
		unless(self)
		refuse(uint32(unix.EPERM))
		load(filterNumber)
	}
	return append(p, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW})
}
