package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"vpn/internal/vpn"
)

const written = `# how we run it

public_host: "vpn.example.com"   # the old name

log_level:   info # till it works
# the end
`

func TestSetKeepsEverythingElse(t *testing.T) {
	for name, c := range map[string]struct{ before, key, value, after string }{
		"plain":             {written, "log_level", "debug", strings.Replace(written, "info", "debug", 1)},
		"quoted":            {written, "public_host", "a.example.org", strings.Replace(written, `"vpn.example.com"`, "a.example.org", 1)},
		"single quotes":     {"log_level: 'info' # x\n", "log_level", "warn", "log_level: warn # x\n"},
		"new":               {written, "log_format", "json", written + "log_format: json\n"},
		"no file yet":       {"", "log_format", "json", "log_format: json\n"},
		"comments only":     {"# nothing yet", "log_format", "json", "# nothing yet\nlog_format: json\n"},
		"no newline":        {"log_level: info", "log_format", "json", "log_level: info\nlog_format: json\n"},
		"no newline, there": {"log_level: info", "log_level", "warn", "log_level: warn"},
		"carriage returns":  {"log_level: info\r\nlog_format: text\r\n", "log_level", "warn", "log_level: warn\r\nlog_format: text\r\n"},
		"text like a number": {
			"", "public_host", "203.0.113.5", "public_host: 203.0.113.5\n",
		},
		"text like nothing": {"", "worker_uids", "none", "worker_uids: none\n"},
		"empty":             {"public_host: a.example.org\n", "public_host", "", "public_host: \"\"\n"},
		"several lines":     {"# x\nlog_level:\n  info\nlog_format: text\n", "log_level", "warn", "# x\nlog_level: warn\nlog_format: text\n"},
		"braces":            {"{log_level: info, log_format: text}\n", "log_level", "warn", "{log_level: warn, log_format: text}\n"},
		"a key in a value":  {"{log_level: info}\n", "log_format", "json", "{log_level: info, log_format: json}\n"},
		"end of document":   {"log_level: info\n...\n", "log_format", "json", "log_level: info\nlog_format: json\n"},
		"quoted key":        {"\"log_level\": info\n", "log_level", "warn", "\"log_level\": warn\n"},
		"tagged":            {"log_level: !!str info\n", "log_level", "warn", "log_level: warn\n"},
		"an invalid one":    {"log_level: loud\n", "log_level", "warn", "log_level: warn\n"},
	} {
		got, err := Set("config.yaml", []byte(c.before), c.key, c.value)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(c.after, string(got)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// The sample explains each key; what is set stands where it is explained.
func TestSetIntoTheSample(t *testing.T) {
	got, err := Set("config.yaml", Sample(), "public_host", "vpn.example.org")
	if err != nil {
		t.Fatal(err)
	}
	if want := "# public_host: vpn.example.com\npublic_host: vpn.example.org\n"; !strings.Contains(string(got), want) {
		t.Errorf("got\n%s", got)
	}
	back, was, err := Unset("config.yaml", got, "public_host")
	if err != nil || !was {
		t.Fatal(was, err)
	}
	if diff := cmp.Diff(string(Sample()), string(back)); diff != "" {
		t.Error(diff)
	}
}

func TestUnset(t *testing.T) {
	for before, after := range map[string]string{
		"# a\nlog_level: info\n# b\nlog_format: text\n": "# a\n# b\nlog_format: text\n",
		"log_level: info":                        "",
		"{log_level: info, log_format: text}\n":  "{log_format: text}\n",
		"log_level:\n  info\nlog_format: text\n": "log_format: text\n",
		"log_level: |-\n  info\n# c\n":           "# c\n",
		"log_format: text\n# log_level: debug\n": "log_format: text\n# log_level: debug\n",
	} {
		got, was, err := Unset("config.yaml", []byte(before), "log_level")
		if err != nil || was != strings.Contains(strings.ReplaceAll(before, "# log_level", ""), "log_level") {
			t.Errorf("%q: was there: %v, %v", before, was, err)
			continue
		}
		if diff := cmp.Diff(after, string(got)); diff != "" {
			t.Errorf("%q: %s", before, diff)
		}
	}
}

func TestBadEditsAreRefused(t *testing.T) {
	for name, c := range map[string]struct{ data, key, value, hint string }{
		"unknown key":    {"", "log_levl", "info", "did you mean log_level?"},
		"bad value":      {"", "log_level", "loud", "log_level is the least weight"},
		"relative path":  {"", "data_dir", "here", "for example /var/lib/vpn"},
		"bad uids":       {"", "worker_uids", "5", "for example"},
		"no YAML":        {"a: [", "log_level", "info", "what it wants"},
		"unknown within": {"log_levl: info\n", "log_level", "info", "did you mean"},
		"list":           {"- a\n", "log_level", "info", "write it like"},
	} {
		_, err := Set("config.yaml", []byte(c.data), c.key, c.value)
		e, ok := errors.AsType[*vpn.Error](err)
		if !ok || e.Kind != vpn.Invalid || !strings.Contains(e.Hint, c.hint) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := Unset("config.yaml", nil, "log_levl"); vpn.KindOf(err) != vpn.Invalid {
		t.Errorf("unset of an unknown key: %v", err)
	}
}

// Whatever is set, in whatever order, is what is read afterwards; comments
// stay.
func TestSetProperty(t *testing.T) {
	hosts := []string{"a.example.org", "203.0.113.7", "2001:db8::1", "1e3.example.org", "null.example.org", ""}
	rapid.Check(t, func(t *rapid.T) {
		data := []byte(rapid.SampledFrom([]string{"", "# c\n", written, string(Sample()), "{}", "---\nlog_level: info\n"}).Draw(t, "file"))
		want := map[string]string{}
		comments := strings.Count(string(data), "#")
		for range rapid.IntRange(1, 8).Draw(t, "steps") {
			key := rapid.SampledFrom(Keys()).Draw(t, "key")
			var value string
			switch key {
			case "public_host":
				value = rapid.SampledFrom(hosts).Draw(t, "host")
			case "data_dir":
				value = rapid.StringMatching(`/[ -~ä☺]{0,12}`).Draw(t, "path")
			case "worker_uids":
				value = rapid.SampledFrom([]string{"none", "2000-3000"}).Draw(t, "uids")
			default:
				value = rapid.SampledFrom(Choices(key)).Draw(t, "choice")
			}
			edited, err := Set("f", data, key, value)
			if err != nil {
				t.Fatalf("%q: set %s %q: %v", data, key, value, err)
			}
			data, want[key] = edited, value
		}
		entries, err := parse("f", data)
		if err != nil {
			t.Fatalf("%q: %v", data, err)
		}
		for _, e := range entries {
			if w, ok := want[e.key.name]; ok && e.text != w {
				t.Fatalf("%q: %s is %q, was set to %q", data, e.key.name, e.text, w)
			}
			delete(want, e.key.name)
		}
		if len(want) > 0 || strings.Count(string(data), "#") < comments {
			t.Fatalf("%q: missing are %v, of %d comments", data, want, comments)
		}
	})
}

func TestCheck(t *testing.T) {
	if err := Check(writeFile(t, written)); err != nil {
		t.Error(err)
	}
	path := writeFile(t, "log_level: info\nlog_format: loud\n")
	if err := Check(path); vpn.KindOf(err) != vpn.Invalid || !strings.HasPrefix(err.Error(), path+":2: log_format must be text or json") {
		t.Errorf("a bad value: %v", err)
	}
	if err := Check(filepath.Join(t.TempDir(), "missing")); vpn.KindOf(err) != vpn.Invalid {
		t.Errorf("no file: %v", err)
	}
}

// A person beside a system installation gets no configuration of his own that
// the daemon would never read.
func TestFileToChange(t *testing.T) {
	system := t.TempDir()
	s := person(t, nil)
	own := filepath.Join(s.Getenv("HOME"), ".config", "vpn", "config.yaml")
	if path, err := fileToChange(s, nowhere(t)); err != nil || path != own {
		t.Errorf("alone: %q, %v", path, err)
	}
	_, err := fileToChange(s, system)
	if e, ok := errors.AsType[*vpn.Error](err); !ok || e.Kind != vpn.Denied || !strings.Contains(e.Hint, "sudo") || !strings.Contains(e.Message, SystemFile) {
		t.Errorf("beside the system's: %v", err)
	}
	root := s
	root.Root = true
	if path, err := fileToChange(root, system); err != nil || path != SystemFile {
		t.Errorf("root: %q, %v", path, err)
	}
	named := s
	named.File = "mine.yaml"
	if path, err := fileToChange(named, system); err != nil || path != "mine.yaml" {
		t.Errorf("a named one: %q, %v", path, err)
	}
	if err := os.MkdirAll(filepath.Dir(own), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(own, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if path, err := fileToChange(s, system); err != nil || path != own {
		t.Errorf("one that is there: %q, %v", path, err)
	}
	if _, err := fileToChange(Sources{}, nowhere(t)); vpn.KindOf(err) != vpn.Invalid {
		t.Errorf("without a home: %v", err)
	}
}
