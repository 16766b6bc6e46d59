package network

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// States in /proc/net of a socket that others can reach: a TCP listener, a UDP
// socket that is not connected.
var reachable = map[string]string{"tcp": "0A", "udp": "07"}

// PortHolder names the process that listens on a port of this machine, on
// any address, such as "nginx (pid 812)", or its user where this one may not
// see other users' processes. The network is "tcp" or "udp".
func PortHolder(network string, port uint16) (string, bool) {
	sockets := holders(network, port)
	if len(sockets) == 0 {
		return "", false
	}
	if pid, ok := owner(sockets); ok {
		name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		if err == nil {
			return fmt.Sprintf("%s (pid %d)", strings.TrimSpace(string(name)), pid), true
		}
	}
	return "a process of uid " + sockets[0].uid, true
}

// A socket is a line of /proc/net/tcp and its like.
type socket struct{ uid, inode string }

func holders(network string, port uint16) []socket {
	var out []socket
	for _, family := range []string{"", "6"} {
		f, err := os.Open("/proc/net/" + network + family)
		if err != nil {
			continue // this kernel lacks the family
		}
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			if s, ok := holds(lines.Text(), reachable[network], port); ok {
				out = append(out, s)
			}
		}
		f.Close()
	}
	return out
}

// holds reads a line, whose fields are sl, local_address, rem_address, st,
// tx_queue:rx_queue, tr:tm->when, retrnsmt, uid, timeout, inode.
func holds(line, state string, port uint16) (socket, bool) {
	fields := strings.Fields(line)
	if len(fields) < 10 || fields[3] != state {
		return socket{}, false
	}
	_, local, _ := strings.Cut(fields[1], ":")
	b, err := hex.DecodeString(local)
	if err != nil || len(b) != 2 || uint16(b[0])<<8|uint16(b[1]) != port {
		return socket{}, false
	}
	return socket{uid: fields[7], inode: fields[9]}, true
}

// owner returns the process that has one of the sockets open, as far as this
// user may look.
func owner(sockets []socket) (pid int, ok bool) {
	var targets []string
	for _, s := range sockets {
		targets = append(targets, "socket:["+s.inode+"]")
	}
	dirs, _ := filepath.Glob("/proc/[0-9]*/fd") // the pattern is valid
	for _, dir := range dirs {
		fds, err := os.ReadDir(dir)
		if err != nil {
			continue // another user's, or gone
		}
		for _, fd := range fds {
			target, err := os.Readlink(filepath.Join(dir, fd.Name()))
			if err == nil && slices.Contains(targets, target) {
				pid, err := strconv.Atoi(filepath.Base(filepath.Dir(dir)))
				return pid, err == nil
			}
		}
	}
	return 0, false
}
