//go:build linux

package rig

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// SiteName is the name of the site that Reality hides behind.
const SiteName = "www.example.test"

// FileSize is the size of the site's /file.
const FileSize = 8 << 20

// A Site is an ordinary web site: TLS 1.3 only, HTTP/2, with a certificate
// that a fresh authority has signed.
type Site struct {
	Addr   string // host:port
	CAFile string // the authority's certificate, PEM
	Roots  *x509.CertPool
	TLS    *tls.Config
	File   []byte
}

// newSite makes a site's keys and content; it listens nowhere yet.
func newSite(t testing.TB) *Site {
	t.Helper()
	caKey, caCert := certificate(t, nil, nil)
	leafKey, leaf := certificate(t, caCert, caKey)
	s := &Site{Addr: net.JoinHostPort(OutsideAddr, "443"), Roots: x509.NewCertPool(), File: make([]byte, FileSize)}
	_, _ = rand.Read(s.File)
	s.Roots.AddCert(caCert)
	s.CAFile = filepath.Join(t.TempDir(), "ca.pem")
	caPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caCert.Raw})
	if err := os.WriteFile(s.CAFile, caPEM, 0o644); err != nil {
		t.Fatal(err)
	}
	s.TLS = &tls.Config{
		MinVersion:   tls.VersionTLS13,
		NextProtos:   []string{"h2", "http/1.1"},
		Certificates: []tls.Certificate{{Certificate: [][]byte{leaf.Raw}, PrivateKey: leafKey}},
	}
	return s
}

// certificate makes a certificate for [SiteName] that parent signs, or an
// authority if there is no parent.
func certificate(t testing.TB, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (*ecdsa.PrivateKey, *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	c := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()),
		NotBefore:    now.Add(-time.Hour), NotAfter: now.AddDate(0, 3, 0),
	}
	if parent == nil {
		c.Subject = pkix.Name{CommonName: "Test Authority"}
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
		parent, parentKey = c, key
	} else {
		c.Subject, c.DNSNames = pkix.Name{CommonName: SiteName}, []string{SiteName}
		c.KeyUsage, c.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, parentKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return key, cert
}

// serve answers on h until the test ends: /file is [Site.File], a PUT is
// answered with the SHA-256 of its body, all else with a line of text.
func (s *Site) serve(t testing.TB, h *Host) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /file", func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "file", time.Time{}, bytes.NewReader(s.File))
	})
	mux.HandleFunc("PUT /", func(w http.ResponseWriter, r *http.Request) {
		sum := sha256.New()
		if _, err := io.Copy(sum, r.Body); err != nil {
			return // the client has left; there is nobody to tell
		}
		_, _ = io.WriteString(w, hex.EncodeToString(sum.Sum(nil)))
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "this is "+SiteName+", "+r.Proto+"\n")
	})
	quiet := log.New(io.Discard, "", 0) // probes make it complain, as they should
	srv := &http.Server{Handler: mux, TLSConfig: s.TLS.Clone(), ErrorLog: quiet}
	for _, host := range []string{OutsideAddr, OutsideAddr6} {
		l := h.Listen(t, net.JoinHostPort(host, "443"))
		go func() { _ = srv.ServeTLS(l, "", "") }()
	}
	t.Cleanup(func() { _ = srv.Close() })
}
