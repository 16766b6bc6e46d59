package app

import (
	"context"
	"slices"

	"vpn/internal/protocol"
	"vpn/internal/vpn"
)

// named returns the users that the settings of s name.
func named(c *core, s vpn.Server) []string {
	p, err := c.Protocols.Get(s.Protocol)
	if err != nil {
		return nil
	}
	return protocol.Names(p, s)
}

// checkNamed returns an error if the settings of s name somebody who is not
// there, unless it did before.
func checkNamed(c *core, tx Tx, s vpn.Server, before []string) error {
	for _, name := range named(c, s) {
		if slices.Contains(before, name) {
			continue
		}
		switch _, err := tx.Users.ByName(name); {
		case vpn.KindOf(err) == vpn.NotFound:
			return unknownUser(tx, name)
		case err != nil:
			return err
		}
	}
	return nil
}

// namedWarnings returns who is named by the settings of s and cannot be meant:
// users go, and are renamed, and lose access.
func namedWarnings(c *core, s vpn.Server) (out []string) {
	names := named(c, s)
	if len(names) == 0 || !s.DeletedAt.IsZero() {
		return nil
	}
	_ = c.Store.View(context.Background(), func(tx Tx) error { // without it, it is a warning less
		for _, name := range names {
			switch usr, err := tx.Users.ByName(name); {
			case vpn.KindOf(err) == vpn.NotFound:
				out = append(out, "server "+s.Name+" lets clients in on the account of user "+name+
					", who is not there: they are refused. Name another: vpn server update "+s.Name+" --anonymous-user NAME")
			case err == nil && !usr.MayUse(s.ID):
				out = append(out, "server "+s.Name+" lets clients in on the account of user "+name+
					", whom it does not let in: they are refused. Let the user in: vpn users update "+name+" --all-servers, or --server with each of its servers")
			}
		}
		return nil
	})
	return out
}
