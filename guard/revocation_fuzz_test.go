package guard

import "testing"

// FuzzRevocations reads any answer. What can be read can be taken in, and revokes nothing
// of a token that is newer than everything.
func FuzzRevocations(f *testing.F) {
	for _, seed := range []string{
		`{"cursor":1,"events":[]}`,
		`{"cursor":7,"events":[{"kind":"principal","principal":"a","client":"b","before":5,"until":9},{"kind":"assignment","principal":"a","role":"R","before":5,"until":9}]}`,
		`{"cursor":7,"events":[{"kind":"key","key":"k","until":9},{"kind":"tenant","before":5,"until":9}]}`,
		`{"cursor":"7","events":[{}]}`, `{"cursor":7,"events":[[]]}`, `{"cursor":7,"cursor":8,"events":[]}`, `{"cursor":7,"events":[{"before":1e9}]}`, `[]`, ``,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		cursor, events, err := readRevocations(body)
		if err != nil {
			return
		}
		if cursor == "" {
			t.Error("no cursor")
		}
		now := (&revoked{}).with(events, 0)
		again := now.with(events, 0)
		if len(again.principals) != len(now.principals) || len(again.roles) != len(now.roles) || again.all != now.all {
			t.Error("the same events make a difference")
		}
		if len((&revoked{}).with(events, 1<<53).principals) > 0 {
			t.Error("what has ended counts")
		}
	})
}
