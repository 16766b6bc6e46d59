package cli

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"vpn/internal/vpn"
)

// trying is every command that changes something, without --yes: a dry run
// asks nothing. What it says comes after.
var trying = map[string]string{
	"users create carol":               "would create user carol\n",
	"users update alice --quota 1GB":   "would update user alice\n",
	"users delete alice":               "would delete user alice, and close 2 connections\n",
	"users enable bob":                 "would enable user bob\n",
	"users disable alice":              "would disable user alice, and close 2 connections\n",
	"users update alice --server main": "would update user alice, and close 2 connections\n",
	"users kick alice":                 "would close 2 connections of user alice\n",
	"server create paris":              "would create server paris (vless)\nwarning: the address is private\n",
	"users restore gone":               "would restore user gone\n",
	"users reset alice":                "would reset the usage of user alice\n",
	"server update main --port 8443":   "would update server main\nclients need new links; print them, for each user: vpn users link NAME --server main\n",
	"server start main":                "would start server main\n",
	"server stop main":                 "would stop server main, and close 2 connections\n",
	"server restart main":              "would restart server main, and close 2 connections\n",
	"up":                               "would print the link of user alice to server main\n",
	"up --user carol --name paris":     "would make server paris (vless), make user carol, print the link of user carol to server paris\nwarning: the address is private\n",
	"reload":                           "would change: log_level\n",
	"server delete main":               "would delete server main, and close 2 connections\n",
	"users rotate alice":               "would make 1 link of user alice anew, and close 2 connections\n",
	"users rotate alice --keep-old 7d": "would make 1 link of user alice anew; the old ones end at 2026-11-30 10:00 UTC\n",
	"users rotate alice --end-old":     "would end the old links of user alice, and close 2 connections\n",
	"users device add alice tablet":    "would add device tablet of user alice\n",

	"proxy create office":                     "would create server office (mixed)\nwarning: the address is private\n",
	"proxy access add web 192.0.2.0/24":       "would update proxy web; new clients may come from 198.51.100.0/24, 192.0.2.0/24\n",
	"proxy access remove web 198.51.100.0/24": "would update proxy web; new clients may come from everywhere\n",

	"users device remove alice phone": "would remove device phone of user alice, and close 1 connection\n",
}

func TestDryRun(t *testing.T) {
	for args, want := range trying {
		for _, tty := range []bool{false, true} {
			r := newRunner()
			r.tty, r.env = tty, map[string]string{"NO_COLOR": "1"}
			r.plane.synced = false // that is nothing to fail about
			users, servers := maps.Clone(r.plane.users), maps.Clone(r.plane.servers)
			got := r.run(t, append(strings.Fields(args), "--dry-run")...)
			if got.status != 0 || got.err != want {
				t.Errorf("vpn %s --dry-run: got %+v", args, got)
			}
			if strings.Contains(got.out, "vless://") {
				t.Errorf("vpn %s --dry-run prints a link that works never: %s", args, got.out)
			}
			text := r.run(t, append(strings.Fields(args), "--dry-run", "-o", "json")...)
			var v struct {
				DryRun bool `json:"dry_run"`
			}
			if err := json.Unmarshal([]byte(text.out), &v); err != nil || !v.DryRun {
				t.Errorf("vpn %s --dry-run -o json: got %+v, %v", args, text, err)
			}
			if !reflect.DeepEqual(users, r.plane.users) || !reflect.DeepEqual(servers, r.plane.servers) {
				t.Errorf("vpn %s --dry-run changed something", args)
			}
			if r.plane.created.Name != "" {
				t.Errorf("vpn %s --dry-run made a server", args)
			}
		}
	}
}

// TestDryRunForPrograms: the names of what would change, and no empty line
// where a link would be.
func TestDryRunForPrograms(t *testing.T) {
	for args, want := range map[string]string{
		"users create carol --dry-run -o name":   "carol\n",
		"users create carol --dry-run -q":        "",
		"users create carol --dry-run -o plain":  "main\tvless\t\n",
		"server delete main --dry-run -o name":   "main\n",
		"users create carol --json dry_run":      "{\n  \"dry_run\": false\n}\n",
		"users delete bob --dry-run --json user": "",
	} {
		got := newRunner().run(t, strings.Fields(args)...)
		if got.status != 0 || want != "" && got.out != want || strings.HasSuffix(args, "-q") && got.out != "" {
			t.Errorf("vpn %s: got %+v", args, got)
		}
	}
}

// TestEveryChangeHasADryRun: who changes something has the flag, who does
// not, has not.
func TestEveryChangeHasADryRun(t *testing.T) {
	p := testProgram()
	for _, cmd := range commandsOf(p) {
		path := strings.TrimPrefix(cmd.CommandPath(), "vpn ")
		tried := ofTheMachine[path] && !slices.Contains([]string{
			"service status", "serve", "config show", "config get", "config path", "config validate", "compose ps", "compose logs", "compose config",
			"image build", "image save", // copies of the program, of which there may be many
		}, path)
		for args := range trying {
			tried = tried || strings.HasPrefix(args+" ", path+" ") && !cmd.HasSubCommands()
		}
		if has := cmd.Flags().Lookup("dry-run") != nil; has != tried {
			t.Errorf("vpn %s has --dry-run: %v, and is tried: %v", path, has, tried)
		}
	}
	for _, args := range []string{"users create carol", "users delete alice -y", "server stop main -y"} {
		r := newRunner()
		r.plane.failure = vpn.Errorf(vpn.Conflict, "taken")
		if got := r.run(t, append(strings.Fields(args), "--dry-run")...); got.status != 5 {
			t.Errorf("vpn %s --dry-run: got %+v", args, got)
		}
	}
}
