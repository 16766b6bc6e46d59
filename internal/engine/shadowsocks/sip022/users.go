package sip022

import (
	"crypto/cipher"

	"vpn/internal/protocol/shadowsocks"
	"vpn/internal/vpn"
)

// A user is one credential: a key.
type user struct {
	credential vpn.CredentialID
	secret     vpn.Secret
	key        []byte
	identity   identity
}

// keys are the server's own and all users'. They are replaced, never changed;
// the user of a credential that has not changed is the same *user in both.
type keys struct {
	method shadowsocks.Method
	server []byte
	block  cipher.Block // with the server's key
	size   int          // of each key, and of a salt

	byID       map[vpn.CredentialID]*user
	byIdentity map[identity]*user
}

// plan returns the keys that a server and its grants have, and the credentials
// that are gone or have another secret. It changes nothing.
func (k *keys) plan(m shadowsocks.Method, server []byte, grants []vpn.Grant) (next *keys, gone map[vpn.CredentialID]bool, err error) {
	next = &keys{
		method: m, server: server, block: newBlock(server), size: len(server),
		byID:       make(map[vpn.CredentialID]*user, len(grants)),
		byIdentity: make(map[identity]*user, len(grants)),
	}
	gone = map[vpn.CredentialID]bool{}
	for i := range grants {
		g := &grants[i]
		u := k.byID[g.Credential]
		if u == nil || k.method != m || !u.secret.Equal(g.Secret) {
			if u != nil && !u.secret.Equal(g.Secret) { // what lives has agreed on keys of its own
				gone[g.Credential] = true
			}
			key, err := shadowsocks.UserPSK(m, g.Secret)
			if err != nil {
				return nil, nil, err
			}
			u = &user{credential: g.Credential, secret: g.Secret, key: key, identity: identityOf(key)}
		}
		if other := next.byIdentity[u.identity]; other != nil {
			return nil, nil, vpn.Errorf(vpn.Invalid, "credentials %s and %s have the same key", other.credential, u.credential).
				WithHint("rotate one of them")
		}
		next.byID[g.Credential], next.byIdentity[u.identity] = u, u
	}
	for id := range k.byID {
		if next.byID[id] == nil {
			gone[id] = true
		}
	}
	return next, gone, nil
}

// has reports whether a user may still come in.
func (k *keys) has(u *user) bool { return k.byID[u.credential] == u }
