package firewall

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// questions are one packet of every sort.
func questions() (out []packet) {
	for _, v6 := range []bool{false, true} {
		for _, through := range []string{"", "wan0"} {
			p := packet{
				endpoint: endpoint{network: "tcp", listen: netip.IPv6Unspecified(), port: 443}, v6: v6, l4: unix.IPPROTO_TCP,
				link: "vpn-abc", index: 7, sport: clientPort, flags: flagSYN, state: stateNew, out: through,
			}
			p.headers()
			out = append(out, p)
		}
	}
	return out
}

// Whatever the kernel were to hand out as the rules of legacy iptables, it is
// read and asked without harm.
func FuzzLegacy(f *testing.F) {
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		var info legacyInfo
		if head := unsafe.Slice((*byte)(unsafe.Pointer(&info)), unsafe.Sizeof(info)); len(b) > len(head) {
			b = b[copy(head, b):]
		}
		for _, lay := range layouts() {
			r := &ruleset{legacy: &legacy{chains: map[chainKey]*chain{}}}
			r.legacy.add(lay, "filter", 0, info, slices.Clone(b))
			for _, p := range questions() {
				for _, found := range r.drops(p) {
					found.forward(r, "vpn-abc")
					found.block(p.endpoint)
				}
			}
		}
	})
}

// The same of what nf_tables says: each message is a rule.
func FuzzMessages(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(binary.NativeEndian.AppendUint32(nil, 20)) // a message of its header alone
	f.Fuzz(func(t *testing.T, b []byte) {
		base := &chain{chainKey: chainKey{unix.NFPROTO_INET, "filter", "forward"}, hook: unix.NF_INET_FORWARD, policy: verdictDrop}
		r := &ruleset{legacy: &legacy{}, chains: map[chainKey]*chain{base.chainKey: base}, bases: []*chain{base}, kinds: map[setKey]setKind{}, sets: map[setKey]*set{}}
		c := &conn{}
		_, _ = c.messages(bytes.Clone(b), true, func(_ byte, as attributes) {
			base.rules = append(base.rules, ruleOf(as))
			s := &set{}
			for _, e := range elements(as[unix.NFTA_SET_ELEM_LIST_ELEMENTS]) {
				s.add(e)
			}
			r.sets[setKey{base.family, base.table, as.text(unix.NFTA_SET_NAME)}] = s
		})
		for _, p := range questions() {
			r.drops(p)
		}
	})
}
