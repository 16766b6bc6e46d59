package script

import (
	"context"
	"database/sql"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	_ "modernc.org/sqlite"

	"vpn/internal/store/sqlite"
)

func itoa(n int) string { return strconv.Itoa(n) }

// volatile is what differs from run to run, and what stands for it.
var volatile = []struct {
	pattern *regexp.Regexp
	instead string
}{
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`), "TIME"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d UTC`), "TIME"},
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), "UUID"},
	{regexp.MustCompile(`("id": )"[a-z2-7]{16}"`), `$1"ID"`},
	{regexp.MustCompile(`(?m)^(id +)[a-z2-7]{16}$`), `${1}ID`},
	{regexp.MustCompile(`(?m)^(short id +)[0-9a-f]+$`), "${1}SID"},
	{regexp.MustCompile(`pbk=[\w-]+`), "pbk=KEY"},
	{regexp.MustCompile(`sid=[0-9a-f]+`), "sid=SID"},
	{regexp.MustCompile(`("public_key": )"[\w-]+"`), `$1"KEY"`},
	{regexp.MustCompile(`(short_ids": \[\s*)"[0-9a-f]+"`), `$1"SID"`},
	{regexp.MustCompile(`("(?:pid|uid|memory)": )\d+`), "${1}1"},
	{regexp.MustCompile(` *"cpu": [0-9.]+,\n`), ""}, // it is known once a worker has lived for a second
	{regexp.MustCompile(`("epoch": )"[0-9a-f]+"`), `$1"EPOCH"`},
	{regexp.MustCompile(`(confined +)\d+ of`), "${1}1 of"}, // the kernel decides
	{regexp.MustCompile(`("confined": )(true|false)`), "${1}true"},
	{regexp.MustCompile(`(daemon +running since TIME, pid )\d+`), "${1}1"},
}

// normalize copies a file, or stdout, and replaces what differs from run to
// run, so that cmp can compare the rest:
//
//	normalize stdout out
func normalize(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: normalize FILE NEW")
	}
	text := ts.ReadFile(args[0])
	for _, v := range volatile {
		text = v.pattern.ReplaceAllString(text, v.instead)
	}
	for _, name := range []string{"PORT", "WORK"} {
		if value := ts.Getenv(name); value != "" {
			text = strings.ReplaceAll(text, value, name)
		}
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text), 0o600))
}

func socket(ts *testscript.TestScript) string {
	run, err := os.Readlink(filepath.Join(ts.Getenv("VPN_DATA_DIR"), "run"))
	if err != nil {
		return ""
	}
	return filepath.Join(run, "api.sock")
}

// request asks the daemon's API and prints the status and the answer:
//
//	request POST /v1/users body.json
func request(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: request METHOD PATH [BODY]")
	}
	body := ""
	if len(args) == 3 {
		body = ts.ReadFile(args[2])
	}
	req, err := http.NewRequest(args[0], "http://vpn"+args[1], strings.NewReader(body))
	ts.Check(err)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	path := socket(ts)
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		},
	}}
	resp, err := client.Do(req)
	ts.Check(err)
	defer resp.Body.Close()
	_, err = io.WriteString(ts.Stdout(), itoa(resp.StatusCode)+" "+resp.Header.Get("Content-Type")+"\n")
	ts.Check(err)
	_, err = io.Copy(ts.Stdout(), resp.Body)
	ts.Check(err)
}

// await runs a command until its output matches:
//
//	await 'main +running' vpn server list
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: await REGEXP COMMAND [ARGS]")
	}
	pattern, err := regexp.Compile(args[0])
	ts.Check(err)
	deadline := time.After(20 * time.Second)
	for {
		_ = ts.Exec(args[1], args[2:]...) // it may fail until it works
		if pattern.MatchString(ts.ReadFile("stdout")) {
			return
		}
		select {
		case <-deadline:
			ts.Fatalf("waited too long for %s", args[0])
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// freeport finds a free TCP port and sets PORT to it.
func freeport(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: freeport")
	}
	l, err := net.Listen("tcp", ":0")
	ts.Check(err)
	ts.Setenv("PORT", itoa(l.Addr().(*net.TCPAddr).Port))
	ts.Check(l.Close())
}

// hold takes the data directory's lock until the script ends, as a command
// does that hangs.
func hold(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: hold")
	}
	dir := ts.Getenv("VPN_DATA_DIR")
	ts.Check(os.MkdirAll(dir, 0o700))
	lock, err := sqlite.Lock(context.Background(), dir, time.Second)
	ts.Check(err)
	ts.Defer(func() { _ = lock.Close() })
}

// newer makes the store look as if a later version had written it.
func newer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: newer")
	}
	db, err := sql.Open("sqlite", filepath.Join(ts.Getenv("VPN_DATA_DIR"), "vpn.db"))
	ts.Check(err)
	defer db.Close()
	_, err = db.Exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, 1)`)
	ts.Check(err)
}

// interrupt runs a command and presses ^C once it has printed a line that
// matches; its status must be the one given:
//
//	interrupt 130 'worker runs' vpn server logs main -f
func interrupt(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 4 || args[2] != "vpn" {
		ts.Fatalf("usage: interrupt STATUS REGEXP vpn [ARGS]")
	}
	env := []string{"NO_COLOR=1"}
	for _, name := range []string{"HOME", "VPN_DATA_DIR", "TMPDIR", "GORACE", "GOCOVERDIR"} {
		env = append(env, name+"="+ts.Getenv(name))
	}
	s, err := begin(env, ts.Getenv("WORK"), args[3:]...)
	ts.Check(err)
	_, err = s.await(0, regexp.MustCompile(args[1]))
	ts.Check(err)
	_, err = io.WriteString(s.ours, "\x03")
	ts.Check(err)
	status, err := s.end()
	ts.Check(err)
	_, err = io.WriteString(ts.Stdout(), shown(s.written()))
	ts.Check(err)
	if itoa(status) != args[0] {
		ts.Fatalf("the exit status is %d, not %s", status, args[0])
	}
}

// freeze makes a server's worker hang until thaw, or the script's end.
func freeze(ts *testscript.TestScript, neg bool, args []string) {
	process := workerOf(ts, neg, args)
	ts.Check(process.Signal(syscall.SIGSTOP))
	ts.Defer(func() { _ = process.Signal(syscall.SIGCONT) })
}

func thaw(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(workerOf(ts, neg, args).Signal(syscall.SIGCONT))
}

func workerOf(ts *testscript.TestScript, neg bool, args []string) *os.Process {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: freeze SERVER, thaw SERVER")
	}
	var s struct{ Worker struct{ PID int } }
	for deadline := time.Now().Add(patience); s.Worker.PID <= 1; { // a worker without time for an answer is none for now
		ts.Check(ts.Exec("vpn", "server", "show", args[0], "-o", "json"))
		ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &s))
		if s.Worker.PID <= 1 && time.Now().After(deadline) {
			ts.Fatalf("server %s has no worker", args[0])
		}
	}
	process, err := os.FindProcess(s.Worker.PID)
	ts.Check(err)
	return process
}

// fill writes a JSON body of some size:
//
//	fill big.json 2000000
func fill(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: fill FILE BYTES")
	}
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(`{"name":"`+strings.Repeat("a", n)+`"}`), 0o600))
}
