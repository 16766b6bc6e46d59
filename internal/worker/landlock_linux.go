package worker

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	readFile = unix.LANDLOCK_ACCESS_FS_READ_FILE
	read     = readFile | unix.LANDLOCK_ACCESS_FS_READ_DIR
	execute  = readFile | unix.LANDLOCK_ACCESS_FS_EXECUTE
	write    = read | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE |
		unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE

	// What a rule about a file may grant; the rest is about directories.
	fileRights = execute | write&^(unix.LANDLOCK_ACCESS_FS_READ_DIR|
		unix.LANDLOCK_ACCESS_FS_MAKE_REG|unix.LANDLOCK_ACCESS_FS_REMOVE_FILE)
)

// An allowance is a file, or a directory with all below it, and what a worker
// may do there.
type allowance struct {
	path   string
	rights uint64
}

// resolution is what Go's resolver reads, and trust what crypto/x509 does, on
// all distributions that it knows.
var (
	resolution = []string{
		"/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/services", "/etc/protocols",
		"/run/systemd/resolve", "/proc/sys/net",
	}
	trust = []string{
		"/etc/ssl/certs", "/etc/ssl/cert.pem", "/etc/ssl/ca-bundle.pem",
		"/etc/pki/tls/certs", "/etc/pki/tls/cert.pem", "/etc/pki/tls/cacert.pem", "/etc/pki/ca-trust/extracted",
		"/etc/ca-certificates", "/usr/share/ca-certificates", "/usr/local/share/ca-certificates",
		"/usr/share/pki", "/var/lib/ca-certificates",
	}
)

// workerFiles returns what a worker of that uid may touch.
func workerFiles(uid int) []allowance {
	out := []allowance{
		{"/proc/self/exe", execute}, // once more, by confine
		{"/proc/self", read},
		{"/proc/self/comm", readFile | unix.LANDLOCK_ACCESS_FS_WRITE_FILE},
		{"/etc/localtime", readFile},
		{"/usr/share/zoneinfo", read},
	}
	for _, names := range [][]string{resolution, trust, {os.Getenv("SSL_CERT_FILE"), os.Getenv("SSL_CERT_DIR")}} {
		for _, name := range names {
			out = append(out, allowance{name, read})
		}
	}
	// A rule belongs to a file, not to its name, and resolv.conf is replaced
	// whenever the network changes: without its directory a worker would stop
	// resolving names then. The secrets in there are kept from everybody but
	// root by their permissions; root itself has to make do with the names.
	if uid != 0 {
		out = append(out, allowance{"/etc", read})
		if real, err := filepath.EvalSymlinks("/etc/resolv.conf"); err == nil {
			out = append(out, allowance{filepath.Dir(real), read})
		}
	}
	for _, name := range sharedLibraries {
		out = append(out, allowance{name, execute | read})
	}
	out = append(out, allowance{os.Getenv(StateEnv), write})
	// Only tests set it.
	return append(out, allowance{os.Getenv("GOCOVERDIR"), write})
}

// landlockABI returns the version of Landlock that the kernel offers, 0 for
// none.
func landlockABI() int {
	v, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return 0
	}
	return int(v)
}

// landlock forbids this thread, and what it executes, all of the file system
// but what allowed says, and where the kernel can do so signals and abstract
// sockets to processes that are not confined with it. Files that are open
// stay so; the network is not touched.
func landlock(abi int, allowed []allowance) error {
	attr := unix.LandlockRulesetAttr{Handled_access_fs: handledRights(abi)}
	if abi >= 6 {
		attr.Scoped = unix.LANDLOCK_SCOPE_SIGNAL | unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET
	}
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET,
		uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr), 0)
	if errno != 0 {
		return fmt.Errorf("make the worker's file rules: %w", errno)
	}
	ruleset := int(fd)
	defer unix.Close(ruleset)
	for _, a := range allowed {
		if err := allow(ruleset, a, attr.Handled_access_fs); err != nil {
			return fmt.Errorf("allow the worker %s: %w", a.path, err)
		}
	}
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, fd, 0, 0); errno != 0 {
		return fmt.Errorf("restrict the worker to its files: %w", errno)
	}
	return nil
}

// handledRights returns every right over files that the kernel knows: what is
// not allowed is then forbidden.
func handledRights(abi int) uint64 {
	const first = unix.LANDLOCK_ACCESS_FS_MAKE_SYM<<1 - 1
	rights := uint64(first)
	if abi >= 2 {
		rights |= unix.LANDLOCK_ACCESS_FS_REFER
	}
	if abi >= 3 {
		rights |= unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	if abi >= 5 {
		rights |= unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	}
	return rights
}

// allow adds a rule. A path that does not exist, or that this user may not
// reach, needs none.
func allow(ruleset int, a allowance, handled uint64) error {
	if a.path == "" {
		return nil
	}
	fd, err := unix.Open(a.path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.EACCES) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	rights := a.rights & handled
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		rights &= fileRights
	}
	rule := unix.LandlockPathBeneathAttr{Allowed_access: rights, Parent_fd: int32(fd)}
	_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(ruleset),
		unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&rule)), 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
