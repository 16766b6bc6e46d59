package router

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"golang.org/x/sys/unix"

	"vpn/internal/engine/egress"
)

// Names of chains. The first four are at hooks of the kernel's; the others
// are jumped to, or hold notes.
const (
	chainPrerouting  = "prerouting"
	chainInput       = "input"
	chainForward     = "forward"
	chainPostrouting = "postrouting"
	chainFrom        = "from-clients"
	chainTo          = "to-clients"
	chainNotes       = "changed-sysctls"
)

// A ruleset is one server's table on its way to the kernel: what is said of
// it goes there in one batch, all of it or nothing.
type ruleset struct {
	conn   *nftables.Conn
	table  *nftables.Table
	device string
	chains map[string]*nftables.Chain
	sets   map[string]*nftables.Set
	err    error // the first one
}

// replace puts t's table in the place of the one that is there, if any. It is
// never seen half done, nor missing in between.
func replace(conn *nftables.Conn, t Tunnel, host []netip.Addr, changes []Change) error {
	table := &nftables.Table{Family: nftables.TableFamilyINet, Name: t.table()}
	conn.AddTable(table) // or there were nothing to delete
	conn.DelTable(table)
	r := &ruleset{
		conn: conn, table: conn.AddTable(table), device: Device(t.Server),
		chains: map[string]*nftables.Chain{}, sets: map[string]*nftables.Set{},
	}
	r.declare(t, host)
	r.prerouting()
	r.input(t)
	r.forward(t)
	r.postrouting()
	for _, c := range changes {
		r.note(c)
	}
	if r.err != nil {
		return fmt.Errorf("write the rules of a tunnel: %w", r.err)
	}
	return conn.Flush()
}

func (r *ruleset) declare(t Tunnel, host []netip.Addr) {
	filter, nat := nftables.ChainTypeFilter, nftables.ChainTypeNAT
	r.hook(chainPrerouting, filter, nftables.ChainHookPrerouting, nftables.ChainPriorityRaw)
	r.hook(chainInput, filter, nftables.ChainHookInput, nftables.ChainPriorityFilter)
	r.hook(chainForward, filter, nftables.ChainHookForward, nftables.ChainPriorityFilter)
	r.hook(chainPostrouting, nat, nftables.ChainHookPostrouting, nftables.ChainPriorityNATSource)
	for _, name := range []string{chainFrom, chainTo, chainNotes} {
		r.chains[name] = r.conn.AddChain(&nftables.Chain{Name: name, Table: r.table})
	}
	ranges := egress.Table()
	var allow, own []netip.Prefix
	for _, p := range t.Allow {
		allow = append(allow, plain(p))
	}
	for _, a := range host {
		if a.Is4() && !slices.ContainsFunc(ranges.Forbidden4, func(p netip.Prefix) bool { return p.Contains(a) }) {
			own = append(own, netip.PrefixFrom(a, a.BitLen()))
		}
	}
	r.set("allowed4", allow, false)
	r.set("allowed6", allow, true)
	r.set("forbidden4", ranges.Forbidden4, false)
	r.set("forbidden6", ranges.Forbidden6, true)
	r.set("global6", ranges.Global6, true)
	r.set("nat64", ranges.NAT64, true)
	r.set("host4", own, false)
	var subnets []netip.Prefix
	for _, a := range t.Addresses {
		subnets = append(subnets, a.Masked())
	}
	r.set("clients4", subnets, false)
	r.set("clients6", subnets, true)
}

func (r *ruleset) hook(name string, kind nftables.ChainType, hook *nftables.ChainHook, priority *nftables.ChainPriority) {
	r.chains[name] = r.conn.AddChain(&nftables.Chain{Name: name, Table: r.table, Type: kind, Hooknum: hook, Priority: priority})
}

// set adds a set of the addresses that prefixes cover of one version of IP.
func (r *ruleset) set(name string, prefixes []netip.Prefix, v6 bool) {
	key := nftables.TypeIPAddr
	if v6 {
		key = nftables.TypeIP6Addr
	}
	s := &nftables.Set{Table: r.table, Name: name, KeyType: key, Interval: true}
	var elements []nftables.SetElement
	for _, sp := range spans(prefixes, v6) {
		elements = append(elements, nftables.SetElement{Key: sp.first.AsSlice()})
		if behind := sp.last.Next(); behind.IsValid() {
			elements = append(elements, nftables.SetElement{Key: behind.AsSlice(), IntervalEnd: true})
		}
	}
	if err := r.conn.AddSet(s, elements); err != nil && r.err == nil {
		r.err = err
	}
	r.sets[name] = s
}

// prerouting drops what comes through the device from an address that no
// client has. Whatever carries the packets should have seen to that.
func (r *ruleset) prerouting() {
	r.rule(chainPrerouting, r.notFrom(), accept()) // as most of this host's packets
	r.rule(chainPrerouting, r.source4("clients4"), accept())
	r.rule(chainPrerouting, r.source6("clients6"), accept())
	r.rule(chainPrerouting, drop())
}

// input is the guard in front of the host itself.
func (r *ruleset) input(t Tunnel) {
	r.rule(chainInput, r.notFrom(), accept())
	r.rule(chainInput, established(), accept()) // answers to the host
	for _, a := range t.Addresses {
		r.rule(chainInput, pingTo(a.Addr()), accept())
	}
	r.rule(chainInput, r.destination4("allowed4"), accept())
	r.rule(chainInput, r.destination6("allowed6"), accept())
	r.rule(chainInput, reject())
}

// forward is the guard in front of all else.
func (r *ruleset) forward(t Tunnel) {
	r.rule(chainForward, r.from(), jump(chainFrom))
	r.rule(chainForward, r.to(), jump(chainTo))

	r.clampMSS(chainFrom)
	r.rule(chainFrom, untranslated(), drop()) // it would go out as it is
	if t.Between {
		r.rule(chainFrom, r.to(), accept())
	} else {
		r.rule(chainFrom, r.to(), reject())
	}
	r.rule(chainFrom, r.destination4("allowed4"), accept())
	r.rule(chainFrom, r.destination6("allowed6"), accept())
	r.rule(chainFrom, r.destination4("forbidden4"), reject())
	r.rule(chainFrom, version(unix.NFPROTO_IPV4), accept())
	r.rule(chainFrom, r.destination6("nat64"), r.embedded4("allowed4"), accept())
	r.rule(chainFrom, r.destination6("nat64"), r.embedded4("host4"), reject())
	r.rule(chainFrom, r.destination6("nat64"), r.embedded4("forbidden4"), reject())
	r.rule(chainFrom, r.destination6("nat64"), accept())
	r.rule(chainFrom, r.destination6("forbidden6"), reject())
	r.rule(chainFrom, r.destination6("global6"), accept())
	r.rule(chainFrom, reject())

	r.clampMSS(chainTo)
	if t.Between {
		r.rule(chainTo, r.from(), accept())
	}
	r.rule(chainTo, established(), accept())
	r.rule(chainTo, drop())
}

// postrouting lets the host's address stand for the clients'.
func (r *ruleset) postrouting() {
	masquerade := []expr.Any{&expr.Masq{}}
	r.rule(chainPostrouting, r.to(), accept())
	r.rule(chainPostrouting, r.source4("clients4"), masquerade)
	r.rule(chainPostrouting, r.source6("clients6"), masquerade)
}

// note keeps a change of the host's settings where whoever lists the rules
// sees it, and the next [Apply] does.
func (r *ruleset) note(c Change) {
	r.conn.AddRule(&nftables.Rule{
		Table: r.table, Chain: r.chains[chainNotes], Exprs: []expr.Any{&expr.Verdict{Kind: expr.VerdictReturn}},
		UserData: userdata.AppendString(nil, userdata.TypeComment, c.String()),
	})
}

// rule appends a rule of these expressions to a chain.
func (r *ruleset) rule(chain string, parts ...[]expr.Any) {
	r.conn.AddRule(&nftables.Rule{Table: r.table, Chain: r.chains[chain], Exprs: slices.Concat(parts...)})
}

// clampMSS keeps connections from packets that are too long for either side:
// many networks lose the ICMP message that would say so.
func (r *ruleset) clampMSS(chain string) {
	const syn, rst, optionMSS = 0x02, 0x04, 2
	r.rule(chain, l4(unix.IPPROTO_TCP), []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 13, Len: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 1, Mask: []byte{syn | rst}, Xor: []byte{0}},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{syn}},
		&expr.Rt{Register: 1, Key: expr.RtTCPMSS},
		&expr.Byteorder{SourceRegister: 1, DestRegister: 1, Op: expr.ByteorderHton, Len: 2, Size: 2},
		&expr.Exthdr{SourceRegister: 1, Type: optionMSS, Offset: 2, Len: 2, Op: expr.ExthdrOpTcpopt},
	})
}

// Below are the conditions and verdicts.

func (r *ruleset) link(key expr.MetaKey, op expr.CmpOp) []expr.Any {
	name := make([]byte, unix.IFNAMSIZ)
	copy(name, r.device)
	return []expr.Any{&expr.Meta{Key: key, Register: 1}, &expr.Cmp{Op: op, Register: 1, Data: name}}
}

func (r *ruleset) from() []expr.Any    { return r.link(expr.MetaKeyIIFNAME, expr.CmpOpEq) }
func (r *ruleset) notFrom() []expr.Any { return r.link(expr.MetaKeyIIFNAME, expr.CmpOpNeq) }
func (r *ruleset) to() []expr.Any      { return r.link(expr.MetaKeyOIFNAME, expr.CmpOpEq) }

// Where addresses lie in their headers, RFC 791 and RFC 8200.
const (
	source4, destination4 = 12, 16
	source6, destination6 = 8, 24
	embedded4             = destination6 + 12
)

func (r *ruleset) source4(set string) []expr.Any {
	return append(version(unix.NFPROTO_IPV4), r.address(source4, 4, set)...)
}

func (r *ruleset) destination4(set string) []expr.Any {
	return append(version(unix.NFPROTO_IPV4), r.address(destination4, 4, set)...)
}

func (r *ruleset) source6(set string) []expr.Any {
	return append(version(unix.NFPROTO_IPV6), r.address(source6, 16, set)...)
}

func (r *ruleset) destination6(set string) []expr.Any {
	return append(version(unix.NFPROTO_IPV6), r.address(destination6, 16, set)...)
}

// embedded4 looks at the IPv4 address in the last 32 bits of an IPv6
// destination.
func (r *ruleset) embedded4(set string) []expr.Any { return r.address(embedded4, 4, set) }

func (r *ruleset) address(offset, length uint32, set string) []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: length},
		&expr.Lookup{SourceRegister: 1, SetName: set, SetID: r.sets[set].ID},
	}
}

func version(family byte) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{family}},
	}
}

func l4(protocol byte) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{protocol}},
	}
}

// tracked holds for packets of which connection tracking says one of states.
func tracked(states uint32) []expr.Any {
	return []expr.Any{
		&expr.Ct{Register: 1, Key: expr.CtKeySTATE},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: binaryutil.NativeEndian.PutUint32(states), Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: make([]byte, 4)},
	}
}

func established() []expr.Any {
	return tracked(expr.CtStateBitESTABLISHED | expr.CtStateBitRELATED)
}

// untranslated packets keep their source address: no connection is known of
// which they could be.
func untranslated() []expr.Any {
	return tracked(expr.CtStateBitINVALID | expr.CtStateBitUNTRACKED)
}

// pingTo holds for echo requests to one of the device's own addresses, by
// which people see that the tunnel is up.
func pingTo(a netip.Addr) []expr.Any {
	const request4, request6 = 8, 128
	protocol, family, offset, kind := byte(unix.IPPROTO_ICMP), byte(unix.NFPROTO_IPV4), uint32(destination4), byte(request4)
	if a.Is6() {
		protocol, family, offset, kind = unix.IPPROTO_ICMPV6, unix.NFPROTO_IPV6, destination6, request6
	}
	return slices.Concat(version(family), l4(protocol), []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: uint32(a.BitLen() / 8)}, //nolint:gosec // 4 or 16
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: a.AsSlice()},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 0, Len: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{kind}},
	})
}

func accept() []expr.Any { return []expr.Any{&expr.Verdict{Kind: expr.VerdictAccept}} }
func drop() []expr.Any   { return []expr.Any{&expr.Verdict{Kind: expr.VerdictDrop}} }

func jump(chain string) []expr.Any {
	return []expr.Any{&expr.Verdict{Kind: expr.VerdictJump, Chain: chain}}
}

// reject tells the client at once, who would wait for long otherwise.
func reject() []expr.Any {
	return []expr.Any{&expr.Reject{Type: unix.NFT_REJECT_ICMPX_UNREACH, Code: unix.NFT_REJECT_ICMPX_ADMIN_PROHIBITED}}
}

// notes returns the changes that a table holds.
func notes(conn *nftables.Conn, table string) ([]Change, error) {
	t := &nftables.Table{Family: nftables.TableFamilyINet, Name: table}
	rules, err := conn.GetRules(t, &nftables.Chain{Name: chainNotes, Table: t})
	if err != nil {
		return nil, fmt.Errorf("read the notes of a tunnel's rules: %w", err)
	}
	var out []Change
	for _, r := range rules {
		text, _ := userdata.GetString(r.UserData, userdata.TypeComment)
		if c, ok := parseChange(text); ok {
			out = append(out, c)
		}
	}
	return out, nil
}

// tables returns the names of a store's tables.
func tables(conn *nftables.Conn, store string) ([]string, error) {
	all, err := conn.ListTablesOfFamily(nftables.TableFamilyINet)
	if err != nil {
		return nil, fmt.Errorf("list the tables of rules: %w", err)
	}
	var out []string
	for _, t := range all {
		if strings.HasPrefix(t.Name, tablePrefix(store)) {
			out = append(out, t.Name)
		}
	}
	return out, nil
}
