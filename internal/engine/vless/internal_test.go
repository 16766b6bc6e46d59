package vless

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/xtls/xray-core/common/log"

	"vpn/internal/vpn"
)

// To xray two UUIDs that differ in their seventh and eighth byte are one.
func TestUUIDsThatXrayCannotTellApart(t *testing.T) {
	grants := []vpn.Grant{
		{Credential: "a", Secret: vpn.NewSecret("00112233-4455-4677-8899-aabbccddeeff")},
		{Credential: "b", Secret: vpn.NewSecret("00112233-4455-4678-8899-aabbccddeeff")},
	}
	if _, err := (users{}).plan(grants); vpn.KindOf(err) != vpn.Invalid || !strings.Contains(err.Error(), "credentials a and b") {
		t.Errorf("error %v", err)
	}
}

func TestXrayLog(t *testing.T) {
	var b strings.Builder
	l := xrayLog{slog.New(slog.NewTextHandler(&b, nil))}
	const secret = "00112233-4455-4677-8899-AABBCCDDEEFF"
	for s, want := range map[log.Severity]string{
		log.Severity_Error:   "level=ERROR",
		log.Severity_Warning: "level=WARN",
		log.Severity_Info:    "",
		log.Severity_Debug:   "",
	} {
		b.Reset()
		l.Handle(&log.GeneralMessage{Severity: s, Content: "account " + secret + " is odd"})
		if got := b.String(); !strings.Contains(got, want) || strings.Contains(got, secret) || (want == "") != (got == "") {
			t.Errorf("%v: %q", s, got)
		}
	}
	b.Reset()
	l.Handle(&log.AccessMessage{Email: secret})
	if b.Len() > 0 {
		t.Errorf("logged %q", b.String())
	}
}
