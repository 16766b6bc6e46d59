// Package probe looks at things over the network. At web sites, as Reality will:
// whether one is fit to be the target that strangers see, and what it sends
// after a handshake. At proxies, as a client does. And whether a server of ours
// is reached. It stores nothing, and knows no protocol's settings.
package probe

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"vpn/internal/vpn"
)

// Report is what a target that is fit was found to be.
type Report struct {
	Target  string
	Latency time.Duration // connection and handshake together; every session pays it once
	Flight  int           // bytes of the target's side of the handshake
	Curve   string        // of the key exchange: "X25519", "X25519MLKEM768"

	// RecordLengths is what the target sends after a handshake, of itself:
	// under "NAME N" the lengths of the TLS records, header included, for that
	// server name and a client that offers no ALPN (N is 0), http/1.1 (1) or
	// h2 (2). What could not be measured is left out. A Reality engine that
	// knows them can imitate the target from its first session on.
	RecordLengths map[string][]int
}

// Target checks whether the site at addr, a host and port, is fit to be the
// target of a Reality server under each of serverNames; with none, under its
// host. It takes a second or two, at most ten.
//
// A site that is not fit gives an error of kind [vpn.Invalid], one that does
// not answer gives [vpn.Unavailable]; each says what is wrong, and what to do.
func Target(ctx context.Context, addr string, serverNames []string) (Report, error) {
	return newProber().target(ctx, addr, serverNames)
}

// Choose returns the one of candidates, hosts with ports, that is fit and is
// the first to prove it, at most three seconds after. Their order does not
// count: the nearest costs each session least and looks most natural beside
// this server, and not every server has the same target. If none is fit the
// error is of kind [vpn.Unavailable].
func Choose(ctx context.Context, candidates []string) (string, error) {
	return newProber().choose(ctx, candidates)
}

// prober holds what tests have to change.
type prober struct {
	roots   *x509.CertPool // nil: the system's
	timeout time.Duration  // for one connection
	race    time.Duration  // for Choose
	quiet   time.Duration  // after which no more is expected to come
}

func newProber() prober {
	return prober{timeout: 5 * time.Second, race: 3 * time.Second, quiet: time.Second}
}

// parallel is how many connections to one site are made at a time.
const parallel = 6

func (p prober) target(ctx context.Context, addr string, names []string) (Report, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil || vpn.ValidHost(host) != nil {
		return Report{}, vpn.Errorf(vpn.Invalid, "target %q is not a host and a port", addr).
			WithHint("write it like www.example.com:443")
	}
	if len(names) == 0 {
		names = []string{host}
	}
	results := make([]handshake, len(names))
	errs := make([]error, len(names))
	each(len(names), func(i int) {
		results[i], errs[i] = p.check(ctx, addr, strings.ToLower(names[i]))
	})
	for _, err := range errs {
		if err != nil {
			return Report{}, err
		}
	}
	report := Report{
		Target:        addr,
		Latency:       results[0].took,
		Flight:        results[0].flight,
		Curve:         results[0].curve,
		RecordLengths: p.recordLengths(ctx, addr, names),
	}
	if err := ctx.Err(); err != nil {
		return Report{}, fmt.Errorf("check %s: %w", addr, err)
	}
	return report, nil
}

func (p prober) choose(ctx context.Context, candidates []string) (string, error) {
	if len(candidates) == 0 {
		return "", vpn.Errorf(vpn.Invalid, "there is no target to choose from").
			WithHint("name one with --target HOST:443")
	}
	race, cancel := context.WithTimeout(ctx, p.race)
	defer cancel()
	var (
		errs   = make([]error, len(candidates))
		winner string
		mu     sync.Mutex // guards winner
		all    sync.WaitGroup
	)
	for i, addr := range candidates {
		all.Go(func() {
			host, _, err := net.SplitHostPort(addr)
			if err == nil {
				_, err = p.check(race, addr, host)
			}
			if errs[i] = err; err != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if winner == "" {
				winner = addr
				cancel()
			}
		})
	}
	all.Wait()
	switch {
	case winner != "":
		return winner, nil
	case ctx.Err() != nil:
		return "", fmt.Errorf("choose a target: %w", ctx.Err())
	}
	return "", &vpn.Error{
		Kind:    vpn.Unavailable,
		Message: fmt.Sprintf("none of %d well-known sites can be the target: %v", len(candidates), errs[0]),
		Hint:    "check this machine's network, name a site with --target HOST:443, or take --target self",
		Err:     errors.Join(errs...),
	}
}

// each calls fn with 0 to n-1, some at a time, and returns when all are done.
func each(n int, fn func(int)) {
	slots := make(chan struct{}, parallel)
	var all sync.WaitGroup
	for i := range n {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			fn(i)
		})
	}
	all.Wait()
}
