package sqlite

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"vpn/internal/vpn"
)

// What stands beside a database.
const (
	walSuffix  = "-wal"  // SQLite's log; gone when the store was closed in order
	shmSuffix  = "-shm"  // SQLite's index of the log
	sealSuffix = "-seal" // see sealState
)

// hasLog reports whether a log waits beside the database: nobody closed it.
func hasLog(path string) bool {
	st, err := os.Stat(path + walSuffix)
	return err == nil && st.Size() > 0
}

// touch makes an empty file that only its owner can read, whatever the umask.
// SQLite gives the log and its index the same mode.
func touch(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fileError(err)
	}
	if err := errors.Join(f.Chmod(0o600), f.Close()); err != nil {
		return fileError(err)
	}
	return nil
}

// removeDatabase removes a database that is not needed, with its log.
func removeDatabase(path string) error {
	for _, suffix := range []string{"", walSuffix, shmSuffix, "-journal"} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fileError(err)
		}
	}
	return nil
}

// publish gives a closed and whole database its name, for good.
func publish(from, to string) error {
	if hasLog(from) {
		return vpn.Errorf(vpn.Unavailable, "%s could not be written whole", from).WithHint("free some space, then try again")
	}
	if err := syncFile(from); err != nil {
		return fileError(err)
	}
	if err := os.Rename(from, to); err != nil {
		return fileError(err)
	}
	if err := syncFile(filepath.Dir(to)); err != nil {
		return fileError(err)
	}
	return nil
}

// syncFile waits until a file, or the names in a directory, are on the disk.
func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// A seal is the checksum of a closed database, in a file beside it. It tells
// a file that is as this program left it from one that the disk or another
// program has changed, for a tenth of what it costs to look through it. An
// open store has none from its first change on.
type sealState int

const (
	noSeal     sealState = iota // not closed in order, or never sealed
	goodSeal                    // for certain as it was
	brokenSeal                  // changed since
)

func readSeal(path string) (sealState, error) {
	have, err := os.ReadFile(path + sealSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		return noSeal, nil
	}
	if err != nil {
		return noSeal, err
	}
	want, err := checksum(path)
	switch {
	case err != nil:
		return noSeal, err
	case len(have) != len(want): // all have one length: it was never written whole
		return noSeal, nil
	case string(have) != want:
		return brokenSeal, nil
	}
	return goodSeal, nil
}

// seal seals a closed database.
func seal(path string) error {
	if hasLog(path) {
		return errors.New("its log could not be brought home")
	}
	sum, err := checksum(path)
	if err != nil {
		return err
	}
	unfinished := path + sealSuffix + ".new"
	if err := os.Remove(unfinished); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := touch(unfinished); err != nil {
		return err
	}
	if err := errors.Join(os.WriteFile(unfinished, []byte(sum), 0o600), syncFile(unfinished)); err != nil {
		return err
	}
	return os.Rename(unfinished, path+sealSuffix)
}

// breakSeal removes a seal, before the first change of its database. That is
// on the disk when it returns: a seal that came back after a power loss would
// make a good database look damaged.
func breakSeal(path string) error {
	switch err := os.Remove(path + sealSuffix); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fileError(err)
	}
	if err := syncFile(filepath.Dir(path)); err != nil {
		return fileError(err)
	}
	return nil
}

// checksum must not be called while a connection of this process is open: to
// close the file here would drop SQLite's locks on it.
func checksum(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	n, err := io.Copy(h, f)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("crc32c %08x of %19d bytes\n", h.Sum32(), n), nil
}
