package command

import (
	"context"
	"errors"
	"fmt"

	"github.com/rolecall-auth/rolecall/internal/directory"
	"github.com/rolecall-auth/rolecall/internal/server"
)

// NewestSignIns reads sign-ins, those included that a running server has not written yet.
func (c *Line) NewestSignIns(ctx context.Context, data *server.Data, filter directory.SignInFilter) ([]directory.SignIn, error) {
	found, err := server.FindReachable(ctx, c.Dir)
	if err == nil && found != nil {
		err = found.Sync(ctx, 0)
	}
	if errors.Is(err, server.ErrUnreachable) {
		c.Say("warning: %v; sign-ins that it has not written yet are missing", err)
		err = nil
	}
	if err != nil {
		return nil, err
	}
	return data.Directory.SignIns(ctx, filter)
}

// Newest leaves as many rows as a listing is to have, and says so where there are more.
func Newest[T any](rows []T, limit int) ([]T, string) {
	if len(rows) <= limit {
		return rows, ""
	}
	return rows[:limit], fmt.Sprintf("only the newest %d are listed; --limit N lists more", limit)
}
