//go:build linux

package rig

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// SmallDisk gives the instance, which has stored nothing yet, a data directory
// on a file system of its own, with room for that many bytes and files. Only
// the server host sees it.
func (i *Instance) SmallDisk(t testing.TB, bytes, files int) {
	t.Helper()
	if err := os.Mkdir(i.Data, 0o700); err != nil {
		t.Fatal(err)
	}
	err := i.World.Server.do(func() (err error) {
		options := fmt.Sprintf("size=%d,nr_inodes=%d,mode=0700", bytes, files)
		if err := unix.Mount("tmpfs", i.Data, "tmpfs", 0, options); err != nil {
			return err
		}
		i.disk, err = os.Open(i.Data)
		return err
	})
	if err != nil {
		t.Fatalf("mount a small disk: %v", err)
	}
}

// dir is the data directory as this process finds it.
func (i *Instance) dir() string {
	if i.disk == nil {
		return i.Data
	}
	return filepath.Join("/proc/self/fd", strconv.Itoa(int(i.disk.Fd())))
}

// File returns the path by which this process finds a file of the data
// directory.
func (i *Instance) File(name string) string { return filepath.Join(i.dir(), name) }

// Fill leaves no byte of the small disk free, and Free gives back what Fill
// took.
func (i *Instance) Fill(t testing.TB) {
	t.Helper()
	f, err := os.OpenFile(i.File("ballast"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, size := range []int{1 << 20, 4096, 1} {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, size))
		}
		if !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, io.ErrShortWrite) {
			t.Fatal(err)
		}
	}
}

// Free gives back what Fill took.
func (i *Instance) Free(t testing.TB) {
	t.Helper()
	if err := os.Remove(i.File("ballast")); err != nil {
		t.Fatal(err)
	}
}
