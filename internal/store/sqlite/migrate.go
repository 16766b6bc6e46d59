package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/pressly/goose/v3"

	"vpn/internal/vpn"
)

//go:embed migrations/*.sql
var files embed.FS

func migrations() fs.FS {
	sub, err := fs.Sub(files, "migrations")
	if err != nil {
		panic(err) // the directive above has a bad path
	}
	return sub
}

func provider(db *sql.DB, migrations fs.FS) (*goose.Provider, error) {
	p, err := goose.NewProvider(goose.DialectSQLite3, db, migrations, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	return p, nil
}

// up brings a database to the newest version.
func up(ctx context.Context, db *sql.DB, migrations fs.FS) error {
	p, err := provider(db, migrations)
	if err != nil {
		return err
	}
	_, err = p.Up(ctx)
	return explain("migrate the database", err)
}

// checkVersion refuses a database that a newer program has written.
func checkVersion(path string, db *sql.DB, have int64, migrations fs.FS) error {
	newest, err := newestVersion(db, migrations)
	if err != nil {
		return err
	}
	if have <= newest {
		return nil
	}
	return vpn.Errorf(vpn.Unavailable, "the store %s has version %d, and this program knows versions up to %d", path, have, newest).
		WithHint("use the newer program; the backup that it made before the change is beside the store")
}

// newestVersion returns the version that this program writes.
func newestVersion(db *sql.DB, migrations fs.FS) (int64, error) {
	p, err := provider(db, migrations)
	if err != nil {
		return 0, err
	}
	sources := p.ListSources()
	return sources[len(sources)-1].Version, nil
}

// migrate brings the store up to date. It takes a backup before it changes
// anything.
func (s *Store) migrate(ctx context.Context, o Options, migrations fs.FS) error {
	p, err := provider(s.write, migrations)
	if err != nil {
		return err
	}
	have, want, err := p.GetVersions(ctx)
	if err != nil {
		return explain("read the database's version", err)
	}
	if have == want {
		return nil
	}
	backup := fmt.Sprintf("%s.before-%d", s.path, want)
	if err := copyTo(ctx, s.write, backup); err != nil {
		return err
	}
	if err := s.unseal(); err != nil {
		return err
	}
	if err := up(ctx, s.write, migrations); err != nil {
		return err
	}
	s.log.Info("store migrated", slog.Int64("from", have), slog.Int64("to", want), slog.String("backup", backup))
	return s.update(ctx, func(t *txn) error {
		return events{t}.Add(systemEvent(o, "store.migrate", fmt.Sprintf("from version %d to %d; backup in %s", have, want, backup)))
	})
}
