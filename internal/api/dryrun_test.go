package api_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// TestEveryChangeCanBeTried goes over the document: what changes something
// takes dry_run, and then asks the dry use cases and nobody else.
func TestEveryChangeCanBeTried(t *testing.T) {
	f := newFixture(t)
	var doc struct {
		Paths map[string]map[string]struct {
			OperationID string `json:"operationId"`
			Parameters  []struct{ Name, In string }
		}
	}
	if err := json.Unmarshal(f.do("GET", "/openapi.json", "").Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	for path, methods := range doc.Paths {
		for method, op := range methods {
			takes := false
			for _, p := range op.Parameters {
				takes = takes || p.Name == "dry_run" && p.In == "query"
			}
			// Of an upgrade the dry run is made by who has the file.
			changes := method != "get" && op.OperationID != "system.upgrade"
			if takes != changes {
				t.Errorf("%s takes dry_run: %v", op.OperationID, takes)
			}
			if !changes {
				continue
			}
			body := ""
			switch op.OperationID {
			case "users.create", "servers.create", "devices.add":
				body = `{"name":"x"}`
			case "users.update":
				body = `{"quota":1}`
			case "users.restore", "users.rotate":
				body = `{}`
			case "config.update":
				body = `{"set":{"log_level":"debug"},"unset":["public_host"]}`
			case "servers.update":
				body = `{"port":1}`
			}
			f := newFixture(t)
			path := strings.NewReplacer("{user}", "x", "{server}", "x", "{device}", "x").Replace(path)
			w := f.do(strings.ToUpper(method), path+"?dry_run=true", body)
			if w.Code >= 300 {
				t.Errorf("%s: got %d %s", op.OperationID, w.Code, w.Body)
			}
			if f.users.name != "" || f.servers.asked != "" || f.system.reloads != 0 {
				t.Errorf("%s was done for real", op.OperationID)
			}
			if f.dry.users.name == "" && f.dry.servers.asked == "" && f.dry.system.reloads == 0 {
				t.Errorf("%s was not tried", op.OperationID)
			}
		}
	}
	if w := f.do("GET", "/v1/users?dry_run=true", ""); w.Code != http.StatusBadRequest {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}
