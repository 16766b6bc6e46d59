package sqlite

import (
	"vpn/internal/vpn"
)

// credentials implements [app.CredentialStore].
type credentials struct{ t *txn }

const credentialColumns = `id, user_id, server_id, label, secret, not_before, not_after, created_at, deleted_at`

func scanCredential(row scanner) (vpn.Credential, error) {
	var (
		c                                     vpn.Credential
		id, user, server, secret              string
		notBefore, notAfter, created, deleted int64
	)
	err := row.Scan(&id, &user, &server, &c.Label, &secret, &notBefore, &notAfter, &created, &deleted)
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
	n, err := s.t.exec(`INSERT INTO credentials (`+credentialColumns+`, revision)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
		ON CONFLICT (id) DO UPDATE SET label = excluded.label, secret = excluded.secret,
			not_before = excluded.not_before, not_after = excluded.not_after,
			created_at = excluded.created_at, deleted_at = excluded.deleted_at, revision = excluded.revision
		WHERE credentials.user_id = excluded.user_id AND credentials.server_id = excluded.server_id`,
		string(c.ID), string(c.User), string(c.Server), c.Label, []byte(c.Secret.Reveal()),
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
