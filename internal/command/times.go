package command

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/text"
)

// ShortTime is a time as tables have it, in UTC; empty for none.
func ShortTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

// ParseSpan reads a span of time such as 36h or 30d.
func ParseSpan(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 15); err == nil {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return d, nil
	}
	return 0, fmt.Errorf("%q is no span of time such as 36h or 30d", text.Shown(s))
}

// ParseSince reads how far back to look: a duration (with d for days), a date or a time.
func ParseSince(since string, now time.Time) (time.Time, error) {
	if since == "" {
		return time.Time{}, nil
	}
	if days, ok := strings.CutSuffix(since, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 15); err == nil {
			return now.AddDate(0, 0, -int(n)), nil
		}
	}
	if d, err := time.ParseDuration(since); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateTime, time.DateOnly} {
		if t, err := time.ParseInLocation(layout, since, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("--since %q is neither a span such as 15m, 36h or 7d nor a time such as 2026-12-31T23:00:00Z", text.Shown(since))
}

// LastUsed says when something was used last, within the time that counts as recently.
func LastUsed(last time.Time) string {
	if last.IsZero() {
		return "not used within the last week"
	}
	return "last used at " + ShortTime(last)
}
