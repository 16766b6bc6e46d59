package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"vpn/internal/vpn"
)

// maxFlight is the buffer in which Reality keeps the target's handshake.
const maxFlight = 8192

// handshake is what one connection to a target showed.
type handshake struct {
	took   time.Duration
	flight int
	curve  string
}

// check makes one TLS handshake with the site at addr under name, and looks
// whether Reality could pass its own off as one of that site.
func (p prober) check(ctx context.Context, addr, name string) (handshake, error) {
	limited, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	start := time.Now()
	raw, err := new(net.Dialer).DialContext(limited, "tcp", addr)
	if err != nil {
		return handshake{}, explain(ctx, addr, name, err)
	}
	defer func() { _ = raw.Close() }() // nothing is lost
	tap := &tap{Conn: raw}
	conn := tls.Client(tap, &tls.Config{
		RootCAs:    p.roots,
		ServerName: name,
		NextProtos: []string{"h2", "http/1.1"},
		// More than will do is offered, as browsers do: a site that then
		// takes something else would take it from a Reality client too.
		MinVersion:       tls.VersionTLS12,
		CurvePreferences: []tls.CurveID{tls.X25519MLKEM768, tls.X25519, tls.CurveP256, tls.CurveP384},
	})
	if err := conn.HandshakeContext(limited); err != nil {
		return handshake{}, explain(ctx, addr, name, err)
	}
	state := conn.ConnectionState()
	if fault := unfit(state, tap.got); fault != "" {
		return handshake{}, vpn.Errorf(vpn.Invalid, "target %s %s for %s", addr, fault, name).WithHint(otherHint)
	}
	return handshake{took: time.Since(start), flight: len(tap.got), curve: state.CurveID.String()}, nil
}

const (
	otherHint = "choose another site with --target, let one be chosen with --target auto, or take it as it is with --no-check"
	nameHint  = "give the names that the site has a certificate for, with --server-name, or choose another site with --target"
	deadHint  = "check the address and this machine's network, choose another site with --target, or take --target self"
)

// unfit returns what about a finished handshake Reality cannot do with, as
// the end of a sentence, or nothing.
func unfit(state tls.ConnectionState, flight []byte) string {
	switch {
	case state.Version != tls.VersionTLS13:
		return "does not speak TLS 1.3"
	case !slices.Contains([]tls.CurveID{tls.X25519, tls.X25519MLKEM768}, state.CurveID):
		return "does not take X25519 as its key exchange"
	case state.NegotiatedProtocol != "h2":
		return "does not speak HTTP/2"
	case len(flight) > maxFlight:
		return fmt.Sprintf("answers with a handshake of %d bytes, more than %d,", len(flight), maxFlight)
	case !imitable(flight):
		return "answers with a handshake of an unusual form"
	}
	return ""
}

// imitable reports whether the records of a flight are laid out so that
// Reality finds its way through them: a server hello, a change of cipher
// spec, then either all the rest in big records or one record per message.
// So does no flight that begins with a request to try again.
func imitable(flight []byte) bool {
	records := splitRecords(flight)
	if len(records) < 3 || records[0].kind != recordHandshake || records[1].kind != recordChangeCipherSpec || records[1].size != 6 {
		return false
	}
	encrypted := records[2:]
	for _, r := range encrypted {
		if r.kind != recordApplicationData {
			return false
		}
	}
	const messages = 4 // extensions, certificate, its proof, finished
	return encrypted[0].size > 512 || len(encrypted) >= messages
}

// explain turns a failed connection into an error for a person. ctx is the
// caller's: if that was cancelled the site is not to blame.
func explain(ctx context.Context, addr, name string, err error) error {
	dns, _ := errors.AsType[*net.DNSError](err)
	op, _ := errors.AsType[*net.OpError](err)
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return fmt.Errorf("check %s: %w", addr, ctx.Err())
	case dns != nil && dns.IsNotFound:
		return vpn.Errorf(vpn.Unavailable, "target %s cannot be found: there is no such host", addr).WithHint(deadHint)
	case errors.Is(err, context.DeadlineExceeded), op != nil && op.Timeout(), dns != nil && dns.IsTimeout:
		return vpn.Errorf(vpn.Unavailable, "target %s does not answer in time", addr).WithHint(deadHint)
	case dns != nil, op != nil && op.Op == "dial":
		return vpn.Errorf(vpn.Unavailable, "target %s cannot be reached: %w", addr, err).WithHint(deadHint)
	case is[x509.HostnameError](err):
		return vpn.Errorf(vpn.Invalid, "the certificate of target %s is not for %s", addr, name).WithHint(nameHint)
	case is[x509.UnknownAuthorityError](err):
		return vpn.Errorf(vpn.Invalid, "the certificate of target %s is signed by nobody whom this machine trusts", addr).WithHint(otherHint)
	case is[x509.CertificateInvalidError](err):
		return vpn.Errorf(vpn.Invalid, "the certificate of target %s is not valid: %w", addr, err).WithHint(otherHint)
	case is[tls.RecordHeaderError](err):
		return vpn.Errorf(vpn.Invalid, "target %s does not speak TLS", addr).WithHint(otherHint)
	}
	return vpn.Errorf(vpn.Invalid, "target %s completes no TLS handshake for %s: %w", addr, name, err).WithHint(otherHint)
}

func is[T error](err error) bool {
	_, ok := errors.AsType[T](err)
	return ok
}
