package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vpn/internal/vpn"
)

func TestLockIsForOneProcess(t *testing.T) {
	dir := t.TempDir()
	holder, said := child(t, "holder", dir)
	if !said.Scan() {
		t.Fatal("the holder said nothing")
	}
	_, err := Lock(t.Context(), dir, 0)
	want := fmt.Sprintf("in use by pid %d", holder.Process.Pid)
	if vpn.KindOf(err) != vpn.Unavailable || !strings.Contains(err.Error(), want) {
		t.Errorf("while another process has it: got %v, want %q", err, want)
	}
	began := time.Now()
	if _, err := Lock(t.Context(), dir, 50*time.Millisecond); vpn.KindOf(err) != vpn.Unavailable || time.Since(began) < 50*time.Millisecond {
		t.Errorf("after a wait of %v: got %v", time.Since(began), err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if _, err := Lock(ctx, dir, time.Minute); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with a context that ends: got %v", err)
	}

	type result struct {
		lock *DirLock
		err  error
	}
	got := make(chan result)
	go func() {
		l, err := Lock(t.Context(), dir, time.Minute)
		got <- result{l, err}
	}()
	check(t, holder.Process.Kill())
	r := <-got
	check(t, r.err)
	if _, err := Lock(t.Context(), dir, 0); vpn.KindOf(err) != vpn.Unavailable || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Errorf("twice in one process: got %v", err)
	}
	check(t, r.lock.Close())
	again, err := Lock(t.Context(), dir, 0)
	check(t, err)
	check(t, again.Close())
}

func TestLockLetsOneAfterTheOther(t *testing.T) {
	dir := t.TempDir()
	check(t, os.WriteFile(filepath.Join(dir, "number"), []byte("0"), 0o600))
	const processes = 10
	var wait []func() error
	for range processes {
		cmd, _ := child(t, "counter", dir)
		wait = append(wait, cmd.Wait)
	}
	for _, w := range wait {
		check(t, w())
	}
	if text, err := os.ReadFile(filepath.Join(dir, "number")); err != nil || string(text) != fmt.Sprint(processes) {
		t.Errorf("%d processes have counted to %s (%v)", processes, text, err)
	}
}

func TestLockNeedsTheDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "nowhere")
	if _, err := Lock(t.Context(), dir, time.Minute); vpn.KindOf(err) != vpn.Unavailable {
		t.Errorf("got %v, want unavailable", err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("the directory was made")
	}
}

func TestLockIsInherited(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	l, err := Lock(t.Context(), dir, 0)
	check(t, err)
	handed, err := l.File()
	check(t, err)
	check(t, l.Close())
	if _, err := Lock(t.Context(), dir, 0); vpn.KindOf(err) != vpn.Unavailable {
		t.Errorf("while it is handed over: got %v", err)
	}
	check(t, os.WriteFile(filepath.Join(other, "lock"), nil, 0o600))
	if _, err := InheritLock(other, handed); vpn.KindOf(err) != vpn.Conflict {
		t.Errorf("for another directory: got %v", err)
	}
	heir, err := InheritLock(dir, handed)
	check(t, err)
	check(t, handed.Close())
	if _, err := Lock(t.Context(), dir, 0); vpn.KindOf(err) != vpn.Unavailable {
		t.Errorf("after it was handed over: got %v", err)
	}
	check(t, heir.Close())
	l, err = Lock(t.Context(), dir, 0)
	check(t, err)
	check(t, l.Close())
}
