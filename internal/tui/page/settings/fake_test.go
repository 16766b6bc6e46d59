package settings_test

import (
	"context"
	"slices"
	"strings"

	"vpn/internal/tui"
	"vpn/internal/tui/key"
	"vpn/internal/tui/page"
	"vpn/internal/tui/page/settings"
	"vpn/internal/tui/tuitest"
	"vpn/internal/vpn"
)

// file is a daemon with a configuration's file.
type file struct {
	set      map[string]string // what the file says
	inForce  map[string]string
	from     map[string]vpn.ConfigOrigin // of what the file does not say
	patches  []vpn.ConfigPatch
	reloads  int
	err      error
	reloadIs error
	problem  string
	refuses  string // a key
}

const path = "/etc/vpn/config.yaml"

func newFile() *file {
	return &file{
		set:     map[string]string{"public_host": "vpn.example.org", "log_level": "info"},
		inForce: map[string]string{"public_host": "vpn.example.org", "log_level": "info"},
		from: map[string]vpn.ConfigOrigin{
			"data_dir": {Layer: "flag", Where: "--data-dir"}, "log_format": {Layer: "environment", Where: "VPN_LOG_FORMAT"},
		},
	}
}

func keys() []vpn.ConfigValue {
	return []vpn.ConfigValue{
		{Key: "data_dir", Value: "/var/lib/vpn", Doc: "the directory that holds everything, an absolute path", Example: "/var/lib/vpn"},
		{Key: "public_host", Doc: "the name or address that clients dial, if it is not the address of this machine's default route", Example: "vpn.example.com"},
		{Key: "log_level", Default: "info", Doc: "the least weight of what is logged: debug, info, warn or error", Example: "info", Choices: []string{"debug", "info", "warn", "error"}},
		{Key: "log_format", Value: "json", Default: "text", Doc: "how the log is written: text or json", Example: "text", Choices: []string{"text", "json"}},
		{Key: "worker_uids", Default: "471000-471999", Doc: "the user ids that a daemon run by root gives its workers, one each, or none", Example: "471000-471999"},
	}
}

func (f *file) Configuration(context.Context) (vpn.Configuration, error) {
	if f.err != nil {
		return vpn.Configuration{}, f.err
	}
	c := vpn.Configuration{File: path, Values: keys(), Problem: f.problem}
	for i := range c.Values {
		v := &c.Values[i]
		v.Origin = vpn.ConfigOrigin{Layer: "default"}
		if v.Value == "" {
			v.Value = v.Default
		}
		if o, ok := f.from[v.Key]; ok {
			v.Origin = o
		}
		if x, ok := f.inForce[v.Key]; ok {
			v.Value, v.Origin = x, vpn.ConfigOrigin{Layer: "file", Where: path + ":" + string(rune('1'+i))}
		}
		if x := f.set[v.Key]; x != f.inForce[v.Key] {
			if x == "" {
				x = v.Default
			}
			v.Pending = &x
		}
	}
	return c, nil
}

func (f *file) change(p vpn.ConfigPatch, dry bool) (vpn.ConfigChange, error) {
	c := vpn.ConfigChange{File: path, DryRun: dry}
	before, _ := f.Configuration(context.Background())
	for _, v := range before.Values {
		to, ok := p.Set[v.Key]
		switch {
		case ok && v.Key == f.refuses:
			return c, vpn.Errorf(vpn.Invalid, "%s is taken by somebody", v.Key)
		case ok && v.Key == "public_host" && strings.Contains(to, " "):
			return c, vpn.Errorf(vpn.Invalid, "public_host must be a domain name or an address").WithHint("write it like vpn.example.com")
		case ok && v.Key == "worker_uids" && to != "none" && !strings.Contains(to, "-"):
			return c, vpn.Errorf(vpn.Invalid, "worker_uids must be a range of user ids from 1000 on, or none")
		case ok && v.Key == "data_dir":
			c.Restart = append(c.Restart, v.Key)
			c.Warnings = append(c.Warnings, "data_dir: --data-dir overrules the file")
			c.Written = true
		case slices.Contains(p.Unset, v.Key):
			to, ok = v.Default, true
		}
		if ok && v.Key != "data_dir" {
			c.Written = true
			c.Changes = append(c.Changes, vpn.ConfigDiff{Key: v.Key, From: v.Value, To: to})
		}
	}
	return c, nil
}

// Configure writes the file.
func (f *file) Configure(_ context.Context, p vpn.ConfigPatch) (vpn.ConfigChange, error) {
	f.patches = append(f.patches, p)
	c, err := f.change(p, false)
	if err != nil {
		return c, err
	}
	for k, v := range p.Set {
		f.set[k] = v
	}
	for _, k := range p.Unset {
		delete(f.set, k)
	}
	return c, nil
}

func (f *file) Reload(context.Context) (vpn.Reload, error) {
	f.reloads++
	if f.reloadIs != nil {
		return vpn.Reload{}, f.reloadIs
	}
	var r vpn.Reload
	for _, v := range keys() {
		if f.set[v.Key] != f.inForce[v.Key] && v.Key != "data_dir" {
			r.Changed = append(r.Changed, v.Key)
			if f.inForce[v.Key] = f.set[v.Key]; f.set[v.Key] == "" {
				delete(f.inForce, v.Key)
			}
		}
	}
	return r, nil
}

// dryFile is the same, of which nothing changes.
type dryFile struct{ *file }

func (d dryFile) Configure(_ context.Context, p vpn.ConfigPatch) (vpn.ConfigChange, error) {
	return d.change(p, true)
}

// person is somebody's preferences and screen.
type person struct {
	saved, now settings.Look
	file       string
	err        error
}

func newPerson() *person {
	return &person{saved: settings.Standard(), now: settings.Standard(), file: "/home/anna/.config/vpn/tui.yaml"}
}

func (p *person) Load() (settings.Look, error) { return p.saved, p.err }
func (p *person) File() string                 { return p.file }
func (p *person) Look() settings.Look          { return p.now }
func (p *person) Apply(l settings.Look)        { p.now = l }
func (p *person) Save(l settings.Look) error {
	p.saved = l
	return nil
}

func model(o tui.Options, f *file, p *person) *tui.App {
	o.Source = &tuitest.Fleet{N: 20}
	return tuitest.Alone(o, key.Settings, func(fr page.Frame) page.Page { return settings.New(fr, f, dryFile{f}, p, p) })
}
