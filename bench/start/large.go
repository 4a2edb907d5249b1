package main

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"
	"time"

	"github.com/rolecall-auth/rolecall/bench/internal/fill"
	"github.com/rolecall-auth/rolecall/bench/internal/measure"
)

// maxGrowth is how much dearer a token may be in a large directory than in a small one: as
// dear, but for what two measurements differ in anyway.
const maxGrowth = 1.1

// large measures a directory of many applications, against one of a hundred.
func (b *bench) large(ctx context.Context, applications int) error {
	few, err := b.fill(ctx, 100)
	if err != nil {
		return err
	}
	if err := b.hundred(ctx, few); err != nil {
		return err
	}
	began := time.Now()
	many, err := b.fill(ctx, applications)
	if err != nil {
		return err
	}
	fmt.Fprintf(b.out, "\n%d applications and %d assignments, written in %.0f s:\n", applications, 10*applications, time.Since(began).Seconds())
	start, err := b.medianStart(ctx, func(int) (folder, []string) { return many, nil })
	if err != nil {
		return err
	}
	b.line("start to first token", milliseconds(start), 60, "ms")
	return b.tokensOfMany(ctx, many, applications)
}

// hundred finds out what a token costs in a directory of a hundred applications.
func (b *bench) hundred(ctx context.Context, few folder) error {
	server, client, err := b.serve(ctx, few.dir)
	if err != nil {
		return err
	}
	defer b.stop(server, client)
	clients := func(i int) url.Values { return few.form(fill.CloneID(1 + i%100)) }
	if _, err := client.Tokens(ctx, b.tokens/4, 4, clients); err != nil { // warm up
		return err
	}
	b.cpu, err = perToken(ctx, server, client, b.tokens, clients)
	fmt.Fprintln(b.out)
	b.line("CPU of a token, 100 applications", micros(b.cpu), 0, "µs")
	return err
}

// tokensOfMany measures memory and tokens, first for applications not met before and then
// for a few again and again.
func (b *bench) tokensOfMany(ctx context.Context, many folder, applications int) error {
	server, client, err := b.serve(ctx, many.dir)
	if err != nil {
		return err
	}
	defer b.stop(server, client)
	stride := max(1, applications/b.tokens)
	cold, err := perToken(ctx, server, client, b.tokens, func(i int) url.Values { return many.form(fill.CloneID(1 + i*stride%applications)) })
	if err != nil {
		return err
	}
	b.line("CPU of a token, each of another application", micros(cold), 0, "µs")
	clients := func(i int) url.Values { return many.form(fill.CloneID(1 + i%100)) }
	warm, err := perToken(ctx, server, client, b.tokens, clients)
	if err != nil {
		return err
	}
	b.line("CPU of a token, of a hundred applications in turn", micros(warm), micros(b.cpu)*maxGrowth, "µs")
	before, err := server.Memory()
	if err != nil {
		return err
	}
	b.line("memory", float64(before)/megabyte, 200, "MB")
	if _, err := client.Tokens(ctx, 5*b.tokens, 4, clients); err != nil {
		return err
	}
	after, err := server.Memory()
	b.line(fmt.Sprintf("memory after %d tokens more", 5*b.tokens), float64(after)/megabyte, 200, "MB")
	return err
}

// perToken returns the server's CPU time for a token.
func perToken(ctx context.Context, server *measure.Rolecall, client *measure.Client, tokens int, form func(int) url.Values) (time.Duration, error) {
	before, err := server.CPU()
	if err != nil {
		return 0, err
	}
	if _, err := client.Tokens(ctx, tokens, 4, form); err != nil {
		return 0, err
	}
	after, err := server.CPU()
	return (after - before) / time.Duration(tokens), err
}

// A folder is a data folder whose clients all have one secret.
type folder struct{ dir, secret string }

// form asks for a token as the client with that app id.
func (f folder) form(appID string) url.Values {
	return url.Values{
		"grant_type": {"client_credentials"}, "client_id": {appID}, "client_secret": {f.secret}, "scope": {"api://orders/.default"},
	}
}

// fill makes a data folder with so many clients of one API besides the first.
func (b *bench) fill(ctx context.Context, clients int) (folder, error) {
	dir := filepath.Join(b.dir, fmt.Sprint("filled", clients))
	secret, err := fill.Folder(ctx, b.binary, dir, clients)
	return folder{dir, secret}, err
}
