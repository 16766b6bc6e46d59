package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"syscall"

	codes "modernc.org/sqlite/lib"

	"vpn/internal/vpn"
)

// enough is how much must be free for SQLite's failures to have another cause
// than the lack of it: it needs this much beside a database to open it.
const enough = 64 << 10

// A room is what the file system of a directory has free.
type room struct {
	bytes, size uint64
	files       uint64 // that can still be made
	countsFiles bool   // not all file systems do
}

// located says of an error that a full disk has caused which directory that
// is, and what is free there. Others it returns as they are.
func located(path string, err error) error {
	r, full := lacksSpace(path, err)
	if !full {
		return err
	}
	dir := filepath.Dir(path)
	free := fmt.Sprintf("%s has %s of %s free", dir, vpn.FormatSize(r.bytes), vpn.FormatSize(r.size))
	if r.countsFiles && r.files == 0 {
		free = dir + " has room for no more files"
	}
	return &vpn.Error{
		Kind: vpn.Unavailable, Message: "the disk is full: nothing was changed: " + free,
		Hint: "free some space there, then try again; servers that run go on meanwhile", Err: err,
	}
}

// lacksSpace reports whether a full disk has caused err. SQLite tells so by
// one code, and in places where it could not go on by others.
func lacksSpace(path string, err error) (room, bool) {
	c := code(err) & 0xff
	full := c == codes.SQLITE_FULL || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
	if !full && c != codes.SQLITE_IOERR && c != codes.SQLITE_CANTOPEN {
		return room{}, false
	}
	r, ok := roomAt(filepath.Dir(path))
	if !ok {
		return room{}, false
	}
	return r, full || r.bytes < enough || r.countsFiles && r.files == 0
}

// startToRead makes a store ready that SQLite cannot open for cause, the lack
// of space: what is in it can be read as long as nobody writes, and servers
// are started by that. It fails if there is more to do than to read.
func (s *Store) startToRead(ctx context.Context, cause error, migrations fs.FS) error {
	want, err := newestVersion(s.write, migrations)
	if err != nil || hasLog(s.path) {
		return cause
	}
	read := connect(inspectorDSN(s.path))
	var version int64
	err = read.QueryRowContext(ctx, `SELECT id, generation, (SELECT MAX(version_id) FROM goose_db_version) FROM meta`).
		Scan(&s.id, &s.generation, &version)
	if err != nil || s.generation == "" || version != want {
		return errors.Join(cause, read.Close())
	}
	_ = s.read.Close() // it has opened nothing
	s.read = read
	s.readOnly.Store(true)
	s.log.Warn("the store can only be read, until there is space", slog.Any("err", located(s.path, cause)))
	return nil
}

// mayWrite makes a store that could only be read one like any other, if there
// is space by now. It comes before every change.
func (s *Store) mayWrite(ctx context.Context) error {
	if !s.readOnly.Load() {
		return nil
	}
	s.reading.Lock()
	defer s.reading.Unlock()
	if !s.readOnly.Load() {
		return nil
	}
	if err := s.write.PingContext(ctx); err != nil {
		return explain("open the database", err)
	}
	_ = s.read.Close() // it was only read
	s.read = readers(s.path)
	s.readOnly.Store(false)
	s.log.Info("the store can be written again")
	return nil
}
