package cli

import "testing"

func TestSupervised(t *testing.T) {
	for name, c := range map[string]struct {
		env  map[string]string
		want bool
	}{
		"by hand":                      {nil, false},
		"old systemd":                  {map[string]string{"INVOCATION_ID": "x"}, true},
		"systemd":                      {map[string]string{"INVOCATION_ID": "x", "SYSTEMD_EXEC_PID": "42"}, true},
		"in a shell of systemd's":      {map[string]string{"INVOCATION_ID": "x", "SYSTEMD_EXEC_PID": "7"}, false},
		"another manager that is told": {map[string]string{"NOTIFY_SOCKET": "/run/x"}, true},
	} {
		if got := supervised(func(k string) string { return c.env[k] }, 42); got != c.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}
