package cli

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"vpn/internal/vpn"
)

// This file is what is said to somebody who types a word that other programs
// know. A guess by the letters alone would send who wants to lock a user to
// kick.

// habits are commands of other programs that do the same, and what they are
// called here, by where they are typed.
var habits = map[string]map[string]string{
	"vpn": {
		"useradd": "vpn users create", "adduser": "vpn users create", "userdel": "vpn users delete", "deluser": "vpn users delete",
		"new": "vpn users create, or vpn server create", "del": "vpn users delete, or vpn server delete",
		"install": "vpn up, or vpn server create", "uninstall": "vpn server delete",
		"start": "vpn up, or vpn server start", "down": "vpn server stop", "run": "vpn up, or vpn serve", "daemon": "vpn serve",
		"init": "vpn up", "setup": "vpn up", "info": "vpn status", "doctor": "vpn status",
		"stats": "vpn monitor top, or vpn monitor traffic", "self-update": "vpn upgrade", "docker": "vpn compose, or vpn server create --runtime docker",
		"ban": "vpn users disable", "block": "vpn users disable", "lock": "vpn users disable",
	},
	"vpn users": {
		"rename": "vpn users update NAME --name NEW", "set": "vpn users update", "limit": "vpn users update NAME --quota 50GB",
		"extend": "vpn users update NAME --expires 30d", "renew": "vpn users update NAME --expires 30d",
		"ban": "vpn users disable", "block": "vpn users disable", "lock": "vpn users disable", "suspend": "vpn users disable", "pause": "vpn users disable",
		"unban": "vpn users enable", "unblock": "vpn users enable", "unlock": "vpn users enable", "resume": "vpn users enable",
		"info": "vpn users show", "get": "vpn users show", "stats": "vpn monitor traffic --user NAME", "traffic": "vpn monitor traffic --user NAME",
		"online": "vpn users list --online", "sessions": "vpn monitor connections", "connections": "vpn monitor connections",
		"url": "vpn users link", "key": "vpn users link", "config": "vpn users link",
	},
	"vpn server": {
		"rename": "vpn server update NAME --name NEW", "set": "vpn server update", "edit": "vpn server update",
		"info": "vpn server show", "get": "vpn server show", "inspect": "vpn server show", "config": "vpn server show", "reload": "vpn server restart",
	},
}

// flagHabits are the same of flags, where a command has the one that is meant.
var flagHabits = map[string]string{
	"format": "output", "force": "yes", "fields": "json",
	"limit": "quota", "traffic": "quota", "data": "quota", "days": "expires", "ttl": "expires",
	"speed": "rate-down", "rate": "rate-down", "bandwidth": "rate-down", "file": "png",
}

// onlyCommands refuses a word where a command should stand.
func onlyCommands(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var known []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			known = append(known, c.Name())
		}
	}
	err := vpn.Unknown("command", args[0], known)
	if here, ok := habits[cmd.CommandPath()][args[0]]; ok {
		return err.WithHint("did you mean %s?", here)
	}
	if full := withNoun(cmd, args[0]); len(full) > 0 {
		return err.WithHint("did you mean %s?", strings.Join(full, ", or "))
	}
	return err
}

// withNoun returns the commands that a verb is meant as, or its other name, if
// somebody leaves out whose it is.
func withNoun(root *cobra.Command, verb string) (full []string) {
	if root.HasParent() {
		return nil
	}
	for _, noun := range root.Commands() {
		if !slices.Contains([]string{"users", "server", "monitor"}, noun.Name()) {
			continue
		}
		for _, c := range noun.Commands() {
			if c.Name() == verb || c.HasAlias(verb) {
				full = append(full, c.CommandPath())
			}
		}
	}
	slices.Reverse(full) // users, who are many, come first
	return full
}
