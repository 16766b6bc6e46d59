package firewall

import (
	"net/netip"
	"sync"
	"time"
)

// patience is how long the kernel may take to tell its rules. It takes a
// millisecond, or some where there are thousands of them.
const patience = 300 * time.Millisecond

// A Firewall is this host's packet filter. The zero value is ready. Its
// methods may be called concurrently.
type Firewall struct {
	mu    sync.Mutex
	rules *ruleset // as of their generation
}

// Blocks returns what blocks connections from other hosts to a port on which
// something listens at listen. The network is "tcp" or "udp". Without the
// right to see the rules (CAP_NET_ADMIN) it returns nothing.
func (f *Firewall) Blocks(network string, listen netip.Addr, port uint16) []Block {
	listen = listen.Unmap()
	if listen.IsLoopback() {
		return nil // strangers are not meant to get there
	}
	e := endpoint{network: network, listen: listen, port: port}
	var found []finding
	if !f.look(func(rules *ruleset) {
		for _, p := range packets(e) {
			found = append(found, rules.drops(p)...)
		}
	}) {
		return nil
	}
	return advise(e, found)
}

// look lets use read the rules that there are now. It is false, and use is not
// called, if they cannot be read.
func (f *Firewall) look(use func(*ruleset)) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	c, err := dial(time.Now().Add(patience))
	if err != nil {
		return false
	}
	defer c.Close()
	if err := f.refresh(c); err != nil {
		return false
	}
	f.rules.conn, f.rules.legacy = c, readLegacy() // nothing tells whether that changed
	defer func() { f.rules.conn = nil }()
	use(f.rules)
	return true
}

// refresh reads the rules, unless they are as they were.
func (f *Firewall) refresh(c *conn) error {
	gen, err := c.generation()
	if err != nil {
		return err
	}
	if f.rules != nil && f.rules.generation == gen {
		return nil
	}
	f.rules = nil
	r, err := read(c)
	if err != nil {
		return err
	}
	r.generation = gen // were they changed meanwhile, they are read again next time
	f.rules = r
	return nil
}
