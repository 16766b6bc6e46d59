//go:build linux && e2e

package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"vpn/internal/vpn"
	"vpn/test/e2e/rig"
)

// A curled is what curl says: its exit status, what was answered last (by the
// proxy, if it did not come further), and the body.
type curled struct {
	exit    int
	status  string // of the destination
	connect string // of the proxy, if it was asked for a tunnel
	body    []byte
}

// curl runs curl on the client host.
func curl(t *testing.T, w *rig.World, args ...string) curled {
	t.Helper()
	cmd := exec.Command("curl", append([]string{
		"--silent", "--max-time", "30", "--cacert", w.Site.CAFile, "--write-out", "%{stderr}%{http_code} %{http_connect}",
	}, args...)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent"}
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := w.Client.Start(cmd); err != nil {
		t.Fatal(err)
	}
	err := cmd.Wait()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatal(err)
	}
	status, connect, _ := strings.Cut(said.String(), " ")
	return curled{cmd.ProcessState.ExitCode(), status, connect, out.Bytes()}
}

// plainSite starts a site without TLS outside, which answers with the hash of
// what it gets, or with what headers it got.
func plainSite(t *testing.T, w *rig.World) string {
	t.Helper()
	l := w.Outside.Listen(t, net.JoinHostPort(rig.OutsideAddr, "80"))
	server := &http.Server{Handler: http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && r.URL.Path == "/file" {
			_, _ = out.Write(w.Site.File)
			return
		}
		sum := sha256.New()
		n, _ := io.Copy(sum, r.Body)
		if n == 0 {
			_ = r.Header.Write(out)
			return
		}
		_, _ = io.WriteString(out, hex.EncodeToString(sum.Sum(nil)))
	})}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	return "http://" + rig.SiteName
}

// A link is all that curl needs: it downloads and uploads through each kind of
// proxy, over TLS and without.
func TestCurlThroughProxies(t *testing.T) {
	t.Parallel()
	w := rig.NewWorld(t)
	i := w.Instance(t)
	i.CreateServer("plain", 8080, "--protocol", "http")
	i.CreateServer("socks", 1080, "--protocol", "socks5")
	i.CreateServer("both", 1081, "--protocol", "mixed", "--tls")
	i.Serve()
	var c vpn.UserChange
	i.JSON(&c, "users", "create", "alice")
	var links []string
	for _, a := range c.Access {
		links = append(append(links, a.Link), a.Others...)
	}
	if len(links) != 4 {
		t.Fatalf("links %q", links)
	}
	var shown vpn.ServerDetail
	i.JSON(&shown, "server", "show", "both")
	var settings struct {
		Cert string `json:"tls_cert"`
		Key  string `json:"tls_key"`
	}
	if err := json.Unmarshal(shown.Settings, &settings); err != nil || settings.Key != "" {
		t.Fatalf("settings %s: %v", shown.Settings, err)
	}
	dir := t.TempDir()
	ca, file := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "file")
	if err := errors.Join(os.WriteFile(ca, []byte(settings.Cert), 0o600), os.WriteFile(file, w.Site.File, 0o600)); err != nil {
		t.Fatal(err)
	}
	plain, secure := plainSite(t, w), "https://"+rig.SiteName
	sum := sha256.Sum256(w.Site.File)
	for _, link := range links {
		l := rig.ParseLink(t, link)
		at := net.JoinHostPort(l.Host, strconv.Itoa(l.Port))
		ways := map[string][]string{link: {"--proxy", link, "--proxy-cacert", ca}}
		if l.Scheme == "socks5" {
			ways = map[string][]string{
				"--socks5 " + at:          {"--socks5", at, "--proxy-user", l.User + ":" + l.Password, "--resolve", rig.SiteName + ":443:" + rig.OutsideAddr, "--resolve", rig.SiteName + ":80:" + rig.OutsideAddr},
				"--socks5-hostname " + at: {"--socks5-hostname", at, "--proxy-user", l.User + ":" + l.Password},
				"socks5h link " + at:      {"--proxy", strings.Replace(link, "socks5", "socks5h", 1)},
			}
		}
		for name, by := range ways {
			for _, site := range []string{plain, secure} {
				if got := curl(t, w, append(by, site+"/file")...); got.exit != 0 || !bytes.Equal(got.body, w.Site.File) {
					t.Errorf("%s: %s: exit %d, %s %s, %d bytes, and not those of the file", name, site, got.exit, got.status, got.connect, len(got.body))
				}
				got := curl(t, w, append(by, "--upload-file", file, site+"/")...)
				if got.exit != 0 || string(got.body) != hex.EncodeToString(sum[:]) {
					t.Errorf("%s: %s: the site has received something else: exit %d, %s %s, %.100q", name, site, got.exit, got.status, got.connect, got.body)
				}
			}
			got := curl(t, w, append(by, plain+"/")...)
			for _, word := range []string{"Via", "Forwarded", "X-Forwarded", "Proxy", rig.ClientAddr(0)} {
				if bytes.Contains(got.body, []byte(word)) {
					t.Errorf("%s: the site is told %.500q", name, got.body)
				}
			}
		}
	}
	if got := curl(t, w, "--proxy", links[0], secure+"/file"); got.exit == 0 {
		t.Error("curl trusts a certificate that it does not know")
	}
}

// Strangers get no further than the question for a password, whatever they
// have wrong.
func TestStrangersAtProxies(t *testing.T) {
	t.Parallel()
	w := rig.NewWorld(t)
	i := w.Instance(t)
	i.CreateServer("both", 1080, "--protocol", "mixed")
	i.Serve()
	good := i.CreateUser("alice")
	i.CreateUsers("bob", 1)
	at := net.JoinHostPort(good.Host, strconv.Itoa(good.Port))
	plain := plainSite(t, w)
	from := 0
	for what, login := range map[string]string{
		"no password": "", "an empty one": "alice:", "a wrong one": "alice:" + strings.Repeat("x", 32),
		"an unknown user": "nobody:" + good.Password, "another user": "bob0:" + good.Password,
	} {
		user := []string{"--interface", rig.ClientAddr(from)} // who guesses much from one waits long
		from++
		if login != "" {
			user = append(user, "--proxy-user", login)
		}
		if got := curl(t, w, append(user, "--proxy", "http://"+at, plain+"/")...); got.status != "407" {
			t.Errorf("%s: a request is answered %s", what, got.status)
		}
		if got := curl(t, w, append(user, "--proxy", "http://"+at, "https://"+rig.SiteName+"/")...); got.exit == 0 || got.connect != "407" {
			t.Errorf("%s: CONNECT is answered %s", what, got.connect)
		}
		if got := curl(t, w, append(user, "--socks5-hostname", at, plain+"/")...); got.exit != 97 {
			t.Errorf("%s: SOCKS5 lets curl end with %d", what, got.exit)
		}
	}
	if used := i.User("alice").Used.Total(); used > 0 {
		t.Errorf("alice is charged %d bytes", used)
	}
	i.Must("users", "update", "alice", "--name", "alicia")
	login := func(name string) []string {
		return []string{"--proxy", "http://" + at, "--proxy-user", name + ":" + good.Password, plain + "/"}
	}
	if got := curl(t, w, login("alicia")...); got.status != "200" {
		t.Errorf("by the new name: %s", got.status)
	}
	if got := curl(t, w, login("alice")...); got.status != "407" {
		t.Errorf("by the old name: %s", got.status)
	}
}

// Requests that are forwarded are guarded as tunnels are, and a site that sends
// its visitors elsewhere sends them to no place that is forbidden.
func TestForbiddenDestinationsOfRequests(t *testing.T) {
	t.Parallel()
	w := rig.NewWorld(t)
	i := w.Instance(t)
	i.CreateServer("both", 1080, "--protocol", "mixed")
	i.Serve()
	l := i.CreateUser("alice")
	var c canary
	c.sitEverywhere(t, w)
	rig.Names(t, w, tricks())
	at := net.JoinHostPort(l.Host, strconv.Itoa(l.Port))
	login := l.User + ":" + l.Password
	proxy := "http://" + login + "@" + at
	for _, host := range append(forbidden(), namesOfAddresses(forbidden())...) {
		got := curl(t, w, "--globoff", "--proxy", proxy, "http://"+net.JoinHostPort(host, canaryPort)+"/")
		if got.status != "403" && got.status != "502" {
			t.Errorf("%s: %s %q", host, got.status, got.body)
		}
	}
	for range 4 {
		curl(t, w, "--proxy", proxy, "http://"+net.JoinHostPort(reboundName, canaryPort)+"/")
	}
	elsewhere := w.Outside.Listen(t, net.JoinHostPort(rig.OutsideAddr, "80"))
	var sent atomic.Int64
	server := &http.Server{Handler: http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		sent.Add(1)
		http.Redirect(out, r, "http://"+net.JoinHostPort(strings.TrimPrefix(r.URL.Path, "/"), canaryPort)+"/", http.StatusFound)
	})}
	go func() { _ = server.Serve(elsewhere) }()
	t.Cleanup(func() { _ = server.Close() })
	for _, by := range [][]string{{"--proxy", "http://" + at}, {"--proxytunnel", "--proxy", "http://" + at}, {"--socks5-hostname", at}} {
		for _, host := range []string{"127.0.0.1", rig.PrivateAddr, "::1", serverOut, "private.example.test", "169.254.169.254"} {
			before := sent.Load()
			got := curl(t, w, append(by, "--globoff", "--location", "--proxy-user", login, "http://"+rig.SiteName+"/"+host)...)
			if got.status == "200" || sent.Load() != before+1 || len(got.body) > 0 && bytes.Contains(got.body, []byte("secret")) {
				t.Errorf("%v: sent on to %s: exit %d, %s %s, %q", by[:2], host, got.exit, got.status, got.connect, got.body)
			}
		}
	}
	if n := c.touched.Load(); n > 0 {
		t.Errorf("forbidden places were reached %d times", n)
	}
}

// What the settings deny is denied over each protocol; what they allow is not.
func TestDestinationRules(t *testing.T) {
	t.Parallel()
	w := rig.NewWorld(t)
	i := w.Instance(t)
	i.CreateServer("both", 1080, "--protocol", "mixed", "--deny-destination", "*.example.net", "--deny-destination", rig.OutsideAddr6, "--deny-port", "8000-9999")
	i.Serve()
	l := i.CreateUser("alice")
	plain := plainSite(t, w)
	at := net.JoinHostPort(l.Host, strconv.Itoa(l.Port))
	for _, by := range [][]string{{"--proxy", "http://" + at}, {"--proxytunnel", "--proxy", "http://" + at}, {"--socks5-hostname", at}} {
		by = append(by, "--globoff", "--proxy-user", l.User+":"+l.Password)
		for url, ok := range map[string]bool{
			plain + "/": true, "http://www.example.net/": false, "http://[" + rig.OutsideAddr6 + "]/": false, "http://" + rig.OutsideAddr + ":9000/": false,
		} {
			got := curl(t, w, append(by, url)...)
			if refused := got.status == "403" || got.connect == "403" || got.exit == 97; refused == ok || ok != (got.status == "200") {
				t.Errorf("%v: %s: exit %d, %s %s", by[:2], url, got.exit, got.status, got.connect)
			}
		}
	}
}

// A program of the client's own sends datagrams by its association, as long
// as that has its control connection.
func TestDatagramsStraightThroughSOCKS(t *testing.T) {
	t.Parallel()
	i, logins := ways()["socks5, xray"].install(t, 1)
	u, err := i.World.Associate(t.Context(), logins[0].Link)
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	var moved uint64
	for _, size := range []int{1, 100, 1200, 8000} {
		if err := u.Exchange(rig.UDPAddr().String(), bytes.Repeat([]byte{'x'}, size), 5*time.Second); err != nil {
			t.Errorf("%d bytes: %v", size, err)
		}
		moved += uint64(size)
	}
	wantUsed(t, i, "u0", vpn.Traffic{Up: moved, Down: moved})
	if err := u.Exchange(net.JoinHostPort(rig.OutsideAddr6, "9000"), []byte("six"), 5*time.Second); err != nil {
		t.Errorf("over IPv6: %v", err)
	}
	if err := u.Exchange(net.JoinHostPort(rig.SiteName, "9000"), []byte("name"), 5*time.Second); err != nil {
		t.Errorf("by name: %v", err)
	}
	u.Hang()
	rig.Until(t, 5*time.Second, func() error {
		if err := u.Send(rig.UDPAddr().String(), []byte("late")); err != nil {
			return nil // the port is closed
		}
		if _, err := u.Receive(100 * time.Millisecond); err == nil {
			return errors.New("the association outlives its control connection")
		}
		return nil
	})

	again, err := i.World.Associate(t.Context(), logins[0].Link)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if err := again.Exchange(rig.UDPAddr().String(), []byte("x"), 5*time.Second); err != nil {
		t.Fatal(err)
	}
	i.Must("users", "disable", "u0")
	rig.Until(t, time.Second, func() error {
		users, err := i.Users()
		if err == nil && users["u0"].Online > 0 {
			err = errors.New("a disabled user is online")
		}
		return err
	})
	if err := again.Exchange(rig.UDPAddr().String(), []byte("x"), 500*time.Millisecond); err == nil {
		t.Error("a disabled user's datagram is answered")
	}
}

// One quota is used up by the sum of what passes over three protocols, and
// then none of them lets the user in.
func TestOneQuotaOverThreeProtocols(t *testing.T) {
	t.Parallel()
	w := rig.NewWorld(t)
	i := w.Instance(t)
	i.CreateServer("main", port)
	i.CreateServer("web", 8080, "--protocol", "http")
	i.CreateServer("socks", 1080, "--protocol", "socks5")
	i.Serve()
	var c vpn.UserChange
	i.JSON(&c, "users", "create", "alice")
	var logins []rig.Login
	for _, a := range c.Access {
		logins = append(logins, rig.Login{Link: rig.ParseLink(t, a.Link)})
	}
	const quota = 30_000_000
	i.Must("users", "update", "alice", "--quota", strconv.Itoa(quota))
	client := w.SingBox(t, logins...)
	ended := make(chan error, len(logins))
	for k := range logins {
		conn := client.MustOpen(t, k, false)
		go func() { ended <- conn.Download(quota, 4e6) }()
	}
	for range logins {
		if err := <-ended; err == nil {
			t.Error("a whole quota has passed by one of three connections")
		}
	}
	// A worker stops at its share of what was left a moment before, so a little
	// may be left. It can be used, until it is too little to be divided.
	rig.Until(t, 30*time.Second, func() error {
		users, err := i.Users()
		if err != nil {
			return err
		}
		alice := users["alice"]
		if used := alice.Used.Total(); used > quota {
			t.Fatalf("used %d of %d bytes", used, quota)
		} else if used > quota-10 {
			return nil
		}
		for k := range logins {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			if conn, err := client.Open(ctx, k, false); err == nil {
				_ = conn.Download(quota, 0)
				conn.Close()
			}
			cancel()
		}
		return fmt.Errorf("used %d of %d bytes", alice.Used.Total(), quota)
	})
	for k := range logins {
		if err := client.Refused(t.Context(), k); err != nil {
			t.Errorf("%s: %v", logins[k].Link.Scheme, err)
		}
	}
}

// "vpn proxy test" goes the way that a client goes, and says how far it came.
func TestProxyTest(t *testing.T) {
	t.Parallel()
	w := rig.NewWorld(t)
	i := w.Instance(t)
	page := plainSite(t, w) + "/file"
	i.CreateServer("both", 1081, "--protocol", "mixed", "--tls", "--deny-port", "81")
	i.Serve()
	i.CreateUsers("u", 1)
	type trial struct {
		Proxy, Problem string
		OK             bool
		Status         int
		Connected      float64 `json:"connected_ms"`
		Answered       float64 `json:"answered_ms"`
	}
	var trials []trial
	i.JSON(&trials, "proxy", "test", "both", "--url", page)
	if len(trials) != 2 || !strings.HasPrefix(trials[0].Proxy, "https://u0@") || !strings.HasPrefix(trials[1].Proxy, "socks5://u0@") {
		t.Fatalf("got %+v", trials)
	}
	for _, got := range trials {
		if !got.OK || got.Status != 200 || got.Connected <= 0 || got.Answered < got.Connected {
			t.Errorf("got %+v", got)
		}
	}
	const part = 1 << 20 // it reads no more of a page
	rig.Until(t, 5*time.Second, func() error {
		if used := i.User("u0").Used.Total(); used < 2*min(part, uint64(len(w.Site.File))) {
			return fmt.Errorf("two pages of %d bytes cost the user %d", len(w.Site.File), used)
		}
		return nil
	})

	for _, c := range []struct {
		prepare, args []string
		status        int
		says          string
	}{
		{nil, []string{"--url", "http://" + rig.SiteName + ":81/"}, 4, "the proxy does not let the user reach that site"},
		{nil, []string{"--url", page, "--address", rig.ServerAddr + ":1"}, 6, "cannot be reached: connection refused"},
		{[]string{"users", "disable", "u0"}, []string{"--url", page, "--user", "u0"}, 4, "the proxy does not let the user reach that site"},
		{nil, []string{"--url", page}, 3, "there is no active user to try it with"},
		{[]string{"server", "stop", "both", "--yes"}, []string{"--url", page, "--user", "u0"}, 6, "cannot be reached"},
	} {
		if c.prepare != nil {
			i.Must(c.prepare...)
		}
		r := i.Run(append([]string{"proxy", "test", "both"}, c.args...)...)
		if r.Status != c.status || !strings.Contains(r.Err, c.says) {
			t.Errorf("%v: got %+v", c.args, r)
		}
	}
}
