//go:build linux && e2e

package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"testing"
	"time"

	"vpn/test/e2e/rig"
)

// A dialFunc connects either to the product or to the site it hides behind.
type dialFunc func(ctx context.Context) (net.Conn, error)

// facades returns the two that have to look alike.
func facades(w *rig.World) (product, site dialFunc) {
	product = func(ctx context.Context) (net.Conn, error) {
		return w.Client.Dial(ctx, "tcp", net.JoinHostPort(rig.ServerAddr, strconv.Itoa(port)))
	}
	site = func(ctx context.Context) (net.Conn, error) { return w.Server.Dial(ctx, "tcp", w.Site.Addr) }
	return product, site
}

// Who probes the port sees the site: its certificate, its pages, its refusals.
func TestProbesGetWhatTheSiteGives(t *testing.T) {
	t.Parallel()
	i, logins := install(t, 1)
	i.World.Xray(t, logins...).MustOpen(t, 0, false) // the server is in use
	product, site := facades(i.World)
	garbage := make([]byte, 300)
	for k := range garbage {
		garbage[k] = byte(rand.Uint32())
	}
	garbage[0] = 'x' // no TLS record, whatever the rest is
	probes := map[string]func(context.Context, dialFunc) (string, error){
		"a browser":              page(i.World, &tls.Config{ServerName: rig.SiteName, NextProtos: []string{"h2"}}),
		"HTTP/1.1":               page(i.World, &tls.Config{ServerName: rig.SiteName, NextProtos: []string{"http/1.1"}}),
		"no protocol":            page(i.World, &tls.Config{ServerName: rig.SiteName}),
		"another name":           page(i.World, &tls.Config{ServerName: "other.example.test"}),
		"no name":                page(i.World, &tls.Config{}),
		"TLS 1.2":                page(i.World, &tls.Config{ServerName: rig.SiteName, MaxVersion: tls.VersionTLS12}),
		"an unknown protocol":    page(i.World, &tls.Config{ServerName: rig.SiteName, NextProtos: []string{"acme-tls/1"}}),
		"P-256 only":             page(i.World, &tls.Config{ServerName: rig.SiteName, CurvePreferences: []tls.CurveID{tls.CurveP256}}),
		"plain HTTP":             say([]byte("GET / HTTP/1.1\r\nHost: " + rig.SiteName + "\r\n\r\n")),
		"garbage":                say(garbage),
		"an SSH client":          say([]byte("SSH-2.0-OpenSSH_9.2\r\n")),
		"a record of wrong type": say([]byte{23, 3, 3, 0, 5, 1, 2, 3, 4, 5}),
		"a broken hello":         say([]byte{22, 3, 1, 0, 5, 1, 0, 0, 1, 0}),
		"silence":                say(nil),
	}
	for name, probe := range probes {
		t.Run(name, func(t *testing.T) {
			want, werr := observe(t, probe, site)
			got, err := observe(t, probe, product)
			if got != want || fmt.Sprint(err) != fmt.Sprint(werr) {
				t.Errorf("the site gives %q, %v\nthe product gives %q, %v", want, werr, got, err)
			}
		})
	}
}

func observe(t *testing.T, probe func(context.Context, dialFunc) (string, error), dial dialFunc) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	return probe(ctx, dial)
}

// page returns a probe that fetches a page and describes all it has seen.
func page(w *rig.World, config *tls.Config) func(context.Context, dialFunc) (string, error) {
	config.RootCAs = w.Site.Roots
	// A certificate is looked at, not trusted: names that it lacks are part of the probe.
	config.InsecureSkipVerify = config.ServerName != rig.SiteName
	return func(ctx context.Context, dial dialFunc) (string, error) {
		raw, err := dial(ctx)
		if err != nil {
			return "", err
		}
		defer raw.Close()
		conn := tls.Client(raw, config)
		if err := conn.HandshakeContext(ctx); err != nil {
			return "", err
		}
		s := conn.ConnectionState()
		seen := fmt.Sprintf("%x %x %q %x", s.Version, s.CipherSuite, s.NegotiatedProtocol, s.PeerCertificates[0].Raw)
		transport := &http.Transport{
			DialTLSContext:    func(context.Context, string, string) (net.Conn, error) { return conn, nil },
			ForceAttemptHTTP2: true,
		}
		defer transport.CloseIdleConnections()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+rig.SiteName+"/", nil)
		if err != nil {
			return "", err
		}
		resp, err := transport.RoundTrip(req)
		if err != nil {
			return seen, err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		resp.Header.Del("Date")
		return fmt.Sprint(seen, resp.Proto, resp.Status, resp.Header, string(body)), err
	}
}

// say returns a probe that sends bytes, then its end, and collects what comes
// back.
func say(b []byte) func(context.Context, dialFunc) (string, error) {
	return func(ctx context.Context, dial dialFunc) (string, error) {
		conn, err := dial(ctx)
		if err != nil {
			return "", err
		}
		defer conn.Close()
		if _, err := conn.Write(b); err != nil {
			return "", err
		}
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			return "", err
		}
		_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		got, err := io.ReadAll(conn)
		var op *net.OpError
		if errors.As(err, &op) {
			err = op.Err // without addresses, which differ
		}
		return string(bytes.Clone(got)), err
	}
}

// Someone with an old or a made-up identity gets nowhere, and leaves no trace
// in the books.
func TestAWrongIdentityIsRefused(t *testing.T) {
	t.Parallel()
	i, logins := install(t, 1)
	good := logins[0].Link
	wrongUUID, wrongShortID, wrongKey := good, good, good
	wrongUUID.UUID = "11111111-1111-4111-8111-111111111111"
	wrongShortID.ShortID = "ffffffffffffffff"
	wrongKey.PublicKey = "ACtjuBtdZ0bvxQj1VyWtpFXRdXxTJJx8SQXtZka7J1A"
	strangers := []rig.Login{{Link: wrongUUID}, {Link: wrongShortID}, {Link: wrongKey}}
	for k, c := range []*rig.Client{i.World.Xray(t, strangers...), i.World.SingBox(t, strangers...)} {
		for s := range strangers {
			if err := c.Refused(t.Context(), s); err != nil {
				t.Errorf("client %d, stranger %d: %v", k, s, err)
			}
		}
	}
	if n := i.World.Xfer.Accepted(); n > 0 {
		t.Errorf("strangers have reached a destination %d times", n)
	}
	if u := i.User("u0"); u.Used.Total() > 0 || u.Online > 0 {
		t.Errorf("the only user: %+v", u)
	}
}
