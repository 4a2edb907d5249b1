package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// The budgets.
const (
	minSigningShare = 0.90 // of the raw signing rate, in tokens per CPU second of the server
	maxOverhead     = 1.10 // of a server that signs and answers, and does nothing else
)

// report prints what was measured, first as a table and then against the budgets.
func report(w io.Writer, raw *signing, contestants []*contestant) error {
	ours := contestants[0]
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "\ttokens\ttokens/s\tCPU/token\tof ours\t")
	fmt.Fprintf(table, "one RS256 signature\t%d\t%.0f\t%s\t%.2f\t\n", raw.count, raw.rate(), micros(raw.each()), ratio(raw.each(), ours.perToken()))
	for _, c := range contestants {
		fmt.Fprintf(table, "%s\t%d\t%.0f\t%s\t%.2f\t\n", c.name, c.tokens, float64(c.tokens)/c.elapsed.Seconds(), micros(c.perToken()), ratio(c.perToken(), ours.perToken()))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w, "\nThe client shares the cores, so tokens/s count its work too; CPU/token is the server's alone.")
	share := ratio(raw.each(), ours.perToken())
	fmt.Fprintf(w, "%s  %.2f of the raw signing rate, budget at least %.2f\n", verdict(share >= minSigningShare), share, minSigningShare)
	for _, c := range contestants {
		if c.name == bareName {
			overhead := ratio(ours.perToken(), c.perToken())
			fmt.Fprintf(w, "%s  %.2f times the CPU of one signature over HTTPS, budget at most %.2f\n", verdict(overhead <= maxOverhead), overhead, maxOverhead)
		}
	}
	return nil
}

func verdict(kept bool) string {
	if kept {
		return "kept  "
	}
	return "MISSED"
}

func ratio(a, b time.Duration) float64 { return float64(a) / float64(b) }

func micros(d time.Duration) string { return fmt.Sprintf("%d µs", d.Microseconds()) }
