package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"

	codes "modernc.org/sqlite/lib"
)

// Inspection is what [Inspect] found.
type Inspection struct {
	ID      string   // of the store; empty: there is none yet
	Version int64    // of its schema
	Pending []string // the migrations that Open would run, oldest first
	Slots   uint32   // how many user ids its servers' workers need; 0 with Pending
}

// Inspect looks at the store in the file path without a change of anything,
// and without the lock: a daemon may be at work on it. What [Open] would
// refuse for its version, or because it is no store, is refused here too;
// damage within is not looked for.
func Inspect(ctx context.Context, file string) (Inspection, error) {
	file, err := filepath.Abs(file)
	if err != nil {
		return Inspection{}, fileError(err)
	}
	switch st, err := os.Lstat(file); {
	case errors.Is(err, fs.ErrNotExist) && hasLog(file):
		return Inspection{}, damaged(file, errors.New("the file is gone and its log is there"))
	case errors.Is(err, fs.ErrNotExist):
		return Inspection{}, nil
	case err != nil:
		return Inspection{}, fileError(err)
	case !st.Mode().IsRegular():
		return Inspection{}, inTheWay(file, "store")
	}
	// Whether there is a log decides how the file is read, and a daemon may
	// change that in the meantime: what looks wrong once is looked at again.
	const tries, pause = 3, 50 * time.Millisecond
	for try := 1; ; try++ {
		found, err := inspect(ctx, file)
		if err == nil || try == tries {
			return found, err
		}
		select {
		case <-ctx.Done():
			return found, err
		case <-time.After(pause):
		}
	}
}

func inspect(ctx context.Context, file string) (found Inspection, err error) {
	db := connect(inspectorDSN(file))
	defer func() { _ = db.Close() }() // it only reads
	if len(found.Pending) > 0 {
		return found, nil // what the tables look like in that version is not known here
	}
	err = db.QueryRowContext(ctx, `SELECT id, (SELECT MAX(version_id) FROM goose_db_version) FROM meta`).Scan(&found.ID, &found.Version)
	switch {
	case isDamaged(err):
		return found, damaged(file, err)
	case errors.Is(err, sql.ErrNoRows) || code(err) == codes.SQLITE_ERROR: // no such table or column
		return found, notAStore(file, err)
	case err != nil:
		return found, explain("read the database's version", err)
	}
	known := migrations()
	if err := checkVersion(file, db, found.Version, known); err != nil {
		return found, err
	}
	p, err := provider(db, known)
	if err != nil {
		return found, err
	}
	for _, s := range p.ListSources() {
		if s.Version > found.Version {
			found.Pending = append(found.Pending, path.Base(s.Path))
		}
	}
	err = db.QueryRowContext(ctx, `SELECT COALESCE(MAX(slot) + 1, 0) FROM servers WHERE deleted_at = 0`).Scan(&found.Slots)
	return found, explain("read the servers", err)
}
