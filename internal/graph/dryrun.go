package graph

import "net/http"

// dryRun is the segment behind the version that makes a dry run of a request: it is answered
// after all checks, and nothing of it is kept. It is a part of the path and no header, so that a
// server that does not know it refuses the request in place of carrying it out.
const dryRun = "rolecall.dryRun"

// outcome tells what a dry run would have answered and changed. What it would have made is left
// out, secrets above all: none of it is there.
func (c *call) outcome(status int) answer {
	changes := []object{}
	for _, n := range c.changes {
		changes = append(changes, object{{"action", n.Action}, {"kind", n.Kind}, {"tenant", n.Tenant}, {"name", n.Name}, {"detail", n.Detail}})
	}
	return answer{status: http.StatusOK, context: "rolecall.dryRun", body: object{{"status", status}, {"changes", changes}}}
}
