//go:build linux && e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"vpn/test/e2e/rig"
)

// What docs/guide tells people to type, on a machine of their own with
// systemd. The pages are read in this order, each block of commands in turn:
// uninstalling comes last.
var guide = []string{"install.md", "first-server.md", "users.md", "shadowsocks.md", "proxies.md", "wireguard.md", "monitor.md", "troubleshooting.md", "service.md"}

// A guide's blocks are of type console: a line that begins with "$ " is a
// command, the lines below it are what it prints. "…" stands for anything, in
// a line or as lines. A command fails if, and only if, a line "vpn: …" is
// shown for it. Comments in the page that no reader sees prepare a block or
// explain why it is not run:
//
//	<!-- run: systemctl stop vpn -->
//	<!-- not run: needs a second machine -->

// Pages that take something else than that machine have tests of their own.
var otherGuides = []string{"docker.md", "compose.md", "remote.md"}

// maxNotRun is how many blocks may go without being run.
const maxNotRun = 4

// Names in the guide are examples; here they are hosts that exist.
var examples = strings.NewReplacer("vpn.example.org", rig.ServerAddr, "www.example.com", rig.SiteName)

func TestGuide(t *testing.T) {
	t.Parallel()
	c := rig.Boot(t)
	w := c.World()
	c.Must("sh", "-c", "echo "+rig.OutsideAddr+" "+rig.SiteName+" >>/etc/hosts; echo nameserver 127.0.0.1 >/etc/resolv.conf")
	skipped := 0
	for _, page := range guide {
		blocks := readGuide(t, page)
		if len(blocks) < 2 {
			t.Fatalf("%s has only %d blocks", page, len(blocks))
		}
		for _, b := range blocks {
			if b.notRun != "" {
				skipped++
				continue
			}
			for _, s := range b.steps {
				s.run(t, c)
			}
		}
		if page == "first-server.md" { // its promise: now somebody can connect
			client := w.Xray(t, rig.Login{Link: rig.ParseLink(t, strings.TrimSpace(c.Must("vpn", "users", "link", "alice", "-q")))})
			rig.Until(t, 10*time.Second, func() error { return works(t, client, 0) })
		}
	}
	if skipped > maxNotRun {
		t.Errorf("%d blocks are not run, more than %d", skipped, maxNotRun)
	}
}

// Every page on which something is typed is run, and every block has a type
// that says what to do with it.
func TestGuideIsRunWhole(t *testing.T) {
	files, err := filepath.Glob("../../docs/guide/*.md")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		name, page := filepath.Base(file), readFile(t, file)
		if strings.Contains(page, "```console") && !slices.Contains(append(otherGuides, guide...), name) {
			t.Errorf("%s is not run", name)
		}
		for k, fence := range regexp.MustCompile("(?m)^```.*$").FindAllString(page, -1) {
			if opens := k%2 == 0; opens && fence != "```console" && fence != "```yaml" {
				t.Errorf("%s has a block %q: what is typed belongs into ```console", name, fence)
			}
		}
	}
}

// A block is what stands between two fences, with what is done before it.
type block struct {
	notRun string // why not
	steps  []step
}

// A step is one command and what it is to print.
type step struct {
	where   string // page and line
	command string
	prints  []string
}

var hidden = regexp.MustCompile(`^<!-- (not run|run): (.+) -->$`)

// readGuide returns the blocks of a page.
func readGuide(t *testing.T, page string) (blocks []block) {
	t.Helper()
	var next block
	inside, other := false, false
	number := 0
	for line := range strings.Lines(readFile(t, "../../docs/guide/"+page)) {
		number++
		line = strings.TrimRight(examples.Replace(line), "\n")
		where := fmt.Sprintf("%s:%d", page, number)
		switch m := hidden.FindStringSubmatch(line); {
		case !inside && !other && line == "```console":
			inside = true
		case inside && line == "```":
			blocks, next, inside = append(blocks, next), block{}, false
		case strings.HasPrefix(line, "```"):
			other = !other
		case inside && strings.HasPrefix(line, "$ "):
			next.steps = append(next.steps, step{where: where, command: strings.TrimPrefix(line, "$ ")})
		case inside && line != "":
			if len(next.steps) == 0 {
				t.Fatalf("%s: output without a command", where)
			}
			s := &next.steps[len(next.steps)-1]
			s.prints = append(s.prints, line)
		case !inside && m != nil && m[1] == "not run":
			next.notRun = m[2]
		case !inside && m != nil:
			next.steps = append(next.steps, step{where: where, command: m[2]})
		}
	}
	if inside || other || len(next.steps) > 0 {
		t.Fatalf("%s: the last block has no end, or what prepares it no block", page)
	}
	return blocks
}

// observes matches commands that change nothing, so what they show may need a
// moment to come true.
var observes = regexp.MustCompile(`\b(status|list|show|logs|is-active|journalctl)\b`)

// A typist runs what people type.
type typist interface {
	Run(args ...string) rig.Result
}

// run runs a step inside and compares what it prints.
func (s step) run(t *testing.T, c typist) {
	t.Helper()
	wait := time.Duration(0)
	if observes.MatchString(s.command) {
		wait = 15 * time.Second
	}
	deadline := time.Now().Add(wait)
	for {
		r := c.Run("sh", "-c", "cd /root\nexec 2>&1\n"+s.command)
		err := s.check(r)
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			// What follows builds on it.
			t.Fatalf("%s: $ %s: %v\nit printed, with exit status %d:\n%s", s.where, s.command, err, r.Status, r.Out)
		}
		pause(t.Context(), 100*time.Millisecond)
	}
}

func (s step) check(r rig.Result) error {
	fails := slices.ContainsFunc(s.prints, func(line string) bool { return strings.HasPrefix(line, "vpn: ") })
	if fails != (r.Status != 0) {
		return fmt.Errorf("exit status %d", r.Status)
	}
	lines := strings.Split(r.Out, "\n")
	for _, want := range s.prints {
		if want == "…" {
			continue
		}
		k := slices.IndexFunc(lines, pattern(want).MatchString)
		if k < 0 {
			return fmt.Errorf("it does not print %q, or not there", want)
		}
		lines = lines[k+1:]
	}
	return nil
}

// pattern returns what matches a line, however wide its columns are.
func pattern(line string) *regexp.Regexp {
	var words []string
	for word := range strings.FieldsSeq(line) {
		words = append(words, strings.ReplaceAll(regexp.QuoteMeta(word), "…", ".*"))
	}
	return regexp.MustCompile("^ *" + strings.Join(words, " +") + " *$")
}

func TestGuideSteps(t *testing.T) {
	for _, c := range []struct {
		prints string
		out    string
		status int
		ok     bool
	}{
		{"created user alice\nvless://…", "created user alice\nvless://x@y\n", 0, true},
		{"NAME  STATUS\nalice active", "NAME   STATUS\nalice  active\n", 0, true},
		{"alice active", "alice  disabled\n", 0, false},
		{"b\na", "a\nb\n", 0, false},
		{"", "anything\n", 0, true},
		{"", "", 1, false},
		{"vpn: no user is named \"bob\"", "vpn: no user is named \"bob\"\nhint: x\n", 3, true},
		{"vpn: no user is named \"bob\"", "vpn: no user is named \"bob\"\n", 0, false},
		{"a.c", "abc\n", 0, false},
	} {
		s := step{prints: strings.Split(c.prints, "\n")}
		if c.prints == "" {
			s.prints = nil
		}
		if err := s.check(rig.Result{Out: c.out, Status: c.status}); (err == nil) != c.ok {
			t.Errorf("%q against %q, %d: %v", c.prints, c.out, c.status, err)
		}
	}
	if _, err := os.Stat("../../docs/guide"); err != nil {
		t.Error(err)
	}
}
