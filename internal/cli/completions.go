package cli

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"vpn/internal/vpn"
)

// shells are those that there are scripts for.
func shells() []string { return []string{"bash", "zsh", "fish", "powershell"} }

func completionsCommand(p *program) *cobra.Command {
	return &cobra.Command{
		Use: "completions SHELL", Short: "Print a script that makes the shell complete commands and names", Args: exactly("[SHELL]"),
		Long: `Print a script for bash, zsh, fish or powershell, which makes it complete
commands, flags and their values, and the names of users and servers as they
are at that moment.

bash wants the package bash-completion. For this shell only, or for good:

  bash        source <(vpn completions bash)
              vpn completions bash > /etc/bash_completion.d/vpn
  zsh         vpn completions zsh > "${fpath[1]}/_vpn"
  fish        vpn completions fish > ~/.config/fish/completions/vpn.fish
  powershell  vpn completions powershell >> $PROFILE`,
		Example: `  vpn completions bash > /etc/bash_completion.d/vpn
  vpn completions fish | source              for this shell only`,
		RunE: func(cmd *cobra.Command, args []string) error {
			shell, err := oneOf(p, cmd, args, "SHELL", noun{one: "shell", many: "shells"}, words(shells()))
			if err != nil {
				return err
			}
			script, err := completionScript(cmd.Root(), shell)
			if err != nil {
				return err
			}
			out := p.printer()
			return out.print(script)
		},
	}
}

func completionScript(root *cobra.Command, shell string) (string, error) {
	if !slices.Contains(shells(), shell) {
		return "", vpn.Unknown("shell", shell, shells())
	}
	var b bytes.Buffer
	generate := map[string]func() error{
		"bash":       func() error { return root.GenBashCompletionV2(&b, true) },
		"zsh":        func() error { return root.GenZshCompletion(&b) },
		"fish":       func() error { return root.GenFishCompletion(&b, true) },
		"powershell": func() error { return root.GenPowerShellCompletionWithDesc(&b) },
	}[shell]
	if err := generate(); err != nil {
		return "", fmt.Errorf("make the completion script: %w", err)
	}
	if shell == "bash" {
		return bashWithAt(b.String()), nil
	}
	return b.String(), nil
}

// bashWithAt makes bash complete names with an @, at which it breaks words:
// the script is to see them whole, and bash to be told what follows the @.
func bashWithAt(script string) string {
	script = strings.ReplaceAll(script, "-n =: ", "-n =:@ ")
	script = strings.ReplaceAll(script, "-F __start_vpn vpn", "-F __vpn_whole vpn")
	return script + `
__vpn_whole()
{
    __start_vpn
    local word=${COMP_LINE:0:COMP_POINT} i
    word=${word##* }
    if [[ $word == *@* && $COMP_WORDBREAKS == *@* ]]; then
        for i in "${!COMPREPLY[@]}"; do
            COMPREPLY[i]=${COMPREPLY[i]#"${word%"${word##*@}"}"}
        done
    fi
}
`
}
