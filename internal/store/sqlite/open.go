package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"time"

	codes "modernc.org/sqlite/lib"

	"vpn/internal/app"
	"vpn/internal/vpn"
)

// maxReaders is how many views run at once; more wait.
const maxReaders = 8

// Open opens the store in the file path, and makes one if there is none. The
// caller holds the [Lock] of its directory.
//
// A store of an older program is brought up to date, after a backup beside it
// (path.before-VERSION). One of a newer program and one that is damaged are
// refused with kind [vpn.Unavailable] and left as they are. A copy made by
// [Store.Backup] begins a new generation.
func Open(ctx context.Context, path string, o Options) (*Store, error) {
	return open(ctx, path, o, migrations())
}

func open(ctx context.Context, path string, o Options, migrations fs.FS) (_ *Store, err error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if path, err = filepath.Abs(path); err != nil {
		return nil, fileError(err)
	}
	defer func() { err = located(path, err) }()
	if err := prepare(ctx, path, o, migrations); err != nil {
		return nil, err
	}
	sealed, err := verify(ctx, path, o, migrations)
	if err != nil {
		return nil, err
	}
	s := &Store{path: path, write: connect(writerDSN(path)), read: readers(path), log: o.Log, sealed: sealed}
	s.write.SetMaxOpenConns(1)
	err = s.start(ctx, o, migrations)
	if _, full := lacksSpace(path, err); full {
		err = s.startToRead(ctx, err, migrations)
	}
	if err != nil {
		_, _ = s.read.Close(), s.write.Close() // err matters more
		return nil, err
	}
	return s, nil
}

// readers returns a pool that only reads.
func readers(path string) *sql.DB {
	db := connect(readerDSN(path))
	db.SetMaxOpenConns(maxReaders)
	db.SetMaxIdleConns(maxReaders)
	db.SetConnMaxIdleTime(time.Minute) // each keeps up to 2 MB of pages
	return db
}

// start makes a verified file ready to be used.
func (s *Store) start(ctx context.Context, o Options, migrations fs.FS) error {
	if !s.sealed {
		if err := breakSeal(s.path); err != nil { // one that is of no use any more
			return err
		}
	}
	if err := s.migrate(ctx, o, migrations); err != nil {
		return err
	}
	err := s.write.QueryRowContext(ctx, `SELECT id, generation FROM meta`).Scan(&s.id, &s.generation)
	if err != nil {
		return explain("read the store's identity", err)
	}
	if s.generation != "" {
		return nil
	}
	s.generation = vpn.NewID()
	return s.update(ctx, func(t *txn) error {
		if _, err := t.exec(`UPDATE meta SET generation = $1`, s.generation); err != nil {
			return err
		}
		return events{t}.Add(systemEvent(o, "store.restore", "a copy was put in place"))
	})
}

func systemEvent(o Options, action, detail string) vpn.Event {
	return vpn.Event{At: o.Now(), Actor: app.System().Name, Action: action, Detail: detail}
}

// prepare sees to it that there is a file at path that only its owner can
// read.
func prepare(ctx context.Context, path string, o Options, migrations fs.FS) error {
	st, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && hasLog(path):
		return damaged(path, errors.New("the file is gone and its log is there"))
	case errors.Is(err, fs.ErrNotExist) && o.NoCreate:
		return vpn.Errorf(vpn.NotFound, "there is no store at %s", path)
	case errors.Is(err, fs.ErrNotExist):
		return create(ctx, path, migrations)
	case err != nil:
		return fileError(err)
	case !st.Mode().IsRegular():
		return inTheWay(path, "store")
	}
	for _, suffix := range []string{"", walSuffix, shmSuffix} {
		if err := restrict(path + suffix); err != nil {
			return err
		}
	}
	return nil
}

// restrict lets only its owner read a file, if it is there.
func restrict(path string) error {
	st, err := os.Lstat(path)
	if err == nil && !st.Mode().IsRegular() {
		return inTheWay(path, "store")
	}
	if err == nil && st.Mode().Perm() != 0o600 {
		err = os.Chmod(path, 0o600)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fileError(err)
	}
	return nil
}

// create makes an empty store. It takes its name when it is whole, so that a
// file of that name that is not whole is a damaged one, and never a new one.
func create(ctx context.Context, path string, migrations fs.FS) (err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fileError(err)
	}
	unfinished := path + ".new"
	defer func() {
		if err != nil {
			_ = removeDatabase(unfinished)
		}
	}()
	if err := removeDatabase(unfinished); err != nil {
		return err
	}
	if err := touch(unfinished); err != nil {
		return err
	}
	db := connect(writerDSN(unfinished))
	defer func() { _ = db.Close() }() // for the errors on the way
	db.SetMaxOpenConns(1)
	if err := up(ctx, db, migrations); err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, `INSERT INTO meta (one, id, generation, revision) VALUES (1, $1, $2, 0)`,
		vpn.NewID(), vpn.NewID())
	if err != nil {
		return explain("write the store's identity", err)
	}
	if err := db.Close(); err != nil {
		return explain("close database", err)
	}
	return publish(unfinished, path)
}

// verify looks at the file at path before anything may change it, and reports
// whether it is, for certain, as this program left it.
func verify(ctx context.Context, path string, o Options, migrations fs.FS) (sealed bool, err error) {
	state := noSeal
	if !hasLog(path) {
		if state, err = readSeal(path); err != nil {
			return false, fileError(err)
		}
	}
	db := connect(inspectorDSN(path))
	defer func() { _ = db.Close() }() // it only reads
	if state != goodSeal {
		began := time.Now()
		if err := checkIntegrity(ctx, db, path); err != nil {
			return false, err
		}
		o.Log.Debug("database checked", slog.String("path", path), slog.Duration("took", time.Since(began)))
	}
	var (
		generation string
		version    int64
	)
	err = db.QueryRowContext(ctx, `SELECT generation, (SELECT MAX(version_id) FROM goose_db_version) FROM meta`).
		Scan(&generation, &version)
	switch {
	case isDamaged(err):
		return false, damaged(path, err)
	case errors.Is(err, sql.ErrNoRows) || code(err) == codes.SQLITE_ERROR: // no such table or column
		return false, notAStore(path, err)
	case err != nil:
		return false, explain("read the database's version", err)
	case state == brokenSeal && generation != "":
		return false, damaged(path, errors.New("its seal does not fit")).
			WithHint("%s; if it was changed on purpose, remove %s", damagedHint, path+sealSuffix)
	}
	return state == goodSeal, checkVersion(path, db, version, migrations)
}

func notAStore(path string, cause error) error {
	return &vpn.Error{
		Kind: vpn.Unavailable, Message: path + " is damaged, or is no store of this program",
		Hint: damagedHint, Err: cause,
	}
}

// checkIntegrity reads the whole database and compares every index with its
// table.
func checkIntegrity(ctx context.Context, db *sql.DB, path string) error {
	var verdict string
	err := db.QueryRowContext(ctx, `PRAGMA integrity_check(1)`).Scan(&verdict)
	switch {
	case isDamaged(err):
		return damaged(path, err)
	case err != nil:
		return explain("check the database", err)
	case verdict != "ok":
		return damaged(path, errors.New(verdict))
	}
	return nil
}

// connect returns a pool that opens connections when they are needed.
func connect(dsn string) *sql.DB {
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		panic(fmt.Sprintf("no SQLite driver, or a bad DSN %q: %v", dsn, err))
	}
	return db
}

// writerDSN never creates a file. BEGIN IMMEDIATE takes the write lock at
// once: a transaction that read first and then found another's lock could
// only fail.
func writerDSN(path string) string {
	return dsn(path, url.Values{
		"mode":    {"rw"},
		"_txlock": {"immediate"},
		"_pragma": {
			"busy_timeout(10000)", // somebody else's: within this process writers queue for the connection
			"cache_size(-8000)",
			"foreign_keys(1)",
			"journal_mode(WAL)",
			"synchronous(FULL)",
			"trusted_schema(0)",
		},
	})
}

func readerDSN(path string) string {
	return dsn(path, url.Values{
		"mode":    {"ro"},
		"_pragma": {"busy_timeout(10000)", "trusted_schema(0)"},
	})
}

// inspectorDSN reads without a trace, unless there is a log, which must be
// read too.
func inspectorDSN(path string) string {
	if hasLog(path) {
		return readerDSN(path)
	}
	return readerDSN(path) + "&immutable=1"
}

func dsn(path string, q url.Values) string {
	q.Set("_defensive", "1")
	q.Set("_dqs", "0")
	q.Set("_error_rc", "1")
	return (&url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}).String()
}
