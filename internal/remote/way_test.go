//go:build unix

package remote

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"vpn/internal/vpn"
)

// far is set in the environment of a process that is the other machine.
const far = "VPN_TEST_FAR"

func TestMain(m *testing.M) {
	if os.Getenv(far) == "" {
		os.Exit(m.Run())
	}
	if err := Serve(context.Background(), os.Stdin, os.Stdout, answers()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// answers is what is asked over there.
func answers() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /echo", func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	mux.HandleFunc("GET /lines", func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintln(w, os.Getpid())
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done() // until nobody reads any more
	})
	return mux
}

// ssh puts a program of that name first in PATH: what it would do is script's
// business, a shell's. It returns the file with the arguments of each login.
func ssh(t *testing.T, script string) (logins string) {
	t.Helper()
	dir := t.TempDir()
	logins = filepath.Join(dir, "logins")
	text := "#!/bin/sh\necho \"$*\" >> " + logins + "\n" + script + "\n"
	if err := os.WriteFile(filepath.Join(dir, "ssh"), []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return logins
}

// toFar is a script that ends as the other machine.
func toFar(t *testing.T, before string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return before + "\n" + far + "=1 exec " + self
}

func lines(t *testing.T, file string) []string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(b)), "\n")
}

func open(t *testing.T, text string, ask bool) *http.Client {
	t.Helper()
	_, c := openWay(t, text, ask)
	return c
}

func openWay(t *testing.T, text string, ask bool) (*Way, *http.Client) {
	t.Helper()
	place, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	way, err := Open(t.Context(), place, ask)
	if err != nil {
		t.Fatal(err)
	}
	transport := way.Transport()
	t.Cleanup(transport.CloseIdleConnections)
	return way, &http.Client{Transport: transport}
}

// killFar ends the other machine's process, whose answer to /lines r reads.
func killFar(t *testing.T, r *bufio.Reader) {
	t.Helper()
	line, err := r.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

func echo(c *http.Client, text string) (string, error) {
	resp, err := c.Post("http://vpn/echo", "text/plain", strings.NewReader(text))
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

// TestOneLoginCarriesAll: requests beside each other, one of which stays open,
// and large ones; and what a shell says at each login is in nobody's way.
func TestOneLoginCarriesAll(t *testing.T) {
	logins := ssh(t, toFar(t, `echo Welcome; echo; printf '\033]0;a title, and no newline\007'`))
	c := open(t, "ssh://root@host:2222/run/it's.sock", true)
	var all sync.WaitGroup
	for range 20 { // at once, before there is anything to share
		all.Go(func() {
			if got, err := echo(c, "x"); err != nil || got != "x" {
				t.Errorf("at the beginning: %q, %v", got, err)
			}
		})
	}
	all.Wait()
	stays, err := c.Get("http://vpn/lines")
	if err != nil {
		t.Fatal(err)
	}
	defer stays.Body.Close()
	if _, err := bufio.NewReader(stays.Body).ReadString('\n'); err != nil {
		t.Fatalf("what is told before the answer ends: %v", err)
	}
	for i := range 50 {
		all.Go(func() {
			text := strings.Repeat(strconv.Itoa(i), 100_000)
			if got, err := echo(c, text); err != nil || got != text {
				t.Errorf("request %d: %d bytes of %d came back, %v", i, len(got), len(text), err)
			}
		})
	}
	all.Wait()
	want := `-T -a -x -o ClearAllForwardings=yes -o RemoteCommand=none -o ConnectTimeout=20 -o ServerAliveInterval=15 -o ServerAliveCountMax=3 -p 2222 -- root@host vpn --socket /run/it\'s.sock dial-stdio`
	if got := lines(t, logins); len(got) != 1 || got[0] != want {
		t.Errorf("ssh was called with %q, want once with %q", got, want)
	}
}

// TestABrokenWayIsOpenedAgain: and nothing is asked for that, as somebody may
// be looking at a screen.
func TestABrokenWayIsOpenedAgain(t *testing.T) {
	logins := ssh(t, toFar(t, "echo gone fishing >&2"))
	c := open(t, "ssh://host", true)
	broken(t, c)
	// A screen asks for several things at once: they wait for one login.
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if got, err := echo(c, "again"); err != nil || got != "again" {
				t.Errorf("a request that follows: %q, %v", got, err)
			}
		})
	}
	all.Wait()
	got := lines(t, logins)
	if len(got) != 2 || strings.Contains(got[0], "BatchMode") || !strings.Contains(got[1], "-o BatchMode=yes") {
		t.Errorf("ssh was called %d times, at first with %q", len(got), got[:min(2, len(got))])
	}
}

// broken breaks the connection of c, whose other side says why, while it
// waits for an answer to end.
func broken(t *testing.T, c *http.Client) {
	t.Helper()
	resp, err := c.Get("http://vpn/lines")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	r := bufio.NewReader(resp.Body)
	killFar(t, r)
	_, err = r.ReadString('\n')
	if e, ok := errors.AsType[*vpn.Error](err); !ok || e.Kind != vpn.Unavailable || e.Message != "the connection to host broke: gone fishing" {
		t.Errorf("the reader of an answer is told: %v", err)
	}
}

// TestLoginsThatFailAreFew: a machine that comes back is found again, and does
// not shut somebody out meanwhile whose screen asks all the time.
func TestLoginsThatFailAreFew(t *testing.T) {
	logins := ssh(t, toFar(t, `[ "$(wc -l < "$(dirname "$0")/logins")" = 2 ] && { echo "Permission denied." >&2; exit 255; }
echo gone fishing >&2`))
	way, c := openWay(t, "ssh://host", true)
	broken(t, c)
	wait := func(until time.Time) {
		way.mu.Lock()
		defer way.mu.Unlock()
		way.next = until
	}
	for range 20 {
		if _, err := echo(c, "x"); vpn.KindOf(err) != vpn.Unavailable || !strings.Contains(err.Error(), "Permission denied.") {
			t.Fatalf("without a way: %v", err)
		}
		wait(time.Now().Add(time.Hour)) // this machine may be slow
	}
	if n := len(lines(t, logins)); n != 2 || way.pause != time.Second {
		t.Errorf("20 requests have tried %d logins, and the next one in %s", n-1, way.pause)
	}
	wait(time.Now())
	if got, err := echo(c, "x"); err != nil || got != "x" || way.pause != 0 {
		t.Errorf("later: %q, %v", got, err)
	}
}

func TestRefused(t *testing.T) {
	for _, c := range []struct {
		script        string
		kind          vpn.Kind
		message, hint string
	}{
		{
			"echo 'Warning: added to the list.' >&2; echo 'root@host: Permission denied (publickey).' >&2; exit 255", vpn.Unavailable,
			"ssh does not get to root@host: root@host: Permission denied (publickey).", "does this work? ssh -p 2222 root@host vpn version",
		},
		{"exit 255", vpn.Unavailable, "ssh does not get to root@host: it says no more", "does this work? ssh -p 2222 root@host vpn version"},
		{"echo 'vpn: x' >&2; exit 255", vpn.Unavailable, "ssh does not get to root@host: vpn: x", "does this work? ssh -p 2222 root@host vpn version"},
		{
			"echo 'sh: 1: vpn: not found' >&2; exit 127", vpn.Unavailable,
			"there is no vpn on root@host, or not where its shell looks: sh: 1: vpn: not found", "put it into /usr/local/bin over there",
		},
		{
			"echo 'vpn: no daemon answers on /run/x' >&2; echo 'hint: start it: vpn up' >&2; exit 6", vpn.Unavailable,
			"root@host: no daemon answers on /run/x", "over there: start it: vpn up",
		},
		{"echo 'vpn: it is not open to you' >&2; exit 4", vpn.Denied, "root@host: it is not open to you", ""},
		{"echo 'vpn: --socket is empty' >&2; exit 2", vpn.Invalid, "root@host: --socket is empty", ""},
		{
			"echo 'vpn: unknown command \"dial-stdio\"' >&2; exit 2", vpn.Unavailable,
			"vpn on root@host is older than what it is asked: unknown command \"dial-stdio\"", "over there: vpn upgrade",
		},
		{
			"echo 'fish: nobody home' >&2; exit 3", vpn.Unavailable,
			"the shell on root@host ends with status 3 before vpn answers: fish: nobody home", "does this work? ssh -p 2222 root@host vpn version",
		},
		{"kill -9 $$", vpn.Unavailable, "ssh does not get to root@host: it says no more", "does this work? ssh -p 2222 root@host vpn version"},
		{
			"exec yes hello", vpn.Unavailable, "root@host does not answer as vpn does: it says something else, and does not stop",
			"what does it say to this? ssh -p 2222 root@host vpn version",
		},
	} {
		ssh(t, c.script)
		place, err := Parse("ssh://root@host:2222")
		if err != nil {
			t.Fatal(err)
		}
		_, err = Open(t.Context(), place, false)
		e, ok := errors.AsType[*vpn.Error](err)
		if !ok || e.Kind != c.kind || e.Message != c.message || e.Hint != c.hint {
			t.Errorf("%s\ngot  %#v\nwant %s: %s, hint %s", c.script, e, c.kind, c.message, c.hint)
		}
	}
	ssh(t, "kill -INT $$")
	if _, err := Open(t.Context(), Place{Host: "host"}, false); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := Open(t.Context(), Place{Host: "host"}, false); vpn.KindOf(err) != vpn.Unavailable || !strings.Contains(err.Error(), "ssh cannot be started") {
		t.Errorf("without ssh: %v", err)
	}
}

// TestALoginIsGivenUp: somebody presses ^C while ssh waits.
func TestALoginIsGivenUp(t *testing.T) {
	logins := ssh(t, "echo $$ >> \"$(dirname \"$0\")/logins\"; exec sleep 1000")
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for ctx.Err() == nil {
			if b, err := os.ReadFile(logins); err == nil && strings.Count(string(b), "\n") == 2 {
				cancel()
			}
		}
	}()
	if _, err := Open(ctx, Place{Host: "host"}, false); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	pid, err := strconv.Atoi(lines(t, logins)[1])
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("ssh is still there: %v", err)
	}
}

// TestNobodyIsThere: a machine that went to sleep says no goodbye.
func TestNobodyIsThere(t *testing.T) {
	in, gone := io.Pipe()
	defer gone.Close()
	go func() {
		_, _ = io.WriteString(gone, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00") // RFC 9113, 3.4
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := serve(ctx, in, io.Discard, answers(), time.Millisecond, time.Millisecond); err != nil || ctx.Err() != nil {
		t.Errorf("it serves until %v, %v", ctx.Err(), err)
	}
}

// TestQuoted: whatever a socket is called, the shell over there takes it for a
// name.
func TestQuoted(t *testing.T) {
	var signs strings.Builder
	for r := ' '; r <= '~'; r++ {
		signs.WriteRune(r)
	}
	tried := 0
	for _, shell := range []string{"sh", "dash", "bash", "zsh", "fish"} {
		if _, err := exec.LookPath(shell); err != nil {
			continue
		}
		tried++
		for _, text := range []string{"/" + signs.String(), `/a\'; echo x; '`, `/\\`, "/ $(echo x)`echo y`", "/ü/~/*/{a,b}", "/-x=~ #"} {
			out, err := exec.Command(shell, "-c", "printf %s "+quoted(text)).CombinedOutput()
			if err != nil || string(out) != text {
				t.Errorf("%s: %s came out as %s, %v", shell, text, out, err)
			}
		}
	}
	if tried == 0 {
		t.Error("there is no shell")
	}
}

// TestSSHEndsFirst: of ^C, which it gets as well. Whoever pressed that is told
// of no broken connection.
func TestSSHEndsFirst(t *testing.T) {
	ssh(t, toFar(t, ""))
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	way, err := Open(ctx, Place{Host: "host"}, true)
	if err != nil {
		t.Fatal(err)
	}
	transport := way.Transport()
	t.Cleanup(transport.CloseIdleConnections)
	resp, err := (&http.Client{Transport: transport}).Get("http://vpn/lines")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	r := bufio.NewReader(resp.Body)
	killFar(t, r)
	interrupt()
	if _, err := r.ReadString('\n'); !errors.Is(err, context.Canceled) {
		t.Errorf("who has interrupted it is told: %v", err)
	}
}
