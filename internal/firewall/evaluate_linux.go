package firewall

import (
	"strings"

	"golang.org/x/sys/unix"
)

// outcome is what may become of a packet: one bit for each possibility. A
// firewall blocks if nothing but dropped is left.
type outcome uint8

const (
	goesOn outcome = 1 << iota
	returns
	accepted
	dropped
)

const anything = goesOn | accepted | dropped

// answer says whether a condition holds.
type answer uint8

const (
	no answer = iota
	yes
	maybe
)

func answerOf(b bool) answer {
	if b {
		return yes
	}
	return no
}

func (a answer) not() answer {
	switch a {
	case no:
		return yes
	case yes:
		return no
	}
	return maybe
}

// A finding is a base chain that drops a packet, whatever else is true of it.
type finding struct {
	packet packet
	base   *chain
	passed []string // the chains that the packet entered, or may have
	in     string   // the chain that drops it
	policy bool     // it is the policy of base that drops it, which no rule let it past
}

// walker takes one packet through one base chain.
type walker struct {
	*ruleset
	packet    packet
	early     bool // connection tracking has not seen the packet yet
	untracked bool // perhaps: connection tracking knows nothing of the packet
	redirect  bool // perhaps: it goes elsewhere
	steps     int
	passed    []string
	in        string
}

const (
	maxSteps = 50_000 // rules; more are not understood in time
	maxDepth = 16     // of jumps, as in the kernel
)

// drops returns the base chains that drop p. Each has its say: what one
// accepts, the next may drop.
func (r *ruleset) drops(p packet) []finding {
	var out []finding
	untracked := false
	for _, base := range r.inOrder() {
		if base.family != unix.NFPROTO_INET && base.family != p.family() || !p.passes(base.hook) {
			continue
		}
		w := &walker{ruleset: r, packet: p, early: base.early(), untracked: untracked}
		end := w.chain(base, 0)
		policy := end&^(goesOn|returns) == 0
		if end&(goesOn|returns) != 0 {
			end &^= goesOn | returns
			if base.policy == verdictDrop {
				w.in = base.name
				end |= dropped
			} else {
				end |= accepted
			}
		}
		if w.redirect {
			return nil
		}
		untracked = w.untracked
		if end == dropped {
			out = append(out, finding{packet: p, base: base, passed: w.passed, in: w.in, policy: policy})
		}
	}
	return out
}

func (w *walker) chain(c *chain, depth int) outcome {
	if c == nil || depth > maxDepth {
		return anything
	}
	w.passed = append(w.passed, c.name)
	var end outcome
	for _, rule := range c.rules {
		if w.steps++; w.steps > maxSteps {
			return anything
		}
		holds, verdicts := w.rule(c, rule)
		if holds == no {
			continue
		}
		var now outcome
		for _, v := range verdicts {
			now |= w.decide(c, v, depth)
		}
		if len(verdicts) == 0 || holds == maybe {
			now |= goesOn
		}
		end |= now &^ goesOn
		if now&goesOn == 0 {
			return end
		}
	}
	return end | goesOn
}

// A verdict is what a rule decides: a verdict of the kernel's, or unsure.
type verdict struct {
	code  int32
	chain string
}

// unsure is whatever an expression that is not understood may decide.
const unsure = 1 << 16

func (w *walker) decide(c *chain, v verdict, depth int) outcome {
	switch v.code {
	case verdictAccept:
		return accepted
	case verdictDrop:
		w.in = c.name // the last one is the one that leaves nothing else
		return dropped
	case verdictGoesOn, verdictBreak:
		return goesOn
	case verdictReturn:
		return returns
	case verdictJump, verdictGoto:
		end := w.chain(w.beside(c, v.chain), depth+1)
		if end&(goesOn|returns) == 0 {
			return end
		}
		end &^= goesOn | returns
		if v.code == verdictGoto {
			return end | returns // its end is this chain's too
		}
		return end | goesOn
	}
	return anything
}

// rule returns whether the rule's conditions hold, and what it then decides:
// nothing, one thing, or one of several.
func (w *walker) rule(c *chain, rule []expression) (answer, []verdict) {
	x := &registers{source: -1}
	holds := yes
	for _, e := range rule {
		a, vs := w.expression(c, x, e)
		switch {
		case a == no:
			return no, nil
		case a == maybe:
			holds = maybe
		}
		if vs != nil {
			return holds, vs
		}
	}
	return holds, nil
}

func (w *walker) expression(c *chain, x *registers, e expression) (answer, []verdict) {
	as := e.attributes
	switch e.name {
	case "counter", "log", "last":
		return yes, nil
	case "reject":
		return yes, []verdict{{code: verdictDrop}}
	case "immediate":
		return x.immediate(as)
	case "lookup":
		return w.lookup(c, x, as)
	case "match":
		return w.match(as), nil
	case "target":
		return w.target(as)
	case headerName:
		return w.header(as[0]), nil
	case verdictName:
		return yes, []verdict{verdictOf(as)}
	case "notrack":
		w.untracked = true
		return yes, nil
	case "nat", "redir", "tproxy":
		w.redirect = true
		return yes, []verdict{{code: unsure}}
	case "payload":
		if as.has(unix.NFTA_PAYLOAD_SREG) {
			w.redirect = true // it is changed
			return yes, nil
		}
		w.payload(x, as)
		return yes, nil
	case "meta":
		if !as.has(unix.NFTA_META_SREG) {
			x.load(as.number(unix.NFTA_META_DREG), w.meta(as.number(unix.NFTA_META_KEY)))
		}
		return yes, nil
	case "ct":
		if !as.has(unix.NFTA_CT_SREG) {
			x.load(as.number(unix.NFTA_CT_DREG), w.tracked(as.number(unix.NFTA_CT_KEY)))
		}
		return yes, nil
	case "fib":
		x.load(as.number(unix.NFTA_FIB_DREG), w.route(as))
		return yes, nil
	case "cmp", "range", "bitwise", "byteorder":
		return x.compute(e.name, as), nil
	case "rt", "exthdr", "hash", "numgen", "socket", "osf", "xfrm", "tunnel":
		x.load(as.number(1), unknown(16)) // the destination is the first attribute of each
		return maybe, nil                 // and some end the rule if there is nothing to load
	case "limit", "quota", "connlimit", "dynset", "objref", "dup", "inner":
		return maybe, nil
	}
	return maybe, []verdict{{code: unsure}}
}

// entered reports whether the packet entered a chain whose name begins so.
func (f finding) entered(prefix string) bool {
	for _, name := range f.passed {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}
