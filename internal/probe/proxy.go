package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"vpn/internal/vpn"
)

// ProxyOptions say how a proxy is tried.
type ProxyOptions struct {
	URL     string // what is fetched through it, http or https
	Trust   string // PEM: a certificate that is trusted besides the system's; may be empty
	Address string // host:port to dial instead of the one in the link; may be empty
}

// ProxyAnswer is what came through a proxy.
type ProxyAnswer struct {
	Status    int           // of the site, by HTTP
	Connected time.Duration // until the proxy had taken the connection
	Answered  time.Duration // until the site's answer began
}

// Proxy fetches a page through the proxy that link leads to, an http, https or
// socks5 URL with user and password. Names are looked up by the proxy. Errors
// say where it ended: kind [vpn.Denied] for a wrong password and for what the
// proxy refuses, [vpn.Unavailable] for a proxy or a site that cannot be
// reached, [vpn.Invalid] for a URL that is none. It ends with ctx.
func Proxy(ctx context.Context, link string, o ProxyOptions) (ProxyAnswer, error) {
	proxy, err := url.Parse(link)
	if err != nil || proxy.Host == "" {
		return ProxyAnswer{}, vpn.Errorf(vpn.Invalid, "the link is no URL") // and not err, which quotes it
	}
	proxy.Fragment = ""
	site, err := url.Parse(o.URL)
	if err != nil || site.Hostname() == "" || site.Scheme != "http" && site.Scheme != "https" {
		return ProxyAnswer{}, vpn.Errorf(vpn.Invalid, "%q is no address of a site", o.URL).WithHint("write it like https://www.example.com/")
	}
	transport, reached, err := through(proxy, o)
	if err != nil {
		return ProxyAnswer{}, err
	}
	defer transport.CloseIdleConnections()
	var out ProxyAnswer
	start := time.Now()
	trace := &httptrace.ClientTrace{GotFirstResponseByte: func() { out.Answered = time.Since(start) }}
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, trace), http.MethodGet, site.String(), http.NoBody)
	if err != nil {
		return out, vpn.Errorf(vpn.Invalid, "%q is no address of a site", o.URL)
	}
	resp, err := transport.RoundTrip(req)
	if at := reached.Load(); at != nil {
		out.Connected = at.Sub(start)
	}
	if err != nil {
		return out, ended(err, reached.Load() != nil, proxy, site)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20))
	if out.Status = resp.StatusCode; site.Scheme == "http" && refused(out.Status) != nil && proxy.Scheme != "socks5" {
		return out, refused(out.Status) // the proxy's own word, most likely
	}
	return out, nil
}

// through returns what asks the proxy, and the moment at which that has taken
// a connection.
func through(proxy *url.URL, o ProxyOptions) (*http.Transport, *atomic.Pointer[time.Time], error) {
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if o.Trust != "" && !roots.AppendCertsFromPEM([]byte(o.Trust)) {
		return nil, nil, vpn.Errorf(vpn.Invalid, "the certificate to trust cannot be read")
	}
	reached := &atomic.Pointer[time.Time]{}
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	return &http.Transport{
		Proxy: http.ProxyURL(proxy),
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if o.Address != "" {
				address = o.Address
			}
			conn, err := dialer.DialContext(ctx, network, address)
			if err == nil {
				reached.Store(new(time.Now()))
			}
			return conn, err
		},
		TLSClientConfig:       &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: 15 * time.Second,
		DisableKeepAlives:     true,
	}, reached, nil
}

// ended says in a person's words where a request ended.
func ended(err error, reached bool, proxy, site *url.URL) error {
	text := err.Error()
	has := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(text, w) {
				return true
			}
		}
		return false
	}
	var unknown x509.UnknownAuthorityError
	var wrongHost x509.HostnameError
	switch {
	case !reached:
		return unreached(err, proxy)
	case has("Proxy Authentication Required", "username/password authentication failed", "no acceptable authentication"):
		return refused(http.StatusProxyAuthRequired)
	case has("Forbidden", "not allowed by ruleset"):
		return refused(http.StatusForbidden)
	case has("Too Many Requests"):
		return refused(http.StatusTooManyRequests)
	case errors.As(err, &unknown), errors.As(err, &wrongHost):
		return vpn.Errorf(vpn.Denied, "the certificate is not trusted: %w", err).
			WithHint("the proxy's or the site's: try another site with --url")
	case errors.Is(err, context.DeadlineExceeded), has("timeout"):
		return vpn.Errorf(vpn.Unavailable, "%s does not answer through the proxy in time", site.Host).WithHint("try another site with --url")
	}
	return vpn.Errorf(vpn.Unavailable, "%s cannot be reached through the proxy: %s", site.Host, reason(text)).
		WithHint("try another site with --url; what the server says of it: vpn server logs NAME")
}

func unreached(err error, proxy *url.URL) error {
	return vpn.Errorf(vpn.Unavailable, "the proxy at %s cannot be reached: %s", proxy.Host, reason(err.Error())).
		WithHint("does it run, and does the firewall let clients in? vpn server status; another way to it: --address HOST:PORT")
}

// reason is the last and most exact part of an error's text.
func reason(text string) string {
	if i := strings.LastIndex(text, ": "); i >= 0 {
		return text[i+2:]
	}
	return text
}

// refused is what a proxy's status means, or nil.
func refused(status int) error {
	switch status {
	case http.StatusProxyAuthRequired:
		return vpn.Errorf(vpn.Denied, "the proxy does not take the user's password").
			WithHint("is the user active, and within its limits? vpn users show NAME")
	case http.StatusForbidden:
		return vpn.Errorf(vpn.Denied, "the proxy does not let the user reach that site").
			WithHint("is the user active, and within its limits? vpn users show NAME; the proxy's rules: vpn server show NAME")
	case http.StatusTooManyRequests:
		return vpn.Errorf(vpn.Denied, "the proxy has had too many requests").WithHint("its request rate: vpn server show NAME")
	}
	return nil
}
