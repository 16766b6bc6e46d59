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

// A Disk is a small file system that holds an instance's data directory.
type Disk struct{ instance *Instance }

// NewDisk gives an instance, which has stored nothing yet, a data directory on
// a file system of its own, with room for that many bytes and files. Only the
// server host sees it.
func NewDisk(t testing.TB, i *Instance, bytes, files int) *Disk {
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
	return &Disk{i}
}

// File returns the path by which this process finds a file of the data
// directory.
func (i *Instance) File(name string) string {
	if i.disk == nil {
		return filepath.Join(i.Data, name)
	}
	return filepath.Join("/proc/self/fd", strconv.Itoa(int(i.disk.Fd())), name)
}

// Fill leaves no byte free.
func (d *Disk) Fill(t testing.TB) {
	t.Helper()
	FillDisk(t, d.instance.File("ballast"))
}

// FillDisk makes a file that leaves no byte free where it is.
func FillDisk(t testing.TB, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
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
func (d *Disk) Free(t testing.TB) {
	t.Helper()
	if err := os.Remove(d.instance.File("ballast")); err != nil {
		t.Fatal(err)
	}
}
