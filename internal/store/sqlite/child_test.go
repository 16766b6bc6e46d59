package sqlite

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vpn/internal/app"
	"vpn/internal/vpn"
)

// TestMain makes this binary the other process that some tests need.
func TestMain(m *testing.M) {
	switch role, dir := os.Getenv("VPN_TEST_ROLE"), os.Getenv("VPN_TEST_DIR"); role {
	case "":
		os.Exit(m.Run())
	case "holder":
		exit(hold(dir))
	case "counter":
		exit(count(dir))
	case "writer":
		exit(write(dir))
	}
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// child starts this binary in a role, and returns what it says.
func child(t *testing.T, role, dir string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "VPN_TEST_ROLE="+role, "VPN_TEST_DIR="+dir)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	check(t, err)
	stdout, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	t.Cleanup(func() {
		stdin.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd, bufio.NewScanner(stdout)
}

// hold takes a directory until its standard input ends.
func hold(dir string) error {
	if _, err := Lock(context.Background(), dir, 0); err != nil {
		return err
	}
	fmt.Println("held")
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// count adds one to the number in a file, under the lock.
func count(dir string) error {
	lock, err := Lock(context.Background(), dir, time.Minute)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, "number")
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var n int
	if _, err := fmt.Sscan(string(text), &n); err != nil {
		return err
	}
	if err := os.WriteFile(path, fmt.Append(nil, n+1), 0o600); err != nil {
		return err
	}
	return lock.Close()
}

// write changes the store for ever and says what is committed: "create NAME",
// "delete NAME", "record N".
func write(dir string) error {
	ctx := context.Background()
	if _, err := Lock(ctx, dir, time.Minute); err != nil {
		return err
	}
	s, err := Open(ctx, filepath.Join(dir, "vpn.db"), Options{})
	if err != nil {
		return err
	}
	w := &writer{store: s}
	if err := s.Update(ctx, w.begin); err != nil {
		return err
	}
	for {
		said := ""
		if err := s.Update(ctx, func(tx app.Tx) (err error) { said, err = w.step(tx); return err }); err != nil {
			return err
		}
		fmt.Println(said)
	}
}

// writer goes on where the one before it was killed.
type writer struct {
	store    *Store
	server   vpn.Server
	counters []vpn.Counter
	steps    int
	last     vpn.User
}

const (
	writerEpoch = "epoch"
	writerCrowd = 60
	writerUnit  = 7 // bytes that each record moves for each credential
)

func (w *writer) begin(tx app.Tx) error {
	all, err := tx.Users.List(vpn.UserFilter{Deleted: true})
	if err != nil {
		return err
	}
	w.steps = len(all) * 3
	w.server, err = tx.Servers.ByName("main")
	if vpn.KindOf(err) == vpn.NotFound {
		if w.server, err = tx.Servers.Put(vpn.Server{ID: "main", Name: "main"}); err != nil {
			return err
		}
		for i := range writerCrowd {
			id := fmt.Sprintf("crowd-%03d", i)
			if err := tx.Users.Put(vpn.User{ID: vpn.UserID(id), Name: id}); err != nil {
				return err
			}
			if err := tx.Credentials.Put(vpn.Credential{ID: vpn.CredentialID(id), User: vpn.UserID(id), Server: "main"}); err != nil {
				return err
			}
		}
	}
	if err != nil {
		return err
	}
	seen, err := tx.Usage.Marks(writerEpoch)
	if err != nil {
		return err
	}
	creds, err := tx.Credentials.ForServer("main")
	for _, c := range creds {
		if strings.HasPrefix(string(c.ID), "crowd") {
			w.counters = append(w.counters, vpn.Counter{Credential: c.ID, Traffic: seen[c.ID]})
		}
	}
	return err
}

func (w *writer) step(tx app.Tx) (string, error) {
	w.steps++
	switch w.steps % 3 {
	case 0:
		for i := range w.counters {
			w.counters[i].Up += writerUnit
		}
		return fmt.Sprint("record ", w.counters[0].Up), tx.Usage.Record("main", writerEpoch, w.counters, time.Unix(1e9, 0))
	case 1:
		w.last = vpn.User{ID: vpn.UserID(vpn.NewID()), Name: vpn.NewID()}
		if err := tx.Users.Put(w.last); err != nil {
			return "", err
		}
		return "create " + w.last.Name, tx.Credentials.Put(vpn.Credential{
			ID: vpn.CredentialID(vpn.NewID()), User: w.last.ID, Server: "main", Secret: vpn.NewSecret(w.last.Name),
		})
	default:
		if w.last.ID == "" {
			return "nothing", nil
		}
		w.last.DeletedAt = time.Now()
		return "delete " + w.last.Name, tx.Users.Put(w.last)
	}
}
