package vpn

// Configuration is what the daemon has read from its configuration's file,
// from its environment and from its command line. There are no secrets in it.
type Configuration struct {
	File    string        `json:"file,omitempty" doc:"the file that a change is written to, whether or not it is there"`
	Values  []ConfigValue `json:"values"`
	Problem string        `json:"problem,omitempty" doc:"why a reload would refuse what the file says now"`
}

// A ConfigValue is one key.
type ConfigValue struct {
	Key     string       `json:"key"`
	Value   string       `json:"value" doc:"what is in force"`
	Origin  ConfigOrigin `json:"origin"`
	Default string       `json:"default,omitempty" doc:"left out: it depends, or is empty"`
	Doc     string       `json:"doc" doc:"what it is, continuing: KEY is"`
	Example string       `json:"example"`
	Choices []string     `json:"choices,omitempty" doc:"all that it may be, if that is a few words"`
	Pending *string      `json:"pending,omitempty" doc:"what a reload would make of it; left out: nothing else"`
}

// ConfigOrigin is where a value comes from.
type ConfigOrigin struct {
	Layer string `json:"layer" enum:"default,file,environment,flag"`
	Where string `json:"where,omitempty" doc:"path and line, variable or flag"`
}

// A ConfigPatch changes the configuration's file.
type ConfigPatch struct {
	Set   map[string]string `json:"set,omitempty" doc:"values by key"`
	Unset []string          `json:"unset,omitempty" doc:"keys that are to have their default again"`
}

// A ConfigChange is what a [ConfigPatch] did to the file, and what a reload
// would do then.
type ConfigChange struct {
	File     string       `json:"file"`
	Written  bool         `json:"written" doc:"the file has changed, or would have"`
	Changes  []ConfigDiff `json:"changes" doc:"what a reload brings into force"`
	Restart  []string     `json:"restart,omitempty" doc:"keys that take more than a reload"`
	Warnings []string     `json:"warnings,omitempty"`
	DryRun   bool         `json:"dry_run,omitempty" doc:"nothing was changed: this is what would be"`
}

// A ConfigDiff is one value that is going to change.
type ConfigDiff struct {
	Key  string `json:"key"`
	From string `json:"from"`
	To   string `json:"to"`
}
