package network

import "testing"

// Lines of /proc/net are the kernel's; a container's may be anybody's.
func FuzzHolds(f *testing.F) {
	f.Add("   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 12345 1 0000000000000000", uint16(8080))
	f.Add("  sl  local_address rem_address   st", uint16(0))
	f.Fuzz(func(t *testing.T, line string, port uint16) {
		s, ok := holds(line, "0A", port)
		if !ok && s != (socket{}) {
			t.Errorf("%q holds nothing and gives %+v", line, s)
		}
	})
}
