package remote

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vpn/internal/vpn"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]Place{
		"ssh://host":                            {Host: "host"},
		"ssh://host/":                           {Host: "host"},
		"ssh://root@host":                       {User: "root", Host: "host"},
		"ssh://root@host:2222":                  {User: "root", Host: "host", Port: "2222"},
		"ssh://root@[2001:db8::1]":              {User: "root", Host: "2001:db8::1"},
		"ssh://[2001:db8::1]:22/run/api.sock":   {Host: "2001:db8::1", Port: "22", Socket: "/run/api.sock"},
		"ssh://bob@host/run/user/1000/api.sock": {User: "bob", Host: "host", Socket: "/run/user/1000/api.sock"},
		"ssh://host/a%20b":                      {Host: "host", Socket: "/a b"},
		"ssh://root@[fe80::1%25eth0]:22":        {User: "root", Host: "fe80::1%eth0", Port: "22"},
		"ssh://CORP%5Cbob@host":                 {User: `CORP\bob`, Host: "host"},
		"ssh://bob%40corp@host":                 {User: "bob@corp", Host: "host"},
		"ssh://my_alias":                        {Host: "my_alias"},
	} {
		got, err := Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", text, diff)
		}
		if again, err := Parse(got.String()); err != nil || again != got {
			t.Errorf("%s: as %s it is %+v, %v", text, got, again, err)
		}
	}
	for text, want := range map[string]string{
		"ssh://":                 "it has no host",
		"ssh://root@":            "it has no host",
		"ssh:///run/vpn.sock":    "it has no host",
		"ssh://-oProxyCommand=x": "ssh would take it for a flag",
		"ssh://-x@host":          "ssh would take it for a flag",
		"ssh://host:port":        "it is not ssh://",
		"ssh://host?x=1":         "nothing follows",
		"ssh://host/a#b":         "nothing follows",
		"/run/vpn/api.sock":      "it is not ssh://",
		"ssh://a;b":              "no host is called so",
		"ssh://$(x)@host":        "no user is called so",
		"ssh://x%0ay@host":       "no user is called so",
		"ssh://ssh%3A%2F%2Fx@h":  "no user is called so",
		"ssh://a%22b@host":       "no user is called so",
		"ssh://host/a%0ab":       "no socket is called so",
		"ssh://host/%1b]0;x":     "no socket is called so",
		"ssh://host/%ff":         "no socket is called so",
		"ssh://root:secret@host": "a password has no place",
	} {
		_, err := Parse(text)
		if vpn.KindOf(err) != vpn.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want an error with %q", text, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the password is repeated: %v", text, err)
		}
	}
}
