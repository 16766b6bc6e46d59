package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"os"
	"path/filepath"

	"vpn/internal/vpn"
)

// Backup writes a copy of the store to a new file that only its owner can
// read. The file has its name only once the copy was found to be whole. Put
// in the place of a store, the copy begins a new generation.
//
// Views go on meanwhile; updates wait.
func (s *Store) Backup(ctx context.Context, path string) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.running.Done()
	path, err := filepath.Abs(path)
	if err != nil {
		return fileError(err)
	}
	if _, err := os.Lstat(path); err == nil {
		return vpn.Errorf(vpn.Conflict, "%s exists already", path).WithHint("choose another name, or remove it first")
	}
	return copyTo(ctx, s.write, path)
}

// copyTo replaces path by a copy of db.
func copyTo(ctx context.Context, db *sql.DB, path string) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.new")
	if err != nil {
		return fileError(err)
	}
	unfinished := f.Name()
	defer func() { _ = removeDatabase(unfinished) }()
	if err := errors.Join(f.Chmod(0o600), f.Close()); err != nil {
		return fileError(err)
	}
	if _, err := db.ExecContext(ctx, `VACUUM INTO $1`, unfinished); err != nil {
		return explain("copy the database", err)
	}
	if err := release(ctx, unfinished); err != nil {
		return err
	}
	return publish(unfinished, path)
}

// release checks a copy and takes the life of its original from it: a worker
// that knows a later revision of that life would refuse an earlier one.
func release(ctx context.Context, path string) error {
	db := connect(dsn(path, url.Values{"mode": {"rw"}, "_pragma": {"journal_mode(MEMORY)", "trusted_schema(0)"}}))
	defer func() { _ = db.Close() }() // for the errors on the way
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(ctx, `UPDATE meta SET generation = ''`); err != nil {
		return explain("mark the copy", err)
	}
	if err := checkIntegrity(ctx, db, path); err != nil {
		return err
	}
	return explain("close the copy", db.Close())
}
