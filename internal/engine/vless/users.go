package vless

import (
	"context"
	"fmt"

	"github.com/xtls/xray-core/common/protocol"
	"github.com/xtls/xray-core/proxy"
	"github.com/xtls/xray-core/proxy/vless"

	"vpn/internal/vpn"
)

// users are those that xray knows. To xray a user's name is the credential.
type users map[vpn.CredentialID]user

type user struct {
	secret  vpn.Secret
	account *vless.MemoryAccount
}

// A userChange leads from the users that xray knows to others.
type userChange struct {
	next   users
	remove map[vpn.CredentialID]bool // gone, or with another secret
	add    []vpn.CredentialID
}

// plan finds out what grants change. It changes nothing itself.
func (us users) plan(grants []vpn.Grant) (userChange, error) {
	c := userChange{next: make(users, len(grants)), remove: map[vpn.CredentialID]bool{}}
	holders := make(map[[16]byte]vpn.CredentialID, len(grants))
	for i := range grants {
		g := &grants[i]
		u, known := us[g.Credential]
		if !known || !u.secret.Equal(g.Secret) {
			account, err := newAccount(g)
			if err != nil {
				return userChange{}, err
			}
			u = user{g.Secret, account}
			c.add = append(c.add, g.Credential)
			if known {
				c.remove[g.Credential] = true
			}
		}
		// xray would let the second of two equal secrets take the place of
		// the first, and count the one's traffic as the other's.
		id := vless.ProcessUUID(u.account.ID.UUID())
		if other, taken := holders[id]; taken {
			return userChange{}, vpn.Errorf(vpn.Invalid, "credentials %s and %s have the same secret", other, g.Credential).
				WithHint("rotate one of them")
		}
		holders[id] = g.Credential
		c.next[g.Credential] = u
	}
	for id := range us {
		if _, stays := c.next[id]; !stays {
			c.remove[id] = true
		}
	}
	return c, nil
}

// apply tells xray. After an error us is what xray knows.
func (us users) apply(to proxy.UserManager, c userChange) error {
	ctx := context.Background() // xray's user table does no I/O
	for id := range c.remove {
		if err := to.RemoveUser(ctx, string(id)); err != nil {
			return fmt.Errorf("remove credential %s: %w", id, err)
		}
		delete(us, id)
	}
	for _, id := range c.add {
		u := &protocol.MemoryUser{Email: string(id), Account: c.next[id].account}
		if err := to.AddUser(ctx, u); err != nil {
			return fmt.Errorf("add credential %s: %w", id, err)
		}
		us[id] = c.next[id]
	}
	return nil
}

func newAccount(g *vpn.Grant) (*vless.MemoryAccount, error) {
	invalid := vpn.Errorf(vpn.Invalid, "the secret of credential %s is not a UUID", g.Credential).WithHint("rotate it")
	if len(g.Secret.Reveal()) < 32 {
		return nil, invalid // xray would make a UUID from a short word, which then is no secret
	}
	account, err := (&vless.Account{Id: g.Secret.Reveal(), Flow: vless.XRV, Encryption: "none"}).AsAccount()
	if err != nil {
		return nil, invalid // and not err, which quotes the secret
	}
	return account.(*vless.MemoryAccount), nil
}
