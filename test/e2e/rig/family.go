//go:build linux

package rig

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// family returns a process and all that descend from it and live.
func family(pid int) ([]int, error) {
	all := []int{pid}
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		return nil, err
	}
	for _, list := range lists {
		text, err := os.ReadFile(list)
		if err != nil {
			continue // a thread that has ended
		}
		for field := range strings.FieldsSeq(string(text)) {
			child, err := strconv.Atoi(field)
			if err != nil {
				return nil, err
			}
			more, err := family(child)
			if err != nil {
				return nil, err
			}
			all = append(all, more...)
		}
	}
	return all, nil
}

// Descendants returns the processes that descend from one and live.
func Descendants(t testing.TB, pid int) []int {
	t.Helper()
	all, err := family(pid)
	if err != nil {
		t.Fatal(err)
	}
	return all[1:]
}

// FamilyMemory returns the proportional set size of a process and of all that
// descend from it, in bytes.
func FamilyMemory(pid int) (uint64, error) {
	var sum uint64
	err := each(pid, func(pid int) error {
		n, err := Memory(pid)
		sum += n
		return err
	})
	return sum, err
}

// FamilyCPU returns the processor time that a process has used, and all that
// descend from it. Of those that live it is exact; those that have ended and
// were waited for count in the kernel's ticks of 10 ms.
func FamilyCPU(pid int) (time.Duration, error) {
	var sum time.Duration
	err := each(pid, func(pid int) error {
		own, err := CPU(pid)
		if err != nil {
			return err
		}
		ended, err := endedCPU(pid)
		sum += own + ended
		return err
	})
	return sum, err
}

// each calls f for a process and all that descend from it. It is no error if
// one of the latter has ended meanwhile.
func each(pid int, f func(int) error) error {
	all, err := family(pid)
	if err != nil {
		return err
	}
	for _, one := range all {
		err := f(one)
		gone := errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL) // EINVAL: of its clock
		if err != nil && (one == pid || !gone) {
			return err
		}
	}
	return nil
}

// endedCPU returns the processor time of a process's children that have ended
// and were waited for, and of theirs.
func endedCPU(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, after, _ := strings.Cut(string(b), ") ")
	const cutime, cstime, tick = 13, 14, 10 * time.Millisecond // proc(5), after the name
	f := strings.Fields(after)
	if len(f) <= cstime {
		return 0, fmt.Errorf("process %d: what /proc says is short", pid)
	}
	user, uerr := strconv.ParseInt(f[cutime], 10, 64)
	system, serr := strconv.ParseInt(f[cstime], 10, 64)
	return time.Duration(user+system) * tick, errors.Join(uerr, serr)
}
