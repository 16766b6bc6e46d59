//go:build linux && e2e

package e2e

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"vpn/internal/vpn"
	"vpn/test/e2e/rig"
)

// Users of WireGuard who are cut, each in another way, hear nothing more; whoever
// may come back does so without a new handshake, and a neighbour misses nothing.
// That a cut takes no second, the table of all protocols shows.
func TestTunnelCuts(t *testing.T) {
	cuts := []struct {
		name     string
		cut, end []string // what is given to users update, of which the second lets the user in again
	}{
		{"expiry", []string{"--expires", ""}, []string{"--expires", "never"}},
		{"access", []string{"--server", "none"}, []string{"--all-servers"}},
		{"quota", []string{"--quota", ""}, []string{"--quota", "none"}},
		{"disable", nil, nil},
	}
	for _, carrier := range []string{"tun", "userspace"} {
		t.Run(carrier, func(t *testing.T) {
			t.Parallel()
			x := tunnel(t, len(cuts)+1, "--carrier", carrier)
			neighbour := x.beat(t, x.phones[len(cuts)])
			change := func(k int, verb string, args []string) {
				user := fmt.Sprint("p", k)
				if args == nil {
					x.Must("users", verb, user)
					return
				}
				x.Must(append([]string{"users", "update", user}, args...)...)
			}
			expiry := time.Now().Add(5 * time.Second).Truncate(time.Second)
			for k, c := range cuts {
				if err := echoed(t, x.phones[k].Host, net.JoinHostPort(rig.OutsideAddr, "9000"), 100); err != nil {
					t.Fatalf("before %s: %v", c.name, err)
				}
				args := slices.Clone(c.cut)
				switch c.name {
				case "expiry":
					args[1] = expiry.UTC().Format(time.RFC3339)
				case "quota": // which is used up already
					var used uint64
					rig.Until(t, 3*time.Second, func() error {
						if used = x.User(fmt.Sprint("p", k)).Used.Total(); used == 0 {
							return errors.New("nothing is counted")
						}
						return nil
					})
					args[1] = strconv.FormatUint(used, 10)
				}
				change(k, "disable", args)
			}
			<-time.After(time.Until(expiry) + time.Second) // which a cut may take
			for k, c := range cuts {
				if err := once(t, x.phones[k], 500*time.Millisecond); err == nil {
					t.Errorf("%s: a datagram passes after the cut", c.name)
				}
			}
			for k, c := range cuts {
				change(k, "enable", c.end)
			}
			for k, c := range cuts {
				rig.Until(t, 2*time.Second, func() error {
					if err := once(t, x.phones[k], 500*time.Millisecond); err != nil {
						return fmt.Errorf("after %s: %w", c.name, err)
					}
					return nil
				})
			}
			used := x.User("p0").Used.Total()
			x.Must("users", "delete", "p0", "--yes")
			if err := once(t, x.phones[0], time.Second); err == nil {
				t.Error("a datagram of a deleted user passes")
			}
			var detail vpn.ServerDetail
			x.JSON(&detail, "server", "show", "wg")
			if w := detail.Worker; w == nil || w.Carrier != carrier {
				t.Errorf("carried by %+v, not %s", detail.Worker, carrier)
			}
			if used == 0 || detail.Used.Total() < used {
				t.Errorf("p0 used %d bytes, and the server counts %d", used, detail.Used.Total())
			}
			neighbour(t)
		})
	}
}

// answer is what the web server outside says: a file, the hash of what it
// gets, or who asks.
func (x *tunnelled) answer(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodPut:
		sum := sha256.New()
		_, _ = io.Copy(sum, r.Body)
		fmt.Fprintf(w, "%x", sum.Sum(nil))
	case r.URL.Path == "/file":
		_, _ = w.Write(x.World.Site.File)
	default:
		fmt.Fprint(w, netip.MustParseAddrPort(r.RemoteAddr).Addr().Unmap())
	}
}

// wantTransfer moves a file each way, over IPv4 and IPv6: it arrives as it was
// sent.
func (x *tunnelled) wantTransfer(t *testing.T, p *rig.Phone) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, x.World.Site.File, 0o644); err != nil {
		t.Fatal(err)
	}
	url := "http://" + rig.OutsideName + ":" + webPort + "/file"
	sum := fmt.Sprintf("%x", sha256.Sum256(x.World.Site.File))
	for _, version := range []string{"-4", "-6"} {
		out, err := p.Try(within(t, 60*time.Second), "curl", "-sS", "--max-time", "50", version, url)
		if err != nil || out != string(x.World.Site.File) {
			t.Errorf("curl %s downloads %d bytes, and not those of the file: %v", version, len(out), err)
		}
		out, err = p.Try(within(t, 60*time.Second), "curl", "-sS", "--max-time", "50", version, "--upload-file", file, strings.TrimSuffix(url, "file"))
		if err != nil || out != sum {
			t.Errorf("curl %s uploads something else: %.100q, %v", version, out, err)
		}
	}
}

// once sends a datagram and waits for its echo.
func once(t *testing.T, p *rig.Phone, patience time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := p.Dial(ctx, "udp", net.JoinHostPort(rig.OutsideAddr, "9000"))
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := c.Write([]byte("once")); err != nil {
		return err
	}
	_, err = c.Read(make([]byte, 16))
	return err
}

// beat sends datagrams from a phone all the time, and returns a function that
// ends it and fails the test if there was ever a second without an answer.
func (x *tunnelled) beat(t *testing.T, p *rig.Phone) (end func(*testing.T)) {
	t.Helper()
	if err := echoed(t, p.Host, net.JoinHostPort(rig.OutsideAddr, "9000"), 100); err != nil {
		t.Fatal(err)
	}
	c, err := p.Dial(within(t, 5*time.Second), "udp", net.JoinHostPort(rig.OutsideAddr, "9000"))
	if err != nil {
		t.Fatal(err)
	}
	stop, result := make(chan struct{}), make(chan error, 1)
	go func() {
		last := time.Now()
		b := make([]byte, 64)
		for i := 0; ; i++ {
			select {
			case <-stop:
				result <- nil
				return
			default:
			}
			_, _ = c.Write([]byte("beat " + strconv.Itoa(i)))
			_ = c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
			if _, err := c.Read(b); err == nil {
				last = time.Now()
			} else if silent := time.Since(last); silent > time.Second {
				result <- errors.Join(fmt.Errorf("the neighbour heard nothing for %v", silent), err)
				return
			}
		}
	}()
	return func(t *testing.T) {
		t.Helper()
		close(stop)
		if err := <-result; err != nil {
			t.Error(err)
		}
		c.Close()
	}
}
