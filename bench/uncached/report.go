package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// report is what a run found. Times are in milliseconds per request, medians of
// the turns.
type report struct {
	Clinics, Requests, Slice, Clients int
	// Background is what all processes use while nobody asks, of one processor.
	Background float64
	Rows       []*row
}

// row is one kind of request asked of one subject.
type row struct {
	Request, Asked        string
	Server, Postgres, Sum float64
	// Ratio is the sum's to that of the handler written by hand, the median of the
	// rounds' ratios; 0 where that does not answer.
	Ratio                               float64
	Statements, RoundTrips, Allocations float64
	P50                                 float64
	Bytes                               int

	server, postgres, sum []float64
	took                  []time.Duration
	sizes                 []int
}

func newReport(o options, scenes []*scene) *report {
	r := &report{Clinics: o.clinics, Requests: o.requests / o.slice * o.slice, Slice: o.slice, Clients: o.clients}
	for _, s := range scenes {
		for _, who := range askedOf(s) {
			r.Rows = append(r.Rows, &row{Request: s.name, Asked: who.Name})
		}
	}
	return r
}

func (r *report) row(request, asked string) *row {
	for _, each := range r.Rows {
		if each.Request == request && each.Asked == asked {
			return each
		}
	}
	return &row{}
}

// add notes a turn; rounds come in order, so that a row's turns and those of the
// handler written by hand stand at the same places.
func (r *report) add(request, asked string, t turn) {
	to := r.row(request, asked)
	to.server = append(to.server, milliseconds(t.server))
	to.postgres = append(to.postgres, milliseconds(t.postgres))
	to.sum = append(to.sum, milliseconds(t.server+t.postgres))
	to.took = append(to.took, t.took...)
	to.sizes = append(to.sizes, t.bytes)
}

func (r *report) count(request, asked string, statements, roundTrips, allocations float64) {
	to := r.row(request, asked)
	to.Statements, to.RoundTrips, to.Allocations = statements, roundTrips, allocations
}

// finish works the medians out.
func (r *report) finish() {
	for _, each := range r.Rows {
		each.Server, each.Postgres, each.Sum = median(each.server), median(each.postgres), median(each.sum)
		each.P50, each.Bytes = milliseconds(median(each.took)), median(each.sizes)
		limit := r.row(each.Request, byHand)
		if len(limit.sum) != len(each.sum) {
			continue
		}
		ratios := make([]float64, len(each.sum))
		for i := range ratios {
			ratios[i] = each.sum[i] / limit.sum[i]
		}
		each.Ratio = median(ratios)
	}
}

func (r *report) writeJSON(to io.Writer) error {
	r.finish()
	encoder := json.NewEncoder(to)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}

func (r *report) write(to io.Writer) error {
	r.finish()
	var text strings.Builder
	fmt.Fprintf(&text, "%d clinics, %d requests a row in turns of %d, %d clients; while nobody asks %.1f %% of a processor\n\n",
		r.Clinics, r.Requests, r.Slice, r.Clients, 100*r.Background)
	text.WriteString("| request | asked | server ms | Postgres ms | both ms | of by hand | statements | round trips | allocations | p50 ms | KB |\n" +
		"|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, each := range r.Rows {
		ratio := ""
		if each.Ratio > 0 {
			ratio = fmt.Sprintf("%.2f", each.Ratio)
		}
		fmt.Fprintf(&text, "| %s | %s | %.2f | %.2f | %.2f | %s | %.1f | %.1f | %.0f | %.2f | %.1f |\n",
			each.Request, each.Asked, each.Server, each.Postgres, each.Sum, ratio,
			each.Statements, each.RoundTrips, each.Allocations, each.P50, float64(each.Bytes)/1000)
	}
	_, err := io.WriteString(to, text.String())
	return err
}

func milliseconds(d time.Duration) float64 { return d.Seconds() * 1e3 }

// median is the middle one of numbers; 0 if there are none.
func median[N int | float64 | time.Duration](numbers []N) N {
	if len(numbers) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(numbers))
	return sorted[len(sorted)/2]
}
