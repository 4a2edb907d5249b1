package command_test

import (
	"path/filepath"
	"testing"

	"github.com/rolecall-auth/rolecall/internal/command"
)

func TestTheDataFolderIsFoundInTheEnvironment(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		env  map[string]string
		want string
	}{
		{"the standard for such folders", map[string]string{"XDG_DATA_HOME": "/xdg", "HOME": "/home/ada"}, filepath.Join("/xdg", "rolecall")},
		{"the home otherwise", map[string]string{"HOME": "/home/ada"}, filepath.Join("/home/ada", ".local", "share", "rolecall")},
		{"a relative path is no path (XDG base directories)", map[string]string{"XDG_DATA_HOME": "xdg", "HOME": "/home/ada"}, filepath.Join("/home/ada", ".local", "share", "rolecall")},
		{"nowhere", nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := command.New(command.Streams{Lookup: func(name string) (string, bool) { v, ok := tt.env[name]; return v, ok }})
			if got := c.DefaultDir(); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
