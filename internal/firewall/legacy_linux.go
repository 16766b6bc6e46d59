package firewall

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"os"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// This file reads the rules of the legacy backend of iptables, which are no
// part of nf_tables: the kernel hands out each table as one block of C
// structures (linux/netfilter_ipv4/ip_tables.h, netfilter_ipv6/ip6_tables.h,
// netfilter/x_tables.h), as it was given them. Matches and targets are the same
// as those that iptables puts into nf_tables.

// legacy are the tables of that backend, as if they were of nf_tables.
type legacy struct {
	chains map[chainKey]*chain
	bases  []*chain
}

// A layout is where the parts of an entry, a rule, lie for a version of IP.
// The structures are those of machines of 64 bits.
type layout struct {
	family               byte
	level                int    // of socket options
	names                string // the file that names the tables that exist
	addressLen           int
	protocol, flags, not int // offsets, as are those below
	ofProtocol           byte
	isGoto               byte
	targetAt, nextAt     int
	matches              int
}

func layouts() []layout {
	return []layout{
		{
			family: unix.NFPROTO_IPV4, level: unix.SOL_IP, names: "ip_tables_names", addressLen: 4,
			protocol: 80, flags: 82, not: 83, isGoto: 2, targetAt: 88, nextAt: 90, matches: 112,
		},
		{
			family: unix.NFPROTO_IPV6, level: unix.SOL_IPV6, names: "ip6_tables_names", addressLen: 16,
			protocol: 128, flags: 131, not: 132, ofProtocol: 1, isGoto: 4, targetAt: 140, nextAt: 142, matches: 168,
		},
	}
}

// readLegacy returns the rules of the legacy backend. What cannot be read is
// left out, and tables that nobody has made are not made by looking.
func readLegacy() *legacy {
	priorities := [...]int32{-300, -150, 0, 50} // of iptablesTables, as in netfilter_ipv4.h
	l := &legacy{chains: map[chainKey]*chain{}}
	if bits.UintSize != 64 {
		return l
	}
	for _, lay := range layouts() {
		names, err := os.ReadFile("/proc/thread-self/net/" + lay.names)
		if err != nil {
			continue
		}
		for _, table := range strings.Fields(string(names)) {
			at := slices.Index(iptablesTables, table)
			if at < 0 {
				continue
			}
			info, block, err := lay.fetch(table)
			if err != nil {
				continue
			}
			l.add(lay, table, priorities[at], info, block)
		}
	}
	return l
}

// legacyInfo is struct ipt_getinfo.
type legacyInfo struct {
	Name       [32]byte
	ValidHooks uint32
	Entry      [5]uint32 // where each hook's chain begins
	Policy     [5]uint32 // and where its last rule is, the policy
	Number     uint32
	Size       uint32 // of all entries
}

// maxLegacy is the size of a table that is not read: some 100,000 rules.
const maxLegacy = 32 << 20

func (lay layout) fetch(table string) (info legacyInfo, block []byte, err error) {
	const getInfo, getEntries, header = 64, 65, 40
	fd, err := unix.Socket(familyOf(lay.level), unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return info, nil, os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	copy(info.Name[:], table)
	if err := getOption(fd, lay.level, getInfo, unsafe.Slice((*byte)(unsafe.Pointer(&info)), unsafe.Sizeof(info))); err != nil { //nolint:gosec // a plain structure
		return info, nil, err
	}
	if info.Size > maxLegacy {
		return info, nil, unix.EMSGSIZE
	}
	block = make([]byte, header+int(info.Size))
	copy(block, table)
	binary.NativeEndian.PutUint32(block[32:], info.Size)
	if err := getOption(fd, lay.level, getEntries, block); err != nil { // EAGAIN, if the rules were changed meanwhile
		return info, nil, err
	}
	return info, block[header:], nil
}

func familyOf(level int) int {
	if level == unix.SOL_IPV6 {
		return unix.AF_INET6
	}
	return unix.AF_INET
}

// getOption is getsockopt(2) with an argument that is read, too.
func getOption(fd, level, option int, value []byte) error {
	size := uint32(len(value)) //nolint:gosec // maxLegacy and less
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), uintptr(option),
		uintptr(unsafe.Pointer(&value[0])), uintptr(unsafe.Pointer(&size)), 0) //nolint:gosec // the kernel writes len(value) bytes at most
	if errno != 0 {
		return os.NewSyscallError("getsockopt", errno)
	}
	return nil
}

// A name is that of a match or a target, with what it is told.
const nameAt, nameLen, revisionAt, dataAt = 2, 29, 31, 32

// add takes in the entries of one table. Of a block that is not what it should
// be, no chain is kept that could drop something.
func (l *legacy) add(lay layout, table string, priority int32, info legacyInfo, block []byte) {
	hooks := map[int]uint32{} // where they begin
	for hook := range uint32(len(info.Entry)) {
		if info.ValidHooks&(1<<hook) != 0 {
			hooks[int(info.Entry[hook])] = hook
		}
	}
	builtin := [...]string{"PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"}
	type jump struct {
		verdict attributes
		to      int // an offset
	}
	var (
		current *chain
		starts  = map[int]string{}
		jumps   []jump
		bases   []*chain
	)
	begin := func(name string, at int) *chain {
		starts[at] = name
		c := &chain{chainKey: chainKey{lay.family, table, name}, legacy: true}
		l.chains[c.chainKey] = c
		return c
	}
	for at := 0; at < len(block); {
		e, size, ok := lay.entry(block[at:])
		if !ok {
			return
		}
		if hook, ok := hooks[at]; ok {
			current = begin(builtin[hook], at)
			current.hook, current.priority = hook, priority
			if hook == unix.NF_INET_PRE_ROUTING || hook == unix.NF_INET_LOCAL_IN || hook == unix.NF_INET_FORWARD {
				bases = append(bases, current)
			}
		}
		switch {
		case e.target == "ERROR": // a chain of somebody's begins behind it
			current = begin(text(e.data), at+size)
		case current == nil:
			return
		case e.target == "" && len(e.data) >= 4:
			n := int32(binary.NativeEndian.Uint32(e.data)) //nolint:gosec // it is signed
			code := -n - 1                                 // drop is -1, accept -2
			const returnCode = -5
			v := attributes{}
			switch {
			case int(n) == at+size:
				code = verdictGoesOn // a rule without a target
			case n >= 0:
				if code = verdictJump; e.isGoto {
					code = verdictGoto
				}
				jumps = append(jumps, jump{v, int(n)})
			case n == returnCode:
				code = verdictReturn
			}
			v[unix.NFTA_VERDICT_CODE] = binary.BigEndian.AppendUint32(nil, uint32(code)) //nolint:gosec // as nf_tables has it
			if slices.Contains(bases, current) && at == int(info.Policy[current.hook]) {
				current.policy = uint32(max(code, 0)) //nolint:gosec // drop or accept
				break
			}
			current.rules = append(current.rules, append(e.conditions, expression{verdictName, v}))
		default:
			current.rules = append(current.rules, append(e.conditions, expression{"target", attributes{
				unix.NFTA_TARGET_NAME: []byte(e.target), unix.NFTA_TARGET_INFO: e.data,
			}}))
		}
		at += size
	}
	for _, j := range jumps { // to a chain that is not there: anything may come of it
		j.verdict[unix.NFTA_VERDICT_CHAIN] = []byte(starts[j.to])
	}
	l.bases = append(l.bases, bases...)
}

// Names of expressions that nf_tables has not: a verdict, and what iptables
// asks of each packet before all else.
const (
	verdictName = "legacy verdict"
	headerName  = "legacy header"
)

type legacyEntry struct {
	conditions []expression
	target     string
	data       []byte // of the target
	isGoto     bool
}

// entry reads the first entry of a block.
func (lay layout) entry(b []byte) (e legacyEntry, size int, ok bool) {
	if len(b) < lay.matches {
		return e, 0, false
	}
	target, next := int(binary.NativeEndian.Uint16(b[lay.targetAt:])), int(binary.NativeEndian.Uint16(b[lay.nextAt:]))
	if target < lay.matches || next < target+dataAt || next > len(b) {
		return e, 0, false
	}
	e.isGoto = b[lay.flags]&lay.isGoto != 0
	e.conditions = []expression{{headerName, attributes{0: b[:lay.matches]}}}
	for at := lay.matches; at < target; {
		m := b[at:target]
		if len(m) < dataAt {
			return e, 0, false
		}
		size := int(binary.NativeEndian.Uint16(m))
		if size < dataAt || size > len(m) {
			return e, 0, false
		}
		e.conditions = append(e.conditions, expression{"match", attributes{
			unix.NFTA_MATCH_NAME: []byte(text(m[nameAt : nameAt+nameLen])), unix.NFTA_MATCH_REV: m[revisionAt : revisionAt+1], unix.NFTA_MATCH_INFO: m[dataAt:size],
		}})
		at += size
	}
	e.target, e.data = text(b[target+nameAt:target+nameAt+nameLen]), b[target+dataAt:next]
	return e, next, true
}

// text returns a string of C.
func text(b []byte) string {
	s, _, _ := bytes.Cut(b, []byte{0})
	return string(s)
}

// header asks of a packet what struct ipt_ip, or ip6t_ip6, does.
func (w *walker) header(b []byte) answer {
	lay := layouts()[0]
	if w.packet.v6 {
		lay = layouts()[1]
	}
	if len(b) < lay.matches {
		return maybe
	}
	const notIn, notOut, notSource, notDestination, notFragment, notProtocol = 0x01, 0x02, 0x08, 0x10, 0x20, 0x40
	const fragment, class = 0x01, 0x02 // flags, of IPv4 and of IPv6
	flags, not, n := b[lay.flags], b[lay.not], lay.addressLen
	source, _ := w.packet.source()
	links := b[4*n:]
	holds := all(
		flip(w.address(source, b[:n], b[2*n:3*n]), not&notSource != 0),
		flip(w.address(source+n, b[n:2*n], b[3*n:4*n]), not&notDestination != 0),
		flip(linkIs(w.packet.link, links[:16], links[32:48]), not&notIn != 0),
		flip(linkIs(w.packet.out, links[16:32], links[48:64]), not&notOut != 0),
	)
	if protocol := binary.NativeEndian.Uint16(b[lay.protocol:]); protocol != 0 && flags&lay.ofProtocol == lay.ofProtocol {
		holds = all(holds, flip(answerOf(protocol == uint16(w.packet.l4)), not&notProtocol != 0))
	}
	switch {
	case !w.packet.v6 && flags&fragment != 0: // a later one
		holds = all(holds, flip(no, not&notFragment != 0))
	case w.packet.v6 && flags&class != 0:
		holds = all(holds, maybe)
	}
	return holds
}

// address compares the address at an offset of the IP header. Strangers do not
// come from this host's inside.
func (w *walker) address(at int, want, mask []byte) answer {
	holds := yes
	for i, m := range mask {
		value, known := w.packet.network.value[at+i], w.packet.network.known[at+i]
		switch {
		case (value^want[i])&m&known != 0:
			return no
		case m&^known != 0:
			holds = maybe
		}
	}
	source, _ := w.packet.source()
	if whole := mask[0] == 0xff && (len(mask) == 4 || mask[len(mask)-1] == 0xff); holds == maybe && at == source && whole && loopback(want) {
		return no
	}
	return holds
}

// linkIs compares the name of a link, or its beginning.
func linkIs(name string, want, mask []byte) answer {
	if bytes.Equal(mask, make([]byte, len(mask))) {
		return yes // it asks for none
	}
	if name == "" {
		return maybe
	}
	has := make([]byte, len(want))
	copy(has, name)
	for i, m := range mask {
		if (has[i]^want[i])&m != 0 {
			return no
		}
	}
	return yes
}
