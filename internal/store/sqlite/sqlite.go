// Package sqlite is the embedded store: it fills [app.Store] with one SQLite
// file in the data directory. It alone knows SQL.
//
// One process owns the file, by [Lock]. Within it one connection writes and a
// few read: a reader sees the state that stood when its transaction began and
// waits for nobody. What is committed is on the disk.
//
// It decides nothing: which names are good, who may do what and when a
// tombstone goes is its caller's business. Its SQL keeps to what PostgreSQL
// takes too; what SQLite alone has (pragmas, VACUUM INTO) is not in the files
// named after nouns.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"vpn/internal/app"
	"vpn/internal/vpn"
)

var _ app.Store = (*Store)(nil)

// Options are what [Open] is told. The zero value will do.
type Options struct {
	// NoCreate makes Open fail with kind [vpn.NotFound] if there is no store.
	NoCreate bool

	// Now dates what the store itself adds to the audit log; nil: [time.Now].
	Now func() time.Time

	Log *slog.Logger // nil: nothing is logged
}

// Store is an open store. Its methods may be called concurrently. An Update
// must not be begun inside another: it would wait for itself.
type Store struct {
	path           string
	id, generation string
	write          *sql.DB // one connection
	log            *slog.Logger

	reading  sync.RWMutex // held for reading by who uses read
	read     *sql.DB
	readOnly atomic.Bool // the disk was full when the store was opened, and nothing was written since

	mu      sync.Mutex
	closed  bool
	sealed  bool           // the seal on the disk is that of the file
	running sync.WaitGroup // transactions and backups; added to under mu unless closed
}

// ID implements [app.Store].
func (s *Store) ID() string { return s.id }

// Generation implements [app.Store].
func (s *Store) Generation() string { return s.generation }

// View implements [app.Store]. A write in it fails.
func (s *Store) View(ctx context.Context, fn func(app.Tx) error) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.running.Done()
	s.reading.RLock()
	defer s.reading.RUnlock()
	return run(ctx, s.read, true, func(t *txn) error { return fn(t.stores()) })
}

// Update implements [app.Store]. What fails inside it, other than that
// something is not found, fails the whole: fn cannot let it pass.
func (s *Store) Update(ctx context.Context, fn func(app.Tx) error) error {
	return s.update(ctx, func(t *txn) error { return fn(t.stores()) })
}

func (s *Store) update(ctx context.Context, fn func(*txn) error) (err error) {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.running.Done()
	defer func() { err = located(s.path, err) }()
	if err := s.mayWrite(ctx); err != nil {
		return err
	}
	if err := s.unseal(); err != nil {
		return err
	}
	return run(ctx, s.write, false, fn)
}

// Close waits for what is running and closes the store. Everything is in one
// file then, without a log beside it. Closing it again does nothing.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	s.running.Wait()
	// The writer goes last: the last connection brings the log home, and a
	// reader could not.
	if err := errors.Join(s.read.Close(), s.write.Close()); err != nil {
		return explain("close database", err)
	}
	if !s.sealed && !s.readOnly.Load() {
		// Without a seal the next start is slower, and no less right.
		if err := seal(s.path); err != nil {
			s.log.Warn("database not sealed", slog.Any("err", err))
		}
	}
	return nil
}

// enter counts something in that Close waits for.
func (s *Store) enter() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return vpn.Errorf(vpn.Unavailable, "the store is closed")
	}
	s.running.Add(1)
	return nil
}

// unseal must come before anything that changes the file.
func (s *Store) unseal() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.sealed {
		return nil
	}
	if err := breakSeal(s.path); err != nil {
		return err
	}
	s.sealed = false
	return nil
}

// run runs fn in a transaction of db. A transaction ends with its context:
// database/sql rolls it back then, and what fn still asks for fails.
func run(ctx context.Context, db *sql.DB, readOnly bool, fn func(*txn) error) (err error) {
	defer func() {
		if err != nil && errors.Is(err, sql.ErrTxDone) && ctx.Err() != nil {
			err = ctx.Err()
		}
	}()
	sqlTx, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: readOnly})
	if err != nil {
		return explain("begin a transaction", err)
	}
	defer func() { _ = sqlTx.Rollback() }() // after a commit it does nothing
	t := &txn{tx: sqlTx, readOnly: readOnly}
	if err := fn(t); err != nil {
		return err
	}
	if t.err != nil || readOnly {
		return t.err
	}
	return explain("commit", sqlTx.Commit())
}
