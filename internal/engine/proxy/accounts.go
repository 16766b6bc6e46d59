package proxy

import (
	"crypto/sha256"
	"crypto/subtle"

	"vpn/internal/protocol/proxy"
	"vpn/internal/vpn"
)

// An account is one credential: a name and a password.
type account struct {
	credential vpn.CredentialID
	user       vpn.UserID
	name       string
	secret     vpn.Secret
	hash       [sha256.Size]byte
}

// accounts are all that there are. They are replaced, never changed; what
// stays of an old set in a new one is the same *account.
type accounts struct {
	byID   map[vpn.CredentialID]*account
	byName map[string][]*account // a user may have several: one for each device
}

// plan returns the accounts that grants make, and the credentials that are
// gone or have another password. It changes nothing.
func (as *accounts) plan(grants []vpn.Grant) (next *accounts, gone map[vpn.CredentialID]bool, err error) {
	next = &accounts{
		byID:   make(map[vpn.CredentialID]*account, len(grants)),
		byName: make(map[string][]*account, len(grants)),
	}
	gone = map[vpn.CredentialID]bool{}
	holders := make(map[[sha256.Size]byte]vpn.CredentialID, len(grants))
	for i := range grants {
		g := &grants[i]
		a := as.byID[g.Credential]
		if a == nil || !a.secret.Equal(g.Secret) {
			if err := proxy.ValidSecret(g.Secret); err != nil {
				return nil, nil, err
			}
			if a != nil {
				gone[g.Credential] = true
			}
			a = &account{g.Credential, g.User, g.Name, g.Secret, sha256.Sum256([]byte(g.Secret.Reveal()))}
		} else if a.name != g.Name || a.user != g.User {
			a = &account{g.Credential, g.User, g.Name, g.Secret, a.hash}
		}
		if other, taken := holders[a.hash]; taken {
			return nil, nil, vpn.Errorf(vpn.Invalid, "credentials %s and %s have the same password", other, g.Credential).
				WithHint("rotate one of them")
		}
		holders[a.hash] = g.Credential
		next.byID[g.Credential] = a
		next.byName[g.Name] = append(next.byName[g.Name], a)
	}
	for id := range as.byID {
		if next.byID[id] == nil {
			gone[id] = true
		}
	}
	return next, gone, nil
}

// check returns the account of that name and password, or nil. It takes as
// long for a name that is unknown as for a password that is wrong.
func (as *accounts) check(name, password string) *account {
	hash := sha256.Sum256([]byte(password))
	candidates := as.byName[name]
	if len(candidates) == 0 {
		candidates = []*account{nobody}
	}
	var found *account
	for _, a := range candidates {
		if subtle.ConstantTimeCompare(hash[:], a.hash[:]) == 1 {
			found = a
		}
	}
	if found == nobody {
		return nil
	}
	return found
}

// nobody has a password whose hash is nothing's.
var nobody = &account{} //nolint:gochecknoglobals // a constant, for which the language has no literal

// anonymous returns the account on which clients without a password of a user
// come in, or nil if there is no such user.
func (as *accounts) anonymous(user string) *account {
	if list := as.byName[user]; user != "" && len(list) > 0 {
		return list[0]
	}
	return nil
}

// has reports whether a credential may still be used as it was when its
// holder showed the password.
func (as *accounts) has(a *account) bool {
	now := as.byID[a.credential]
	return now != nil && now.hash == a.hash
}
