package proxy

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/netip"
	"time"

	"vpn/internal/vpn"
)

// commonName is in the certificates that are made here.
const commonName = "proxy"

// Keys are the private part ([vpn.Server.Private] as JSON). SOCKS5 has none.
type Keys struct {
	TLSKey string `json:"tls_key"` // PEM, of the certificate in the settings
}

// ParseKeys reads the keys of a server of that protocol; none at all are a
// zero value. Its errors tell nothing of what was read.
func ParseKeys(name vpn.Protocol, s vpn.Secret) (Keys, error) {
	var k Keys
	if s.IsZero() {
		return k, nil
	}
	if name == SOCKS5 || json.Unmarshal([]byte(s.Reveal()), &k) != nil || k.TLSKey == "" {
		return Keys{}, damaged()
	}
	if _, err := k.signer(); err != nil {
		return Keys{}, err
	}
	return k, nil
}

func damaged() error {
	return vpn.Errorf(vpn.Invalid, "the server's keys are damaged").
		WithHint("delete the server and create it anew, or restore a backup")
}

func (k Keys) signer() (crypto.Signer, error) {
	block, _ := pem.Decode([]byte(k.TLSKey))
	if block == nil {
		return nil, damaged()
	}
	for _, parse := range []func([]byte) (any, error){
		x509.ParsePKCS8PrivateKey,
		func(der []byte) (any, error) { return x509.ParseECPrivateKey(der) },
		func(der []byte) (any, error) { return x509.ParsePKCS1PrivateKey(der) },
	} {
		if key, err := parse(block.Bytes); err == nil {
			if signer, ok := key.(crypto.Signer); ok {
				return signer, nil
			}
		}
	}
	return nil, damaged()
}

// Certificate returns what clients are shown, or an error of kind
// [vpn.Invalid] if t and k do not belong together.
func (t TLS) Certificate(k Keys) (tls.Certificate, error) {
	c, err := tls.X509KeyPair([]byte(t.Cert), []byte(k.TLSKey))
	if err != nil { // which says which of the two is wrong, and shows neither
		return tls.Certificate{}, vpn.Errorf(vpn.Invalid, "the certificate cannot be used with its key: %w", err).
			WithHint("give both as PEM files: --tls-cert fullchain.pem --tls-key privkey.pem")
	}
	return c, nil
}

func (t TLS) check() error {
	switch {
	case t.Key != "" && t.Cert == "":
		return vpn.Errorf(vpn.Invalid, "the key has no certificate").WithHint("give it too: --tls-cert FILE")
	case t.Cert != "" && !t.Enabled:
		return vpn.Errorf(vpn.Invalid, "there is a certificate, and TLS is off").WithHint("turn it on: --tls")
	case t.Cert != "":
		if block, _ := pem.Decode([]byte(t.Cert)); block == nil {
			return vpn.Errorf(vpn.Invalid, "the certificate is not PEM").WithHint("it begins with -----BEGIN CERTIFICATE-----")
		}
	}
	return nil
}

// prepareTLS makes keys and certificate if there are none, and moves a key
// that was given to where keys are kept.
func prepareTLS(t *TLS, k *Keys, s vpn.Server) error {
	switch {
	case t.Key != "":
		k.TLSKey, t.Key = t.Key, ""
	case k.TLSKey == "" && t.Cert != "":
		return vpn.Errorf(vpn.Invalid, "the certificate has no key").WithHint("give it too: --tls-key FILE")
	case k.TLSKey == "":
		var err error
		if k.TLSKey, err = newKey(); err != nil {
			return err
		}
	}
	if !t.Enabled {
		return nil
	}
	if h := host(s); t.Cert == "" || h != "" && t.madeForAnother(h) {
		signer, err := k.signer()
		if err != nil {
			return err
		}
		if t.Cert, err = selfSigned(signer, h); err != nil {
			return err
		}
	}
	_, err := t.Certificate(*k)
	return err
}

// host returns the name or address that a self-made certificate is for.
func host(s vpn.Server) string {
	switch {
	case s.PublicHost != "":
		return s.PublicHost
	case s.Listen.IsValid() && !s.Listen.IsUnspecified():
		return s.Listen.String()
	}
	return ""
}

// selfMade returns the certificate if it vouches for itself, else nil.
func (t TLS) selfMade() *x509.Certificate {
	block, _ := pem.Decode([]byte(t.Cert))
	if block == nil {
		return nil
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil || !bytes.Equal(c.RawIssuer, c.RawSubject) {
		return nil
	}
	return c
}

// madeForAnother reports whether the certificate was made by this package,
// for a host that clients dial no longer.
func (t TLS) madeForAnother(host string) bool {
	c := t.selfMade()
	return c != nil && c.Subject.CommonName == commonName && c.VerifyHostname(host) != nil
}

func newKey() (string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", fmt.Errorf("make an ECDSA key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", fmt.Errorf("encode a private key: %w", err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), nil
}

// selfSigned makes a certificate for a host that clients dial. Its dates are
// fixed, so that they do not tell when the server was set up.
func selfSigned(key crypto.Signer, host string) (string, error) {
	if host == "" {
		return "", vpn.Errorf(vpn.Invalid, "a certificate is for a name or an address, and none is known").
			WithHint("say what clients dial with --public-host, or give a certificate with --tls-cert and --tls-key")
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return "", fmt.Errorf("make a serial number: %w", err)
	}
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: commonName},
		NotBefore:             from,
		NotAfter:              from.AddDate(10, 0, 0),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		IsCA:                  true, // so that a client can be told to trust it
	}
	if a, err := netip.ParseAddr(host); err == nil {
		template.IPAddresses = append(template.IPAddresses, a.Unmap().AsSlice())
	} else {
		template.DNSNames = []string{host}
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return "", fmt.Errorf("make a certificate: %w", err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})), nil
}
