package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vpn/internal/vpn"
)

const name = "www.example.test"

func testProber(c *ca) prober {
	return prober{roots: c.pool(), timeout: 5 * time.Second, race: 5 * time.Second, quiet: 100 * time.Millisecond}
}

func TestTargetThatIsFit(t *testing.T) {
	c := newCA(t)
	for _, curve := range []tls.CurveID{tls.X25519, tls.X25519MLKEM768} {
		conf := c.good(t)
		conf.CurvePreferences = []tls.CurveID{curve}
		addr := serveTLS(t, conf)
		got, err := testProber(c).target(t.Context(), addr, []string{name, "EXAMPLE.test"})
		if err != nil {
			t.Fatal(err)
		}
		if got.Target != addr || got.Curve != curve.String() || got.Latency <= 0 || got.Flight < 500 || got.Flight > maxFlight {
			t.Errorf("report is %+v", got)
		}
	}
}

func TestTargetThatIsUnfit(t *testing.T) {
	c := newCA(t)
	edit := func(change func(*tls.Config)) string {
		conf := c.good(t)
		change(conf)
		return serveTLS(t, conf)
	}
	stranger := newCA(t)
	for what, test := range map[string]struct {
		addr string
		kind vpn.Kind
		says string
	}{
		"TLS 1.2":  {edit(func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }), vpn.Invalid, "TLS 1.3"},
		"TLS 1.1":  {edit(func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }), vpn.Invalid, "no TLS handshake"},
		"no ALPN":  {edit(func(c *tls.Config) { c.NextProtos = nil }), vpn.Invalid, "HTTP/2"},
		"http/1.1": {edit(func(c *tls.Config) { c.NextProtos = []string{"http/1.1"} }), vpn.Invalid, "HTTP/2"},
		"P-256":    {edit(func(c *tls.Config) { c.CurvePreferences = []tls.CurveID{tls.CurveP256} }), vpn.Invalid, "X25519"},
		"P-521":    {edit(func(c *tls.Config) { c.CurvePreferences = []tls.CurveID{tls.CurveP521} }), vpn.Invalid, "no TLS handshake"},
		"long handshake": {edit(func(conf *tls.Config) {
			conf.Certificates = []tls.Certificate{c.issue(t, withLongExtension)}
		}), vpn.Invalid, "more than 8192"},
		"another name": {edit(func(conf *tls.Config) {
			conf.Certificates = []tls.Certificate{c.issue(t, func(x *x509.Certificate) { x.DNSNames = []string{"other.test"} })}
		}), vpn.Invalid, "not for www.example.test"},
		"expired": {edit(func(conf *tls.Config) {
			conf.Certificates = []tls.Certificate{c.issue(t, func(x *x509.Certificate) { x.NotAfter = time.Now().Add(-time.Minute) })}
		}), vpn.Invalid, "not valid"},
		"self-signed":  {serveTLS(t, stranger.good(t)), vpn.Invalid, "trusts"},
		"plain HTTP":   {serve(t, func(conn net.Conn) { _, _ = io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\n\r\n") }), vpn.Invalid, "does not speak TLS"},
		"hangs up":     {serve(t, func(conn net.Conn) { _ = conn.Close() }), vpn.Invalid, "no TLS handshake"},
		"closed port":  {closedPort(t), vpn.Unavailable, "cannot be reached"},
		"without port": {"www.example.test", vpn.Invalid, "not a host and a port"},
		"odd host":     {"a b:443", vpn.Invalid, "not a host and a port"},
	} {
		_, err := testProber(c).target(t.Context(), test.addr, []string{name})
		wantError(t, what, err, test.kind, test.says)
	}
}

func TestTargetThatIsSilent(t *testing.T) {
	p := testProber(newCA(t))
	p.timeout = 50 * time.Millisecond
	_, err := p.target(t.Context(), serve(t, func(net.Conn) {}), []string{name})
	wantError(t, "silent port", err, vpn.Unavailable, "does not answer in time")
}

func TestTargetThatIsNotFound(t *testing.T) {
	notFound := &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}}
	wantError(t, "no such host", explain(t.Context(), name+":443", name, notFound), vpn.Unavailable, "no such host")
	noAnswer := &net.OpError{Op: "dial", Err: &net.DNSError{Err: "i/o timeout", Name: name, IsTimeout: true}}
	wantError(t, "silent resolver", explain(t.Context(), name+":443", name, noAnswer), vpn.Unavailable, "in time")
	broken := &net.OpError{Op: "dial", Err: &net.DNSError{Err: "server misbehaving", Name: name}}
	wantError(t, "broken resolver", explain(t.Context(), name+":443", name, broken), vpn.Unavailable, "cannot be reached")
}

func TestOneOfSeveralNamesIsWrong(t *testing.T) {
	c := newCA(t)
	_, err := testProber(c).target(t.Context(), serveTLS(t, c.good(t)), []string{name, "other.test", "example.test"})
	wantError(t, "second name", err, vpn.Invalid, "not for other.test")
}

func TestTargetWithoutNamesIsCheckedUnderItsHost(t *testing.T) {
	c := newCA(t)
	_, err := testProber(c).target(t.Context(), serveTLS(t, c.good(t)), nil)
	wantError(t, "address", err, vpn.Invalid, "127.0.0.1")
}

func TestCancelledCheckBlamesNobody(t *testing.T) {
	c := newCA(t)
	ctx, cancel := context.WithCancel(t.Context())
	addr := serve(t, func(net.Conn) { cancel() })
	_, err := testProber(c).target(ctx, addr, []string{name})
	if _, isOurs := errors.AsType[*vpn.Error](err); !errors.Is(err, context.Canceled) || isOurs {
		t.Errorf("got %v", err)
	}
	_, err = testProber(c).choose(ctx, []string{addr})
	if _, isOurs := errors.AsType[*vpn.Error](err); !errors.Is(err, context.Canceled) || isOurs {
		t.Errorf("got %v", err)
	}
}

func TestRecordLengths(t *testing.T) {
	c := newCA(t)
	conf := c.good(t)
	conf.SessionTicketsDisabled = true
	got, err := testProber(c).target(t.Context(), serveTLS(t, conf, make([]byte, 9), make([]byte, 100)), []string{name, "example.test"})
	if err != nil {
		t.Fatal(err)
	}
	both := []int{5 + 9 + 1 + 16, 5 + 100 + 1 + 16}
	want := map[string][]int{
		name + " 0": both, name + " 1": both, name + " 2": both,
		"example.test 0": both, "example.test 1": both, "example.test 2": both,
	}
	if diff := cmp.Diff(want, got.RecordLengths); diff != "" {
		t.Error(diff)
	}
}

func TestRecordLengthsOfSessionTickets(t *testing.T) {
	c := newCA(t)
	conf := c.good(t)
	conf.ClientAuth = tls.RequestClientCert // or Go sends tickets within the handshake
	got, err := testProber(c).target(t.Context(), serveTLS(t, conf), []string{name})
	if err != nil {
		t.Fatal(err)
	}
	lengths := got.RecordLengths
	if n := lengths[name+" 2"]; len(n) != 1 || n[0] < 100 {
		t.Errorf("a browser is sent %v, want one ticket", n)
	}
	for _, key := range []string{name + " 0", name + " 1"} {
		if n, ok := lengths[key]; !ok || len(n) != 0 {
			t.Errorf("%q is sent %v, %v; want to know that it is nothing", key, n, ok)
		}
	}
}

// The engine slices by the lengths, so what is no encrypted record ends them.
func TestRecordLengthsOfNonsense(t *testing.T) {
	c := newCA(t)
	conf := c.good(t)
	addr := serve(t, func(conn net.Conn) {
		site := tls.Server(conn, conf)
		if site.Handshake() != nil {
			return
		}
		if _, err := site.Write(make([]byte, 10)); err == nil {
			_, _ = conn.Write([]byte{23, 3, 3, 0, 5, 1, 2, 3, 4, 5})
		}
	})
	got, err := testProber(c).target(t.Context(), addr, []string{name})
	if err != nil {
		t.Fatal(err)
	}
	if n := got.RecordLengths[name+" 2"]; len(n) != 1 || n[0] != 5+10+1+16 {
		t.Errorf("got %v", n)
	}
}

// What cannot be measured is left out, so that the engine knows that it is not known.
func TestRecordLengthsThatCannotBeMeasured(t *testing.T) {
	c := newCA(t)
	conf := c.good(t)
	conf.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if !slices.Contains(hello.SupportedProtos, "h2") {
			return nil, errors.New("go away")
		}
		return nil, nil
	}
	got, err := testProber(c).target(t.Context(), serveTLS(t, conf), []string{name})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := got.RecordLengths[name+" 2"]; !ok || len(got.RecordLengths) != 1 {
		t.Errorf("got %v", got.RecordLengths)
	}
}

func TestChoose(t *testing.T) {
	c := newCA(t)
	unfit := c.good(t)
	unfit.NextProtos = nil
	good := c.good(t)
	good.Certificates = []tls.Certificate{c.issue(t, func(x *x509.Certificate) { x.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)} })}
	fit := serveTLS(t, good)
	silent := serve(t, func(net.Conn) {})
	got, err := testProber(c).choose(t.Context(), []string{closedPort(t), silent, serveTLS(t, unfit), fit, "nonsense"})
	if err != nil || got != fit {
		t.Errorf("chose %q, %v; want %q", got, err, fit)
	}
}

func TestChooseTakesTheFirstToAnswer(t *testing.T) {
	c := newCA(t)
	good := c.good(t)
	good.Certificates = []tls.Certificate{c.issue(t, func(x *x509.Certificate) { x.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)} })}
	held := make(chan struct{})
	defer close(held)
	slow := serve(t, func(conn net.Conn) {
		<-held
		_ = tls.Server(conn, good).Handshake()
	})
	fast := serveTLS(t, good)
	p := testProber(c)
	p.timeout, p.race = time.Minute, time.Minute
	start := time.Now()
	got, err := p.choose(t.Context(), []string{slow, fast})
	if err != nil || got != fast {
		t.Errorf("chose %q, %v; want %q", got, err, fast)
	}
	if time.Since(start) > p.race/2 {
		t.Error("it waited for the slow one")
	}
}

func TestChooseAmongNothing(t *testing.T) {
	c := newCA(t)
	p := testProber(c)
	p.race = 50 * time.Millisecond
	_, err := p.choose(t.Context(), []string{closedPort(t), serve(t, func(net.Conn) {})})
	wantError(t, "none is fit", err, vpn.Unavailable, "none of 2")
	_, err = p.choose(t.Context(), nil)
	wantError(t, "none is given", err, vpn.Invalid, "no target to choose from")
}

func TestImitable(t *testing.T) {
	record := func(kind byte, payload int) []byte {
		return append([]byte{kind, 3, 3, byte(payload >> 8), byte(payload)}, make([]byte, payload)...)
	}
	hello, ccs := record(22, 90), record(20, 1)
	small, big := record(23, 30), record(23, 3000)
	for what, c := range map[string]struct {
		flight [][]byte
		want   bool
	}{
		"a record per message":        {[][]byte{hello, ccs, small, big, small, small}, true},
		"with a ticket":               {[][]byte{hello, ccs, small, big, small, small, small}, true},
		"all in one":                  {[][]byte{hello, ccs, big}, true},
		"small, then the rest in one": {[][]byte{hello, ccs, small, big}, false},
		"without change of cipher":    {[][]byte{hello, small, big, small, small}, false},
		"long change of cipher":       {[][]byte{hello, record(20, 2), big}, false},
		"an alert":                    {[][]byte{hello, ccs, small, big, record(21, 2), small, small}, false},
		"nothing encrypted":           {[][]byte{hello, ccs}, false},
		"cut off":                     {[][]byte{hello, ccs, big[:100]}, false},
		"nothing":                     {nil, false},
	} {
		state := tls.ConnectionState{Version: tls.VersionTLS13, CurveID: tls.X25519, NegotiatedProtocol: "h2"}
		fault := unfit(state, slices.Concat(c.flight...))
		if (fault == "") != c.want || !c.want && !strings.Contains(fault, "unusual form") {
			t.Errorf("%s: %q", what, fault)
		}
	}
}

func FuzzSplitRecords(f *testing.F) {
	f.Add([]byte{22, 3, 3, 0, 1, 0, 23, 3, 3, 255, 255})
	f.Fuzz(func(t *testing.T, data []byte) {
		total := 0
		for _, r := range splitRecords(data) {
			total += r.size
		}
		if total > len(data) {
			t.Errorf("%d bytes of records in %d", total, len(data))
		}
		imitable(data)
	})
}

func wantError(t *testing.T, what string, err error, kind vpn.Kind, says string) {
	t.Helper()
	e, ok := errors.AsType[*vpn.Error](err)
	switch {
	case !ok || e.Kind != kind:
		t.Errorf("%s: %v; want an error of kind %s", what, err, kind)
	case !strings.Contains(e.Message, says) || e.Hint == "":
		t.Errorf("%s: %q, hint %q; want %q and a hint", what, e.Message, e.Hint, says)
	}
}
