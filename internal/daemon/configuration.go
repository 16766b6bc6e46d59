package daemon

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"slices"
	"sync"
	"syscall"

	"vpn/internal/app"
	"vpn/internal/config"
	"vpn/internal/vpn"
)

// configuration shows what a control plane has read, and changes the file: it
// fills [app.Configuration].
type configuration struct {
	sources config.Sources
	inForce func() config.Config
	replace func(path string, data []byte) error // wholly or not at all; nil: nothing can be changed

	changing sync.Mutex
}

var _ app.Configuration = (*configuration)(nil)

// Show implements [app.Configuration].
func (c *configuration) Show(context.Context) (vpn.Configuration, error) {
	out := vpn.Configuration{File: config.File(c.sources)}
	next, err := config.Load(c.sources)
	pending := map[string]string{}
	if err != nil {
		out.Problem = err.Error()
	} else {
		for _, v := range next.Values() {
			pending[v.Key] = v.Value
		}
	}
	for _, v := range c.inForce().Values() {
		value := v.Described()
		if then, known := pending[v.Key]; known && then != v.Value {
			value.Pending = &then
		}
		out.Values = append(out.Values, value)
	}
	return out, nil
}

// Change implements [app.Configuration].
func (c *configuration) Change(_ context.Context, p vpn.ConfigPatch, dry bool) (vpn.ConfigChange, error) {
	none := vpn.ConfigChange{}
	if len(p.Set)+len(p.Unset) == 0 {
		return none, vpn.Errorf(vpn.Invalid, "nothing is to be changed").WithHint("name keys in set or unset")
	}
	if c.replace == nil {
		return none, vpn.Errorf(vpn.Unavailable, "this control plane changes no file").WithHint("on its machine: vpn config set KEY VALUE")
	}
	c.changing.Lock()
	defer c.changing.Unlock()
	path, err := config.FileToChange(c.sources)
	if err != nil {
		return none, err
	}
	before, err := config.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return none, cannot("read", path, err)
	}
	data, err := patched(path, before, p)
	if err != nil {
		return none, err
	}
	next, err := config.Try(c.sources, data)
	if err != nil {
		return none, err
	}
	out := vpn.ConfigChange{File: path, Written: string(data) != string(before), Changes: []vpn.ConfigDiff{}, DryRun: dry}
	now := c.inForce().Values()
	for i, v := range next.Values() {
		if _, named := p.Set[v.Key]; named && v.Origin.Layer != "file" {
			out.Warnings = append(out.Warnings, v.Origin.Where+" is set for the daemon, and rules over the file")
		}
		if v.Value == now[i].Value {
			continue
		}
		out.Changes = append(out.Changes, vpn.ConfigDiff{Key: v.Key, From: now[i].Value, To: v.Value})
		if v.Key == "data_dir" {
			out.Restart = append(out.Restart, v.Key)
			out.Warnings = append(out.Warnings, "the data directory cannot change while the daemon runs: a reload refuses all of it; "+
				"to move it, stop the daemon with its servers, move the directory and start it again")
		}
	}
	if dry || !out.Written {
		return out, nil
	}
	if err := c.replace(path, data); err != nil {
		return none, cannot("write", path, err)
	}
	return out, nil
}

// patched returns the text of the file with all changes made to it.
func patched(path string, data []byte, p vpn.ConfigPatch) ([]byte, error) {
	for _, key := range slices.Sorted(maps.Keys(p.Set)) {
		if slices.Contains(p.Unset, key) {
			return nil, vpn.Errorf(vpn.Invalid, "%s cannot be set and unset at once", key).WithHint("leave one of them out")
		}
		var err error
		if data, err = config.Set(path, data, key, p.Set[key]); err != nil {
			return nil, err
		}
	}
	for _, key := range p.Unset {
		var err error
		if data, _, err = config.Unset(path, data, key); err != nil {
			return nil, err
		}
	}
	return data, nil
}

// cannot says that the file is out of the daemon's reach: its sandbox may have
// been made so.
func cannot(verb, path string, err error) error {
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) || vpn.KindOf(err) == vpn.Denied {
		return vpn.Errorf(vpn.Denied, "the daemon may not %s %s: %w", verb, path, err).
			WithHint("change it on its machine: sudo vpn config set KEY VALUE; then: vpn reload")
	}
	return err
}
