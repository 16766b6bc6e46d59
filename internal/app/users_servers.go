package app

import (
	"slices"
	"strings"

	"vpn/internal/vpn"
)

// allow changes which servers let usr in, as p says, and says for the audit
// log what it did. What is not allowed any more keeps its credentials, which
// its worker refuses: the links work again when it is allowed again.
func allow(tx Tx, usr *vpn.User, p vpn.UserPatch) ([]string, error) {
	switch {
	case p.AllServers && p.Servers != nil:
		return nil, vpn.Errorf(vpn.Invalid, "all servers and some servers exclude each other").WithHint("leave one of them out")
	case p.AllServers:
		usr.AllowedServers = nil
		return []string{"all servers"}, nil
	case p.Servers != nil:
		ids, err := serverIDs(tx, *p.Servers)
		if err != nil {
			return nil, err
		}
		usr.AllowedServers = ids
		return []string{"servers " + strings.Join(*p.Servers, " ")}, nil
	}
	return nil, nil
}

// serverIDs returns the ids of servers that are given by name or ID. It is
// never nil: no server at all is a list, too.
func serverIDs(tx Tx, names []string) ([]vpn.ServerID, error) {
	ids := []vpn.ServerID{}
	for _, name := range names {
		s, err := findServer(tx, name)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(ids, s.ID) {
			ids = append(ids, s.ID)
		}
	}
	return ids, nil
}
