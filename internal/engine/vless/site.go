package vless

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"time"
)

// A site is the small web site that a server with the target "self" shows to
// strangers. It listens on loopback, at a port that the system chooses.
type site struct {
	listener net.Listener
	server   *http.Server
}

const page = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Welcome</title></head>
<body><h1>Welcome</h1><p>There is nothing here yet.</p></body>
</html>
`

func newSite(certPEM, keyPEM string) (*site, error) {
	cert, err := tls.X509KeyPair([]byte(certPEM), []byte(keyPEM))
	if err != nil {
		return nil, fmt.Errorf("read the site's certificate: %w", err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the site: %w", err)
	}
	s := &site{listener: ln, server: &http.Server{
		Handler:           http.HandlerFunc(servePage),
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12},
		ReadHeaderTimeout: 20 * time.Second,
		WriteTimeout:      time.Minute,
		IdleTimeout:       time.Minute,
		ErrorLog:          log.New(io.Discard, "", 0), // scanners' broken handshakes
	}}
	go func() { _ = s.server.ServeTLS(ln, "", "") }()
	return s, nil
}

func (s *site) addr() string { return s.listener.Addr().String() }

func (s *site) close() { _ = s.server.Close() }

func servePage(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path != "/":
		http.NotFound(w, r)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
	default:
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, page)
	}
}
