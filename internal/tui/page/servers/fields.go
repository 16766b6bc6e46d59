package servers

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"vpn/internal/protocol"
	"vpn/internal/tui/dialog"
	"vpn/internal/tui/widget"
	"vpn/internal/vpn"
)

// The fields that every server has, by the names of their flags.
const (
	fieldName   = "name"
	fieldPort   = "port"
	fieldHost   = "public-host"
	fieldListen = "listen"
	fieldAllow  = "allow"
	fieldHome   = "runtime"
	fieldCheck  = "no-check"
)

// open is the choice that leaves a setting to the control plane.
const open = "default"

// labelOf is what a setting is called in a form, and by the control plane's
// refusals: "short id".
func labelOf(f protocol.Field) string { return strings.ReplaceAll(f.Flag(), "-", " ") }

// general are the fields of every server; old is what it is now, or nil for
// one that is yet to be.
func general(p protocol.Protocol, old *vpn.ServerInfo) []widget.Field {
	ports := make([]string, 0, len(p.Ports()))
	for _, n := range p.Ports() {
		ports = append(ports, strconv.Itoa(int(n)))
	}
	name := widget.Field{Key: fieldName, Label: "name", Hint: "main", Help: "the server's name, as commands, links and logs have it", Check: optional(vpn.ValidName)}
	port := widget.Field{
		Key: fieldPort, Label: "port", Hint: strings.Join(ports, ", ") + ", or the next that is free", Check: optional(checkPort),
		Help: "the port that clients dial; left empty, one that is usual and free",
	}
	host := widget.Field{
		Key: fieldHost, Label: "public host", Hint: "the address of this machine", Check: optional(vpn.ValidHost),
		Help: "what clients dial: a domain name or an address, without the port",
	}
	listen := widget.Field{Key: fieldListen, Label: "listen", Hint: "every address", Help: "the address of this machine to listen on; :: is every one", Check: optional(checkAddr)}
	if old != nil {
		name.Value, port.Value, host.Value = old.Name, strconv.Itoa(int(old.Port)), old.PublicHost
		if old.Listen.IsValid() {
			listen.Value = old.Listen.String()
		}
		name.Check, port.Check, listen.Check = vpn.ValidName, checkPort, checkAddr
	}
	return []widget.Field{name, port, host, listen}
}

// home is where a new server's worker lives. What a container gets, beside the
// default, is the command line's to say.
func home() widget.Field {
	return widget.Field{
		Key: fieldHome, Label: "runtime", Choices: append([]string{open}, vpn.Runtimes()...), Value: open,
		Help: "where it runs: a process, or docker for a container of this machine's engine; default is as configured",
	}
}

// last are the fields that few need.
func last(old *vpn.ServerInfo) []widget.Field {
	allow := widget.Field{
		Key: fieldAllow, Label: "allow", Hint: "none", Check: optional(checkPrefixes),
		Help: "private networks that users may reach all the same, with commas between, such as 10.1.0.0/16",
	}
	if old != nil {
		allow.Value = prefixes(old.Allow)
	}
	return []widget.Field{allow, {
		Key: fieldCheck, Label: "network check", Choices: []string{"yes", "no"}, Value: "yes",
		Help: "whether the settings are tried over the network first; no takes them as they are",
	}}
}

// own are the settings of the protocol itself.
func own(p protocol.Protocol, old *vpn.ServerInfo) []widget.Field {
	values := map[string]any{}
	if old != nil {
		_ = json.Unmarshal(old.Settings, &values) // what cannot be read is not shown, and not changed
	}
	fields := make([]widget.Field, 0, len(p.Fields()))
	for _, f := range p.Fields() {
		w := widget.Field{Key: f.Key, Label: labelOf(f), Help: f.Help}
		now := plain(values[f.Key])
		switch {
		case f.Bool:
			w.Choices, w.Value = []string{"no", "yes"}, "no"
			if now != "" {
				w.Value = now
			}
		case f.File:
			w.Hint = "a file's path"
			if now != "" {
				w.Hint = "as it is; or another file's path"
			}
			w.Help += "; the path of a file on this machine"
		case f.Choices != nil && !f.Others:
			w.Choices, w.Value = append([]string{open}, f.Choices...), open
			if old != nil {
				w.Choices, w.Value = f.Choices, now
				if !slices.Contains(f.Choices, now) {
					w.Choices, w.Value = append([]string{open}, f.Choices...), open
				}
			}
		default:
			w.Value, w.Hint = now, hintOf(f)
			if f.List {
				w.Help += "; with commas between"
			}
		}
		fields = append(fields, w)
	}
	return fields
}

// hintOf is what an empty field stands for, as its help says.
func hintOf(f protocol.Field) string {
	if _, rest, ok := strings.Cut(f.Help, "(default"); ok {
		hint, _, _ := strings.Cut(rest, ")")
		return strings.TrimLeft(hint, ": ")
	}
	if len(f.Choices) > 0 {
		return strings.Join(f.Choices, ", ")
	}
	return "none"
}

// A value is a setting that was written, and how a flag says the same.
type value struct {
	field protocol.Field
	text  string
}

// json is the setting as the API takes it; content is what the file holds
// that text names.
func (v value) json(content string) any {
	switch {
	case v.field.List:
		return split(v.text)
	case v.field.Bool:
		return v.text == "yes"
	case v.field.File:
		return content
	case v.text == open && v.field.Choices != nil && !v.field.Others:
		return ""
	}
	return v.text
}

// flags is the setting as the command line takes it.
func (v value) flags() string {
	flag := " --" + v.field.Flag()
	switch {
	case v.field.List:
		list := split(v.text)
		if len(list) == 0 {
			return flag + " none"
		}
		out := ""
		for _, s := range list {
			out += flag + " " + dialog.Quote(s)
		}
		return out
	case v.field.Bool:
		if v.text == "yes" {
			return flag
		}
		return flag + "=false"
	case v.text == open && v.field.Choices != nil && !v.field.Others:
		return flag + " ''"
	}
	return flag + " " + dialog.Quote(v.text)
}

// changed are the settings that say something else than at first.
func changed(p protocol.Protocol, form *widget.Form) []value {
	var out []value
	for _, f := range p.Fields() {
		if form.Changed(f.Key) {
			out = append(out, value{f, form.Value(f.Key)})
		}
	}
	return out
}

// encode makes the settings object of values, and reads the files that they
// name. It returns nil for none.
func encode(values []value, read func(string) (string, error)) (json.RawMessage, error) {
	if len(values) == 0 {
		return nil, nil
	}
	settings := map[string]any{}
	for _, v := range values {
		content := ""
		if v.field.File && v.text != "" {
			var err error
			if content, err = read(v.text); err != nil {
				e := vpn.Errorf(vpn.KindOf(err), "%s: %w", labelOf(v.field), err)
				e.Hint = vpn.HintOf(err)
				return nil, e
			}
		}
		settings[v.field.Key] = v.json(content)
	}
	b, err := json.Marshal(settings)
	if err != nil {
		return nil, fmt.Errorf("encode settings: %w", err)
	}
	return b, nil
}

// split reads a list with commas or blanks between.
func split(s string) []string {
	return append([]string{}, strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })...)
}

func prefixes(list []netip.Prefix) string {
	texts := make([]string, 0, len(list))
	for _, p := range list {
		texts = append(texts, p.String())
	}
	return strings.Join(texts, ", ")
}

func optional(check func(string) error) func(string) error {
	return func(s string) error {
		if s == "" {
			return nil
		}
		return check(s)
	}
}

func checkPort(s string) error {
	if n, err := strconv.ParseUint(s, 10, 16); err != nil || n == 0 {
		return vpn.Errorf(vpn.Invalid, "a port is a number from 1 to 65535")
	}
	return nil
}

func checkAddr(s string) error {
	if a, err := netip.ParseAddr(s); err != nil || a.Zone() != "" {
		return vpn.Errorf(vpn.Invalid, "write an address like 203.0.113.5 or ::")
	}
	return nil
}

func checkPrefixes(s string) error {
	_, err := parsePrefixes(s)
	return err
}

// parsePrefixes reads networks; an address alone is a network of one.
func parsePrefixes(s string) ([]netip.Prefix, error) {
	out := []netip.Prefix{}
	for _, text := range split(s) {
		if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
			out = append(out, netip.PrefixFrom(a, a.BitLen()))
			continue
		}
		n, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, vpn.Errorf(vpn.Invalid, "write networks like 10.0.0.0/8, with commas between")
		}
		out = append(out, n.Masked())
	}
	return out, nil
}
