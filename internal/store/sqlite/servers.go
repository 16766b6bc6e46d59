package sqlite

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"

	"vpn/internal/vpn"
)

// servers implements [app.ServerStore].
type servers struct{ t *txn }

const serverColumns = `id, name, protocol, runtime, container, listen, port, public_host, enabled, allow, settings, private,
	slot, created_at, updated_at, deleted_at`

func scanServer(row scanner) (vpn.Server, error) {
	var (
		s                                           vpn.Server
		container, listen, allow, settings, private string
		created, updated, deleted                   int64
	)
	err := row.Scan(&s.ID, &s.Name, &s.Protocol, &s.Runtime, &container, &listen, &s.Port, &s.PublicHost, &s.Enabled, &allow, &settings,
		&private, &s.Slot, &created, &updated, &deleted)
	if err != nil {
		return s, err
	}
	if err := s.Listen.UnmarshalText([]byte(listen)); err != nil {
		return s, err
	}
	for text := range strings.FieldsSeq(allow) {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return s, err
		}
		s.Allow = append(s.Allow, p)
	}
	if container != "" {
		if err := json.Unmarshal([]byte(container), &s.Container); err != nil {
			return s, err
		}
	}
	if settings != "" {
		s.Settings = json.RawMessage(settings)
	}
	if private != "" {
		s.Private = vpn.NewSecret(private)
	}
	s.CreatedAt, s.UpdatedAt, s.DeletedAt = moment(created), moment(updated), moment(deleted)
	return s, nil
}

func noServer(id vpn.ServerID) error { return vpn.Errorf(vpn.NotFound, "no server has the id %q", id) }

func (s servers) Get(id vpn.ServerID) (vpn.Server, error) {
	srv, ok, err := find(s.t, scanServer, `SELECT `+serverColumns+` FROM servers WHERE id = $1`, string(id))
	if err == nil && !ok {
		err = noServer(id)
	}
	return srv, err
}

func (s servers) ByName(name string) (vpn.Server, error) {
	srv, ok, err := find(s.t, scanServer, `SELECT `+serverColumns+` FROM servers WHERE name = $1 AND deleted_at = 0`, name)
	if err == nil && !ok {
		err = vpn.Errorf(vpn.NotFound, "no server is named %q", name)
	}
	return srv, err
}

func (s servers) List() ([]vpn.Server, error) {
	all, err := collect(s.t, scanServer, `SELECT `+serverColumns+` FROM servers WHERE deleted_at = 0`)
	slices.SortFunc(all, func(a, b vpn.Server) int { return strings.Compare(a.Name, b.Name) })
	return all, err
}

func (s servers) Put(srv vpn.Server) (vpn.Server, error) {
	if _, err := s.t.change(); err != nil {
		return vpn.Server{}, err
	}
	allow := make([]string, len(srv.Allow))
	for i, p := range srv.Allow {
		if !p.IsValid() {
			return vpn.Server{}, s.t.fail(vpn.Errorf(vpn.Invalid, "server %q allows something that is no network", srv.Name))
		}
		allow[i] = p.String()
	}
	container := ""
	if srv.Container != nil {
		text, err := json.Marshal(srv.Container)
		if err != nil {
			return vpn.Server{}, err
		}
		container = string(text)
	}
	slot, err := s.slot(srv)
	if err != nil {
		return vpn.Server{}, err
	}
	_, err = s.t.exec(`INSERT INTO servers (`+serverColumns+`, used_up, used_down, purged)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, 0, 0, 0)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name, protocol = excluded.protocol, runtime = excluded.runtime, container = excluded.container,
			listen = excluded.listen, port = excluded.port, public_host = excluded.public_host,
			enabled = excluded.enabled, allow = excluded.allow, settings = excluded.settings, private = excluded.private,
			slot = excluded.slot, created_at = excluded.created_at, updated_at = excluded.updated_at,
			deleted_at = excluded.deleted_at`,
		string(srv.ID), srv.Name, string(srv.Protocol), srv.Runtime, container, addrText(srv.Listen), int64(srv.Port), srv.PublicHost,
		srv.Enabled, strings.Join(allow, " "), string(srv.Settings), []byte(srv.Private.Reveal()),
		slot, micros(srv.CreatedAt), micros(srv.UpdatedAt), micros(srv.DeletedAt))
	if isUnique(err) {
		return vpn.Server{}, s.t.fail(taken("server", srv.Name, err))
	}
	if err != nil {
		return vpn.Server{}, err
	}
	return s.Get(srv.ID)
}

func addrText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// slot returns the slot that srv has, or the lowest free one if it has none
// or was deleted and another has taken it since.
func (s servers) slot(srv vpn.Server) (int64, error) {
	had, ok, err := find(s.t, scanNumber, `SELECT slot FROM servers WHERE id = $1`, string(srv.ID))
	if err != nil {
		return 0, err
	}
	others, err := collect(s.t, scanNumber, `SELECT slot FROM servers WHERE deleted_at = 0 AND id <> $1`, string(srv.ID))
	if err != nil {
		return 0, err
	}
	if ok && (!srv.DeletedAt.IsZero() || !slices.Contains(others, had)) {
		return had, nil
	}
	var free int64
	for slices.Contains(others, free) {
		free++
	}
	return free, nil
}
