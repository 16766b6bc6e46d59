package vless

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"time"

	"vpn/internal/vpn"
)

// Keys are the private part ([vpn.Server.Private] as JSON).
type Keys struct {
	PrivateKey string `json:"private_key"`         // raw base64url X25519
	SelfCert   string `json:"self_cert,omitempty"` // PEM, for SelfTarget only
	SelfKey    string `json:"self_key,omitempty"`  // PEM, of SelfCert
}

// ParseKeys reads a server's keys. Its errors tell nothing of what was read.
func ParseKeys(s vpn.Secret) (Keys, error) {
	var k Keys
	damaged := vpn.Errorf(vpn.Invalid, "the server's keys are damaged").
		WithHint("delete the server and create it anew, or restore a backup")
	if json.Unmarshal([]byte(s.Reveal()), &k) != nil {
		return Keys{}, damaged
	}
	if _, err := privateKey(k.PrivateKey); err != nil {
		return Keys{}, damaged
	}
	if (k.SelfCert == "") != (k.SelfKey == "") {
		return Keys{}, damaged
	}
	return k, nil
}

// prepareKeys returns the keys in private and makes those that are missing.
// It writes their public half into set.
func prepareKeys(private vpn.Secret, set *Settings) (Keys, error) {
	var keys Keys
	var err error
	if private.IsZero() {
		keys, err = newKeys()
	} else {
		keys, err = ParseKeys(private)
	}
	if err != nil {
		return Keys{}, err
	}
	key, err := privateKey(keys.PrivateKey)
	if err != nil {
		return Keys{}, err
	}
	public := base64.RawURLEncoding.EncodeToString(key.PublicKey().Bytes())
	if set.PublicKey != "" && set.PublicKey != public {
		return Keys{}, vpn.Errorf(vpn.Invalid, "the public key does not belong to the server's private key").
			WithHint("leave public_key out: it is made")
	}
	set.PublicKey = public
	if set.Target == SelfTarget && keys.SelfCert == "" {
		keys.SelfCert, keys.SelfKey, err = selfSigned(set.ServerNames)
	}
	return keys, err
}

func newKeys() (Keys, error) {
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return Keys{}, fmt.Errorf("make an X25519 key: %w", err)
	}
	return Keys{PrivateKey: base64.RawURLEncoding.EncodeToString(key.Bytes())}, nil
}

func privateKey(text string) (*ecdh.PrivateKey, error) {
	b, err := decodeKey(text)
	if err != nil {
		return nil, err
	}
	return ecdh.X25519().NewPrivateKey(b)
}

func decodeKey(text string) ([]byte, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, err
	}
	if len(b) != 32 {
		return nil, fmt.Errorf("key of %d bytes", len(b))
	}
	return b, nil
}

func newShortID() string {
	b := make([]byte, 8)
	_, _ = rand.Read(b) // never fails: the program ends instead
	return hex.EncodeToString(b)
}

// selfSigned makes the certificate that strangers see in place of a target's.
// Its dates are fixed, so that they do not tell when the server was set up.
func selfSigned(names []string) (certPEM, keyPEM string, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", fmt.Errorf("make an ECDSA key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return "", "", fmt.Errorf("make a serial number: %w", err)
	}
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: commonName(names[0])},
		DNSNames:              names,
		NotBefore:             from,
		NotAfter:              from.AddDate(10, 0, 0),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return "", "", fmt.Errorf("make a certificate: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", "", fmt.Errorf("encode a private key: %w", err)
	}
	certPEM = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}))
	keyPEM = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	return certPEM, keyPEM, nil
}

// commonName returns name if it fits that field, which ends at 64 letters.
func commonName(name string) string {
	if len(name) > 64 {
		return ""
	}
	return name
}
