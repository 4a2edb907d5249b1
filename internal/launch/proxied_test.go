package launch

import (
	"slices"
	"testing"
)

// Spring takes Reactor Netty where it finds it, which does not know the proxy of a Java process.
func TestSpringTakesAClientThatKnowsTheProxy(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name      string
		inherited []string
		want      []Variable
	}{
		{"nothing is set", nil, []Variable{{"SPRING_HTTP_CLIENT_FACTORY", "jdk"}, {"SPRING_HTTP_CLIENTS_IMPERATIVE_FACTORY", "jdk"}}},
		{"the user has chosen", []string{"SPRING_HTTP_CLIENTS_IMPERATIVE_FACTORY=jetty"}, []Variable{{"SPRING_HTTP_CLIENT_FACTORY", "jdk"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			all, _, err := ProxyVariables(t.TempDir(), tt.inherited, "http://127.0.0.1:8080", []string{"login.microsoftonline.com"})
			if err != nil {
				t.Fatal(err)
			}
			got := slices.DeleteFunc(all, func(v Variable) bool { return !slices.Contains(springClients(), v.Name) })
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
