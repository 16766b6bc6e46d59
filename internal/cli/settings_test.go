package cli

import (
	"errors"
	"testing"

	"github.com/spf13/pflag"

	"vpn/internal/protocol"
	"vpn/internal/vpn"
)

// paper is a protocol of which only the name and the fields are asked.
type paper struct {
	protocol.Protocol
	name   vpn.Protocol
	fields []protocol.Field
}

func (p paper) Name() vpn.Protocol       { return p.name }
func (p paper) Fields() []protocol.Field { return p.fields }

// TestSettingFlags: protocols share flags, and what is given for another one
// is refused and not forgotten.
func TestSettingFlags(t *testing.T) {
	sky := paper{name: "sky", fields: []protocol.Field{
		{Key: "height", Help: "how high"}, {Key: "birds", Help: "a bird", List: true}, {Key: "at_night", Help: "in the dark", Bool: true},
	}}
	sea := paper{name: "sea", fields: []protocol.Field{{Key: "height", Help: "of the waves"}, {Key: "salt", Help: "how much"}}}
	for _, c := range []struct {
		args []string
		of   paper
		want string
		err  string
		hint string
	}{
		{nil, sky, "", "", ""},
		{[]string{"--height=9", "--bird=a", "--bird=b", "--at-night"}, sky, `{"at_night":true,"birds":["a","b"],"height":"9"}`, "", ""},
		{[]string{"--at-night=false"}, sky, `{"at_night":false}`, "", ""},
		{[]string{"--height=9"}, sea, `{"height":"9"}`, "", ""},
		{[]string{"--bird=none"}, sky, `{"birds":[]}`, "", ""},
		{[]string{"--bird=none", "--bird=b"}, sky, `{"birds":["b"]}`, "", ""},
		{[]string{"--bird=a"}, sea, "", "--bird is no setting of sea", "it is one of sky"},
		{[]string{"--salt=3"}, sky, "", "--salt is no setting of sky", "it is one of sea"},
	} {
		var s settingFlags
		fs := pflag.NewFlagSet("", pflag.ContinueOnError)
		s.add(fs, []protocol.Protocol{sky, sea}, true)
		if err := fs.Parse(c.args); err != nil {
			t.Fatal(err)
		}
		got, err := s.of(fs, c.of)
		if e, ok := errors.AsType[*vpn.Error](err); ok && e.Hint != c.hint {
			t.Errorf("%v of %s: the hint is %q", c.args, c.of.name, e.Hint)
		}
		if string(got) != c.want || (err == nil) != (c.err == "") || err != nil && err.Error() != c.err {
			t.Errorf("%v of %s: got %s, %v", c.args, c.of.name, got, err)
		}
	}
}
