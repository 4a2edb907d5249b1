package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"time"

	"github.com/rolecall-auth/rolecall/internal/command"
	"github.com/rolecall-auth/rolecall/internal/server"

	"github.com/rolecall-auth/rolecall/internal/explain"
	"github.com/rolecall-auth/rolecall/internal/output"
	"github.com/rolecall-auth/rolecall/internal/text"
)

// explainConnection explains a connection string, given or read from standard input.
func (c explainer) explainConnection(format *output.Format, text string) error {
	if text == "-" {
		b, err := io.ReadAll(io.LimitReader(c.In, 1<<20))
		if err != nil {
			return fmt.Errorf("read standard input: %w", err)
		}
		text = strings.TrimRight(string(b), "\r\n")
	}
	report := explain.Connection(text)
	var err error
	if format.ForPeople() {
		c.showConnection(report)
	} else {
		err = c.Print(format, connectionListing(report))
	}
	if err == nil && !report.Accepted {
		err = command.Silently(command.ExitRefused)
	}
	return err
}

// connectionListing is a report in rows, one for each part of the string.
func connectionListing(report *explain.ConnectionReport) output.Listing {
	l := output.Listing{Columns: []string{"key", "value", "for"}, Value: report, Cut: []int{2}}
	for _, part := range report.Parts {
		l.Rows = append(l.Rows, []string{part.Key, part.Value, part.For})
	}
	return l
}

// showConnection is the explanation for people: what Parse makes of the string, and why, then
// what the string says.
func (c explainer) showConnection(report *explain.ConnectionReport) {
	s := c.Screen
	if report.Accepted {
		fmt.Fprintf(c.Out, "%s in credential.Parse\n", s.Paint(output.Green, "accepted"))
	} else {
		fmt.Fprintf(c.Out, "%s\n", c.wrapped(s.Paint(output.Red, "refused in credential.Parse:")+" "+text.Clean(report.Problem), ""))
	}
	if len(report.Missing) > 0 {
		fmt.Fprintf(c.Out, "%s %s\n", s.Paint(output.Red, "missing:"), strings.Join(report.Missing, ", "))
	}
	if !report.Accepted {
		c.showInDotNet(report)
	}
	if report.Here != "" {
		fmt.Fprintf(c.Out, "%s\n", c.wrapped(s.Paint(output.Bold, "on this machine:")+" "+text.Clean(report.Here), ""))
	}
	c.sentences(c.Out, report.Means)
	if len(report.Parts) > 0 {
		fmt.Fprintln(c.Out)
	}
	width := 0
	for _, part := range report.Parts {
		width = max(width, len(part.Key))
	}
	for _, part := range report.Parts {
		indent := strings.Repeat(" ", width+4)
		if part.Value == "" {
			fmt.Fprintf(c.Out, "  %s  %s\n", output.Pad(part.Key, width), strings.TrimLeft(c.wrapped(part.For, indent), " "))
			continue
		}
		fmt.Fprintf(c.Out, "  %s  %s\n", output.Pad(part.Key, width), text.Clean(part.Value))
		if c.Verbose {
			fmt.Fprintf(c.Out, "%s\n", s.Paint(output.Dim, c.wrapped(part.For, indent)))
		}
	}
	if len(report.Migrate) == 0 {
		return
	}
	fmt.Fprintf(c.Out, "\nThe same with Azure.Identity:\n")
	for _, language := range explain.Languages() {
		fmt.Fprintf(c.Out, "\n  %s\n", s.Paint(output.Bold, language))
		fmt.Fprintf(c.Out, "    %s\n", strings.ReplaceAll(text.CleanLines(strings.ReplaceAll(report.Migrate[language], "\t", "    ")), "\n", "\n    "))
	}
}

// showInDotNet says what the library for which the string was made does with it here, when
// Parse refuses it.
func (c explainer) showInDotNet(report *explain.ConnectionReport) {
	switch {
	case report.DotNet == "" && len(report.Missing) == 0:
		fmt.Fprintln(c.Out, "In .NET on this system, the App Authentication library takes it.")
	case report.DotNet != "" && report.DotNet != report.Problem:
		fmt.Fprintf(c.Out, "%s\n", c.wrapped(c.Screen.Paint(output.Red, "refused in .NET on this system:")+" "+text.Clean(report.DotNet), ""))
	}
}

// reachTime is how long an endpoint of this machine may take to accept a connection.
const reachTime = 2 * time.Second

// explainEnvironment explains what a program that is started here would ask with.
func (c explainer) explainEnvironment(ctx context.Context, data *server.Data, format *output.Format) error {
	in := explain.EnvironmentInput{
		Lookup: c.Lookup, Directory: data.Directory, CA: filepath.Join(c.Dir, "ca.pem"),
		Reach: func(ctx context.Context, address string) error {
			connection, err := (&net.Dialer{Timeout: reachTime}).DialContext(ctx, "tcp", address)
			if err != nil {
				return err
			}
			return connection.Close()
		},
	}
	running, err := server.Find(ctx, c.Dir)
	if err != nil {
		return err
	}
	if running != nil {
		in.Authority = running.Authority
	}
	report, err := explain.Environment(ctx, in)
	if err != nil {
		return err
	}
	return c.printExplanation(format, report)
}

// guardSettings reads a guard.yaml; nil when none is named. Mistakes in it are told before anything
// is looked up.
func (c explainer) guardSettings(file, host string) (*explain.Guard, error) {
	if file == "" {
		return nil, nil
	}
	content, err := c.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the settings: %w", err)
	}
	settings := &explain.Guard{Name: file, Text: string(content), Host: host}
	_, err = settings.Settings()
	return settings, err
}
