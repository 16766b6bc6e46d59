package sqlite

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"vpn/internal/app"
	"vpn/internal/vpn"
)

// txn is one transaction, and what the small stores of an [app.Tx] share.
type txn struct {
	tx       *sql.Tx
	readOnly bool

	// err is the first failure. It stops what follows: after a full disk
	// SQLite rolls back by itself, and the next statement would be a
	// transaction of its own.
	err error

	// stamp is the revision of this transaction's changes; 0: none so far.
	stamp uint64
}

func (t *txn) stores() app.Tx {
	return app.Tx{
		Users:       users{t},
		Servers:     servers{t},
		Credentials: credentials{t},
		Usage:       usage{t},
		History:     history{t},
		Periods:     periods{t},
		Events:      events{t},
		Revision:    t.revision,
	}
}

// revision returns that of the last change.
func (t *txn) revision() (uint64, error) {
	r, ok, err := find(t, scanNumber, `SELECT revision FROM meta`)
	if err == nil && !ok {
		err = t.fail(errors.New("the store has lost its revision"))
	}
	return uint64(r), err
}

// change returns the revision to stamp a changed row with: one per
// transaction, and only if something is changed.
func (t *txn) change() (uint64, error) {
	if t.stamp != 0 {
		return t.stamp, t.err
	}
	if _, err := t.exec(`UPDATE meta SET revision = revision + 1`); err != nil {
		return 0, err
	}
	r, err := t.revision()
	t.stamp = r
	return r, err
}

// fail makes err what the transaction comes to, and returns it.
func (t *txn) fail(err error) error {
	t.err = err
	return err
}

// exec runs a statement and returns how many rows it touched.
func (t *txn) exec(query string, args ...any) (int64, error) {
	if err := t.mayWrite(args); err != nil {
		return 0, err
	}
	res, err := t.tx.Exec(query, args...)
	return t.wrote(res, err)
}

// stmt is a statement that is run many times.
type stmt struct {
	t    *txn
	stmt *sql.Stmt
}

// prepare returns a statement that ends with the transaction.
func (t *txn) prepare(query string) (stmt, error) {
	if t.err != nil {
		return stmt{}, t.err
	}
	p, err := t.tx.Prepare(query)
	if err != nil {
		return stmt{}, t.fail(explain("prepare a statement", err))
	}
	return stmt{t, p}, nil
}

func (s stmt) exec(args ...any) error {
	if err := s.t.mayWrite(args); err != nil {
		return err
	}
	res, err := s.stmt.Exec(args...)
	_, err = s.t.wrote(res, err)
	return err
}

func (t *txn) mayWrite(args []any) error {
	switch {
	case t.err != nil:
		return t.err
	case t.readOnly:
		return t.fail(errors.New("a View tried to write"))
	}
	return t.check(args)
}

func (t *txn) wrote(res sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, t.fail(explain("write to the database", err))
	}
	n, err := res.RowsAffected()
	if err != nil {
		return 0, t.fail(explain("write to the database", err))
	}
	return n, nil
}

// scanner is a row to read.
type scanner interface{ Scan(dest ...any) error }

// each calls fn with every row of the answer to a query.
func (t *txn) each(fn func(scanner) error, query string, args ...any) error {
	if t.err != nil {
		return t.err
	}
	if err := t.check(args); err != nil {
		return err
	}
	rows, err := t.tx.Query(query, args...)
	if err != nil {
		return t.fail(explain("read the database", err))
	}
	defer func() { _ = rows.Close() }() // Err tells what there is to tell
	for rows.Next() {
		if err := fn(rows); err != nil {
			return t.fail(fmt.Errorf("read a row: %w", err))
		}
	}
	if err := rows.Err(); err != nil {
		return t.fail(explain("read the database", err))
	}
	return nil
}

// collect returns what scan makes of each row.
func collect[T any](t *txn, scan func(scanner) (T, error), query string, args ...any) ([]T, error) {
	return collectInto[T](nil, t, scan, query, args...)
}

// collectInto is collect after what is in out.
func collectInto[T any](out []T, t *txn, scan func(scanner) (T, error), query string, args ...any) ([]T, error) {
	err := t.each(func(row scanner) error {
		v, err := scan(row)
		out = append(out, v)
		return err
	}, query, args...)
	if err != nil {
		return nil, err
	}
	return out, nil
}

// find returns the first row, and whether there is one.
func find[T any](t *txn, scan func(scanner) (T, error), query string, args ...any) (first T, ok bool, err error) {
	rows, err := collect(t, scan, query, args...)
	if err != nil || len(rows) == 0 {
		return first, false, err
	}
	return rows[0], true, nil
}

func scanNumber(row scanner) (n int64, err error) {
	err = row.Scan(&n)
	return n, err
}

// check refuses text that not every database keeps as it is.
func (t *txn) check(args []any) error {
	for _, a := range args {
		switch a := a.(type) {
		case string:
			if !utf8.ValidString(a) || strings.IndexByte(a, 0) >= 0 {
				return t.fail(vpn.Errorf(vpn.Invalid, "%q is not text", a).WithHint("use UTF-8 without NUL characters"))
			}
		case int64, bool, []byte:
		default:
			return t.fail(fmt.Errorf("a statement's argument is a %T", a))
		}
	}
	return nil
}

// micros is how times are stored. Every time but the zero one stays a time: 0
// would mean that a credential never ends.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	if us := t.UnixMicro(); us != 0 {
		return us
	}
	return 1
}

func moment(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// stored is how a count of bytes is stored.
func stored(n uint64) int64 { return int64(min(n, vpn.MaxTraffic)) }
