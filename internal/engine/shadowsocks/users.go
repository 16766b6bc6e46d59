package shadowsocks

import (
	"sync/atomic"

	"github.com/Jigsaw-Code/outline-sdk/transport/shadowsocks"
	"github.com/Jigsaw-Code/outline-ss-server/service"

	"vpn/internal/protocol"
	settings "vpn/internal/protocol/shadowsocks"
	"vpn/internal/vpn"
)

// A key is one credential's.
type key struct {
	credential vpn.CredentialID
	secret     vpn.Secret
	method     settings.Method
	entry      service.CipherEntry // the library keeps nothing in it of a list that is not its own

	associations atomic.Int64 // that live
}

// users are all that there are. They are replaced, never changed; what stays
// of an old set in a new one is the same *key.
type users struct {
	byID     map[vpn.CredentialID]*key
	byPort   map[uint16]map[vpn.CredentialID]*key
	homeless map[vpn.CredentialID]uint32 // their slots: the server has no port for them
}

// plan returns the users that grants make of a server whose first port is
// given, and the credentials that are gone or have another secret. It changes
// nothing. Connections outlive a change of the method: their keys were agreed
// on.
func (us *users) plan(set settings.Settings, first uint16, grants []vpn.Grant) (next *users, gone map[vpn.CredentialID]bool, err error) {
	next = &users{
		byID:     make(map[vpn.CredentialID]*key, len(grants)),
		byPort:   map[uint16]map[vpn.CredentialID]*key{first: {}},
		homeless: map[vpn.CredentialID]uint32{},
	}
	gone = map[vpn.CredentialID]bool{}
	holders := make(map[string]vpn.CredentialID, len(grants))
	for i := range grants {
		g := &grants[i]
		k := us.byID[g.Credential]
		if k != nil && !k.secret.Equal(g.Secret) {
			gone[g.Credential] = true
			k = nil
		}
		if k == nil || k.method != set.Method {
			if k, err = newKey(set.Method, g); err != nil {
				return nil, nil, err
			}
		}
		// Whose traffic it is could not be told of two with equal keys.
		if other, taken := holders[g.Secret.Reveal()]; taken {
			return nil, nil, vpn.Errorf(vpn.Invalid, "credentials %s and %s have the same password", other, g.Credential).
				WithHint("rotate one of them")
		}
		holders[g.Secret.Reveal()] = g.Credential
		next.byID[g.Credential] = k
		port, ok := protocol.PortOf(first, set.PerPort(), g.Slot)
		if !ok {
			next.homeless[g.Credential] = g.Slot
			continue
		}
		if next.byPort[port] == nil {
			next.byPort[port] = map[vpn.CredentialID]*key{}
		}
		next.byPort[port][g.Credential] = k
	}
	for id := range us.byID {
		if next.byID[id] == nil {
			gone[id] = true
		}
	}
	return next, gone, nil
}

func newKey(m settings.Method, g *vpn.Grant) (*key, error) {
	if err := settings.ValidSecret(g.Secret); err != nil {
		return nil, err
	}
	secret := g.Secret.Reveal()
	crypto, err := shadowsocks.NewEncryptionKey(string(m), secret)
	if err != nil {
		return nil, vpn.Errorf(vpn.Invalid, "the method %s is not known", m)
	}
	return &key{
		credential: g.Credential, secret: g.Secret, method: m, entry: service.MakeCipherEntry(string(g.Credential), crypto, secret),
	}, nil
}

// has reports whether a key may still be used.
func (us *users) has(k *key) bool {
	now := us.byID[k.credential]
	return now != nil && (now == k || now.secret.Equal(k.secret))
}
