package sqlite

import (
	"errors"
	"fmt"
	"io/fs"

	driver "modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"

	"vpn/internal/vpn"
)

// code returns SQLite's extended result code, or 0 if err is not SQLite's.
func code(err error) int {
	if e, ok := errors.AsType[*driver.Error](err); ok {
		return e.Code()
	}
	return 0
}

func isUnique(err error) bool { return code(err) == codes.SQLITE_CONSTRAINT_UNIQUE }
func isOrphan(err error) bool { return code(err) == codes.SQLITE_CONSTRAINT_FOREIGNKEY }
func isDamaged(err error) bool {
	c := code(err) & 0xff
	return c == codes.SQLITE_CORRUPT || c == codes.SQLITE_NOTADB
}

// explain says what a person can do about err, which doing something gave.
// What only a programmer can mend is wrapped.
func explain(doing string, err error) error {
	if err == nil {
		return nil
	}
	message, hint := "", ""
	switch code(err) & 0xff {
	case codes.SQLITE_FULL:
		message, hint = "the disk is full: nothing was changed", "free some space, then try again"
	case codes.SQLITE_IOERR:
		message, hint = "the disk failed to read or write: nothing was changed", "check its free space and its health: df, dmesg"
	case codes.SQLITE_BUSY, codes.SQLITE_LOCKED:
		message, hint = "the database is locked: nothing was changed", "another program has it open: close that one, then try again"
	case codes.SQLITE_READONLY:
		message, hint = "the database cannot be written", "check the owner and mode of its file, and whether its file system is read-only"
	case codes.SQLITE_CANTOPEN, codes.SQLITE_PERM, codes.SQLITE_AUTH:
		message, hint = "the database cannot be opened", "check its directory: owner, mode, free space; and the limit of open files"
	case codes.SQLITE_CORRUPT, codes.SQLITE_NOTADB:
		message, hint = "the database is damaged", damagedHint
	case codes.SQLITE_NOMEM:
		message, hint = "there is not enough memory: nothing was changed", "end other programs, then try again"
	case codes.SQLITE_TOOBIG:
		return &vpn.Error{Kind: vpn.Invalid, Message: "it is too large to be stored", Err: err}
	default:
		return fmt.Errorf("%s: %w", doing, err)
	}
	return &vpn.Error{Kind: vpn.Unavailable, Message: message, Hint: hint, Err: err}
}

const damagedHint = "keep a copy of it, and put the newest backup in its place"

// damaged says that the file at path is not what this program left there.
func damaged(path string, cause error) *vpn.Error {
	return &vpn.Error{Kind: vpn.Unavailable, Message: "the database " + path + " is damaged", Hint: damagedHint, Err: cause}
}

// fileError says what is wrong with a file or directory of the store.
func fileError(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return vpn.Errorf(vpn.Denied, "%w", err).WithHint("run as the owner of the data directory")
	}
	return vpn.Errorf(vpn.Unavailable, "%w", err).WithHint("check that the disk is there, has space and can be written")
}

// inTheWay says that where a file of ours would be, such as the store, there
// is something else: a directory, or a link, which could lead to a file of
// somebody else.
func inTheWay(path, what string) error {
	return vpn.Errorf(vpn.Conflict, "%s is in the way: the %s would be there, and it is not a file", path, what).
		WithHint("move it away, or choose another directory with --data-dir")
}
