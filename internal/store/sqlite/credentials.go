package sqlite

import (
	"vpn/internal/app"
	"vpn/internal/vpn"
)

// credentials implements [app.CredentialStore].
type credentials struct{ t *txn }

const credentialColumns = `id, user_id, server_id, label, secret, slot, not_before, not_after, created_at, deleted_at`

func scanCredential(row scanner) (vpn.Credential, error) {
	var (
		c                                     vpn.Credential
		id, user, server, secret              string
		notBefore, notAfter, created, deleted int64
	)
	err := row.Scan(&id, &user, &server, &c.Label, &secret, &c.Slot, &notBefore, &notAfter, &created, &deleted)
	c.ID, c.User, c.Server = vpn.CredentialID(id), vpn.UserID(user), vpn.ServerID(server)
	c.Secret = vpn.NewSecret(secret)
	c.NotBefore, c.NotAfter, c.CreatedAt, c.DeletedAt = moment(notBefore), moment(notAfter), moment(created), moment(deleted)
	return c, err
}

func (s credentials) ForUser(id vpn.UserID) ([]vpn.Credential, error) {
	return collect(s.t, scanCredential, `SELECT `+credentialColumns+` FROM credentials
		WHERE user_id = $1 AND deleted_at = 0 ORDER BY created_at, id`, string(id))
}

func (s credentials) ForServer(id vpn.ServerID) ([]vpn.Credential, error) {
	return collect(s.t, scanCredential, `SELECT `+credentialColumns+` FROM credentials
		WHERE server_id = $1 AND deleted_at = 0 ORDER BY created_at, id`, string(id))
}

// Tombstones implements [app.CredentialStore].
func (s credentials) Tombstones(id vpn.UserID) ([]vpn.Credential, error) {
	return collect(s.t, scanCredential, `SELECT `+credentialColumns+` FROM credentials
		WHERE user_id = $1 AND deleted_at <> 0 AND server_id IN (SELECT id FROM servers WHERE deleted_at = 0)
		ORDER BY created_at, id`, string(id))
}

// Put implements [app.CredentialStore]. A credential stays with its user and
// server: a worker that knew it elsewhere would never hear that it has left.
func (s credentials) Put(c vpn.Credential) error {
	revision, err := s.t.change()
	if err != nil {
		return err
	}
	slot, err := s.slot(c)
	if err != nil {
		return err
	}
	n, err := s.t.exec(`INSERT INTO credentials (`+credentialColumns+`, revision)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
		ON CONFLICT (id) DO UPDATE SET label = excluded.label, secret = excluded.secret,
			not_before = excluded.not_before, not_after = excluded.not_after,
			created_at = excluded.created_at, deleted_at = excluded.deleted_at, revision = excluded.revision
		WHERE credentials.user_id = excluded.user_id AND credentials.server_id = excluded.server_id`,
		string(c.ID), string(c.User), string(c.Server), c.Label, []byte(c.Secret.Reveal()), slot,
		micros(c.NotBefore), micros(c.NotAfter), micros(c.CreatedAt), micros(c.DeletedAt), int64(revision))
	switch {
	case isOrphan(err):
		return s.t.fail(&vpn.Error{
			Kind: vpn.NotFound, Message: "the user or the server of a credential is not there", Err: err,
		})
	case err == nil && n == 0:
		return s.t.fail(vpn.Errorf(vpn.Conflict, "credential %q belongs to another user or server", c.ID))
	}
	return err
}

// Slots implements [app.CredentialStore].
func (s credentials) Slots(id vpn.ServerID) ([]app.Slot, error) {
	scan := func(row scanner) (n app.Slot, err error) {
		err = row.Scan(&n.Number, &n.Lives)
		return n, err
	}
	return collect(s.t, scan, `SELECT slot, deleted_at = 0 FROM credentials WHERE server_id = $1 ORDER BY slot`, string(id))
}

// slot returns the slot that c has, or the lowest free one from the one that
// it wants.
func (s credentials) slot(c vpn.Credential) (int64, error) {
	had, ok, err := find(s.t, scanNumber, `SELECT slot FROM credentials WHERE id = $1`, string(c.ID))
	if err != nil || ok {
		return had, err
	}
	wants := int64(c.Slot)
	_, taken, err := find(s.t, scanNumber, `SELECT slot FROM credentials WHERE server_id = $1 AND slot = $2`, string(c.Server), wants)
	if err != nil || !taken {
		return wants, err
	}
	free, _, err := find(s.t, scanNumber, `SELECT c.slot + 1 FROM credentials c WHERE c.server_id = $1 AND c.slot >= $2
		AND NOT EXISTS (SELECT 1 FROM credentials o WHERE o.server_id = c.server_id AND o.slot = c.slot + 1)
		ORDER BY c.slot LIMIT 1`, string(c.Server), wants)
	return free, err
}
