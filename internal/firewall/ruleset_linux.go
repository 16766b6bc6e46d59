package firewall

import (
	"bytes"
	"cmp"
	"slices"

	"golang.org/x/sys/unix"
)

// ruleset is what nf_tables does at the hooks that a packet to this host
// passes, or one that it forwards.
type ruleset struct {
	generation uint32
	chains     map[chainKey]*chain
	bases      []*chain // those that packets come to by themselves
	kinds      map[setKey]setKind
	sets       map[setKey]*set // those that were looked into
	legacy     *legacy         // what does the same beside nf_tables

	conn *conn // to look into sets; set while rules are asked
}

type chainKey struct {
	family      byte
	table, name string
}

type setKey chainKey

type setKind struct {
	flags  uint32
	keyLen int // bytes
}

// An expression is one step of a rule.
type expression struct {
	name string
	attributes
}

// A chain is a list of rules, each a list of expressions.
type chain struct {
	chainKey
	hook     uint32 // of a base chain
	priority int32
	policy   uint32 // unix.NF_DROP, or NF_ACCEPT
	legacy   bool   // it is not of nf_tables
	rules    [][]expression
}

// inOrder returns all base chains in the order in which a packet passes them.
func (r *ruleset) inOrder() []*chain {
	return slices.SortedStableFunc(slices.Values(slices.Concat(r.bases, r.legacy.bases)), func(a, b *chain) int {
		return cmp.Or(cmp.Compare(a.hook, b.hook), cmp.Compare(a.priority, b.priority))
	})
}

// beside returns another chain of the same table, nil if there is none.
func (r *ruleset) beside(c *chain, name string) *chain {
	key := chainKey{c.family, c.table, name}
	if c.legacy {
		return r.legacy.chains[key]
	}
	return r.chains[key]
}

// iptablesTables are the tables that iptables has, in the order in which a
// packet passes them; nat drops nothing.
var iptablesTables = []string{"raw", "mangle", "filter", "security"}

// early reports whether the chain comes before connection tracking.
func (c *chain) early() bool {
	const tracking = -200 // NF_IP_PRI_CONNTRACK
	return c.hook == unix.NF_INET_PRE_ROUTING && c.priority <= tracking
}

// verdicts of the kernel that package unix lacks.
const (
	verdictDrop   = 0
	verdictAccept = 1
	verdictGoesOn = -1
	verdictBreak  = -2
	verdictJump   = -3
	verdictGoto   = -4
	verdictReturn = -5
)

func read(c *conn) (*ruleset, error) {
	r := &ruleset{chains: map[chainKey]*chain{}, kinds: map[setKey]setKind{}, sets: map[setKey]*set{}}
	dormant := map[chainKey]bool{}
	err := c.ask(unix.NFT_MSG_GETTABLE, unix.NFPROTO_UNSPEC, true, nil, func(family byte, as attributes) {
		if as.number(unix.NFTA_TABLE_FLAGS)&unix.NFT_TABLE_F_DORMANT != 0 {
			dormant[chainKey{family: family, table: as.text(unix.NFTA_TABLE_NAME)}] = true
		}
	})
	if err != nil {
		return nil, err
	}
	err = c.ask(unix.NFT_MSG_GETCHAIN, unix.NFPROTO_UNSPEC, true, nil, func(family byte, as attributes) {
		if !slices.Contains([]byte{unix.NFPROTO_INET, unix.NFPROTO_IPV4, unix.NFPROTO_IPV6}, family) {
			return
		}
		ch := &chain{chainKey: chainKey{family, as.text(unix.NFTA_CHAIN_TABLE), as.text(unix.NFTA_CHAIN_NAME)}}
		r.chains[ch.chainKey] = ch
		if !as.has(unix.NFTA_CHAIN_HOOK) || dormant[chainKey{family: family, table: ch.table}] {
			return
		}
		hook := as.nest(unix.NFTA_CHAIN_HOOK)
		ch.hook, ch.priority = hook.number(unix.NFTA_HOOK_HOOKNUM), int32(hook.number(unix.NFTA_HOOK_PRIORITY)) //nolint:gosec // it is signed
		ch.policy = as.number(unix.NFTA_CHAIN_POLICY)
		if slices.Contains([]uint32{unix.NF_INET_PRE_ROUTING, unix.NF_INET_LOCAL_IN, unix.NF_INET_FORWARD}, ch.hook) {
			r.bases = append(r.bases, ch)
		}
	})
	if err != nil || len(r.bases) == 0 {
		return r, err
	}
	err = c.ask(unix.NFT_MSG_GETSET, unix.NFPROTO_UNSPEC, true, nil, func(family byte, as attributes) {
		key := setKey{family, as.text(unix.NFTA_SET_TABLE), as.text(unix.NFTA_SET_NAME)}
		r.kinds[key] = setKind{as.number(unix.NFTA_SET_FLAGS), int(as.number(unix.NFTA_SET_KEY_LEN))}
	})
	if err != nil {
		return nil, err
	}
	err = c.ask(unix.NFT_MSG_GETRULE, unix.NFPROTO_UNSPEC, true, nil, func(family byte, as attributes) {
		ch := r.chains[chainKey{family, as.text(unix.NFTA_RULE_TABLE), as.text(unix.NFTA_RULE_CHAIN)}]
		if ch == nil {
			return
		}
		ch.rules = append(ch.rules, ruleOf(as))
	})
	return r, err
}

func ruleOf(as attributes) (rule []expression) {
	for _, e := range elements(as[unix.NFTA_RULE_EXPRESSIONS]) {
		rule = append(rule, expression{e.text(unix.NFTA_EXPR_NAME), e.nest(unix.NFTA_EXPR_DATA)})
	}
	return rule
}

// A set is what a rule looks a value up in.
type set struct {
	unknown  bool // it cannot be read, is too large, or of a sort that is not understood
	interval bool
	elements []element
	fallback *element // that matches what no other does
}

type element struct {
	key     []byte
	end     bool // of an interval: the first value behind it
	verdict attributes
}

const (
	maxElements  = 10_000
	flagCatchAll = 2   // NFT_SET_ELEM_CATCHALL
	flagConcat   = 128 // NFT_SET_CONCAT
	attrKeyEnd   = 10  // NFTA_SET_ELEM_KEY_END
)

// set returns the named set of a table.
func (r *ruleset) set(key setKey) *set {
	if s := r.sets[key]; s != nil {
		return s
	}
	s := &set{}
	r.sets[key] = s
	kind, ok := r.kinds[key]
	s.interval = kind.flags&unix.NFT_SET_INTERVAL != 0
	if !ok || s.interval && kind.flags&flagConcat != 0 {
		s.unknown = true
		return s
	}
	payload := append(attribute(unix.NFTA_SET_ELEM_LIST_TABLE, key.table), attribute(unix.NFTA_SET_ELEM_LIST_SET, key.name)...)
	err := r.conn.ask(unix.NFT_MSG_GETSETELEM, key.family, true, payload, func(_ byte, as attributes) {
		for _, e := range elements(as[unix.NFTA_SET_ELEM_LIST_ELEMENTS]) {
			s.add(e)
		}
	})
	if err != nil {
		s.unknown = true
	}
	if s.interval {
		// Where one interval ends and another begins, the beginning counts.
		slices.SortStableFunc(s.elements, func(a, b element) int {
			if c := bytes.Compare(a.key, b.key); c != 0 {
				return c
			}
			return order(b.end) - order(a.end)
		})
	}
	return s
}

func order(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (s *set) add(as attributes) {
	flags := as.number(unix.NFTA_SET_ELEM_FLAGS)
	e := element{
		key:     as.nest(unix.NFTA_SET_ELEM_KEY)[unix.NFTA_DATA_VALUE],
		end:     flags&unix.NFT_SET_ELEM_INTERVAL_END != 0,
		verdict: as.nest(unix.NFTA_SET_ELEM_DATA).nest(unix.NFTA_DATA_VERDICT),
	}
	switch {
	case flags&flagCatchAll != 0:
		s.fallback = &e
	case as.has(attrKeyEnd), len(s.elements) >= maxElements:
		s.unknown = true
	default:
		s.elements = append(s.elements, e)
	}
}
