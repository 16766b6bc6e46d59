package config

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"

	"vpn/internal/vpn"
)

// A key is one thing that can be configured. From this table follow the
// file's keys, the variables, the flags, the sample file and the reference.
type key struct {
	name    string
	help    string // continues "NAME is"
	preset  string // the default; empty if it depends, or is to be empty
	example string
	path    bool
	choices []string // all that it may be, if that is a few words

	// set checks text and stores it. Its error continues "NAME must be" and
	// does not show text.
	set func(c *Config, text string) error
	get func(c Config) string
}

func (k key) variable() string { return "VPN_" + strings.ToUpper(k.name) }
func (k key) flag() string     { return "--" + strings.ReplaceAll(k.name, "_", "-") }

var keys = []key{
	{
		name:    "data_dir",
		help:    "the directory that holds everything, an absolute path",
		example: SystemDataDir,
		path:    true,
		set: func(c *Config, text string) error {
			if !path.IsAbs(text) { // where it is used, which is where there are servers
				return errors.New("an absolute path")
			}
			if strings.ContainsFunc(text, isControl) {
				return errors.New("an absolute path without line breaks and other control characters")
			}
			c.DataDir = path.Clean(text)
			return nil
		},
		get: func(c Config) string { return c.DataDir },
	},
	{
		name:    "public_host",
		help:    "the name or address that clients dial, if it is not the address of this machine's default route",
		example: "vpn.example.com",
		set: func(c *Config, text string) error {
			if text != "" && vpn.ValidHost(text) != nil {
				return errors.New("a domain name or an address")
			}
			c.PublicHost = text
			return nil
		},
		get: func(c Config) string { return c.PublicHost },
	},
	{
		name:    "log_level",
		help:    "the least weight of what the daemon and all servers log: debug, info, warn or error; debug says who is refused, and why",
		preset:  "info",
		example: "info",
		choices: []string{"debug", "info", "warn", "error"},
		set: func(c *Config, text string) error {
			level, ok := levels[text]
			if !ok {
				return errors.New("debug, info, warn or error")
			}
			c.LogLevel = level
			return nil
		},
		get: func(c Config) string { return strings.ToLower(c.LogLevel.String()) },
	},
	{
		name:    "log_format",
		help:    "how the daemon and all servers write their logs: text or json",
		preset:  "text",
		example: "text",
		choices: []string{"text", "json"},
		set: func(c *Config, text string) error {
			if text != "text" && text != "json" {
				return errors.New("text or json")
			}
			c.LogFormat = text
			return nil
		},
		get: func(c Config) string { return c.LogFormat },
	},
	{
		name:    "worker_uids",
		help:    "the user ids that a daemon run by root gives its workers, one each, or none; nothing else may have them",
		preset:  "471000-471999",
		example: "471000-471999",
		set: func(c *Config, text string) (err error) {
			c.WorkerUIDs, err = parseUIDs(text)
			return err
		},
		get: func(c Config) string { return formatUIDs(c.WorkerUIDs) },
	},
	{
		name:    "runtime",
		help:    "where the worker of a new server lives, if nobody says: process, or docker for a container of the local engine; the daemon of a Compose project has compose",
		preset:  vpn.RuntimeProcess,
		example: vpn.RuntimeDocker,
		choices: vpn.Runtimes(),
		set: func(c *Config, text string) error {
			if text != vpn.RuntimeCompose && vpn.ValidRuntime(text) != nil {
				return errors.New(strings.Join(vpn.Runtimes(), " or "))
			}
			c.Runtime = text
			return nil
		},
		get: func(c Config) string { return c.Runtime },
	},
}

var levels = map[string]slog.Level{
	"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// parseUIDs reads "471000-471999", or "none". System users live below 1000,
// and -1 means no user at all to the kernel.
func parseUIDs(text string) (vpn.UIDRange, error) {
	if text == "none" {
		return vpn.UIDRange{}, nil
	}
	first, last, _ := strings.Cut(text, "-")
	from, err := strconv.ParseUint(first, 10, 32)
	to, err2 := strconv.ParseUint(last, 10, 32)
	if err != nil || err2 != nil || from < 1000 || to < from || to == math.MaxUint32 {
		return vpn.UIDRange{}, errors.New("a range of user ids from 1000 on, or none")
	}
	return vpn.UIDRange{Base: uint32(from), Count: uint32(to - from + 1)}, nil
}

func formatUIDs(r vpn.UIDRange) string {
	if r.Count == 0 {
		return "none"
	}
	return fmt.Sprintf("%d-%d", r.Base, r.Base+r.Count-1)
}

// Origin is where a value comes from.
type Origin struct {
	Layer string // "default", "file", "environment", "flag"
	Where string // path and line, variable or flag
}

func (o Origin) String() string { return strings.TrimSpace(o.Layer + " " + o.Where) }

// A Value is one key of a [Config] as a person sees it.
type Value struct {
	Key, Value, Help string
	Origin           Origin
}

// Described returns v with all that is to be known of its key.
func (v Value) Described() vpn.ConfigValue {
	out := vpn.ConfigValue{Key: v.Key, Value: v.Value, Doc: v.Help, Origin: vpn.ConfigOrigin{Layer: v.Origin.Layer, Where: v.Origin.Where}}
	if k, err := byName(v.Key); err == nil {
		out.Default, out.Example, out.Choices = k.preset, k.example, slices.Clone(k.choices)
	}
	return out
}

// Values returns what c holds, key by key. There are no secrets in it.
func (c Config) Values() []Value {
	out := make([]Value, 0, len(keys))
	for _, k := range keys {
		out = append(out, Value{Key: k.name, Value: k.get(c), Help: k.help, Origin: c.origins[k.name]})
	}
	return out
}

// Sample returns a configuration file in which everything is explained and
// nothing is set.
func Sample() []byte {
	var out strings.Builder
	out.WriteString("# The configuration of vpn. Flags and VPN_* variables come before it.\n")
	for _, k := range keys {
		fmt.Fprintf(&out, "\n# %s is %s.\n# %s: %s\n", k.name, k.help, k.name, k.example)
	}
	return []byte(out.String())
}
