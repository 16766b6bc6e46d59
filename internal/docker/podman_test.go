package docker_test

import (
	"net/http"
	"testing"

	"vpn/internal/docker"
)

// What a Podman is refused for is what it lacks. The answers are those of
// Debian's 4.3.1, on which those tests of the runtime fail that stop a server;
// a later one may know the question.
func TestPodman(t *testing.T) {
	const version = `{"Platform":{"Name":"linux/amd64/debian-12"},"Components":[{"Name":"Podman Engine","Version":"4.3.1",` +
		`"Details":{"APIVersion":"4.3.1","Arch":"amd64","Experimental":"false","GoVersion":"go1.19.8","MinAPIVersion":"4.0.0","Os":"linux"}},` +
		`{"Name":"Conmon","Version":"conmon version 2.1.6, commit: unknown","Details":{"Package":"conmon_2.1.6+ds1-1_amd64"}},` +
		`{"Name":"OCI Runtime (runc)","Version":"runc version 1.1.5+ds1","Details":{"Package":"runc_1.1.5+ds1-1+deb12u1_amd64"}}],` +
		`"Version":"4.3.1","ApiVersion":"1.41","MinAPIVersion":"1.24","GoVersion":"go1.19.8","Os":"linux","Arch":"amd64","KernelVersion":"6.1.0"}`
	for _, c := range []struct{ name, kind, update, says string }{
		{"4.3.1", "text/plain; charset=utf-8", "Not Found", "this is Podman 4.3.1, whose Docker API cannot change when a container starts anew"},
		{
			"later", "application/json",
			`{"cause":"no such container","message":"no container with name or ID \"vpn-none\" found: no such container","response":404}`,
			"this is Podman 4.3.1, on which servers were not tried",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			mux := http.NewServeMux()
			mux.HandleFunc("/_ping", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Api-Version", "1.41") })
			mux.HandleFunc("/v1.41/version", func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				_, _ = w.Write([]byte(version))
			})
			mux.HandleFunc("POST /v1.41/containers/vpn-none/update", func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", c.kind)
				w.WriteHeader(http.StatusNotFound)
				_, _ = w.Write([]byte(c.update))
			})
			e := docker.New(docker.Options{Host: speaker(t, mux)})
			defer e.Close()
			_, err := e.Facts(t.Context())
			wantUnavailable(t, err, c.says)
		})
	}
}
