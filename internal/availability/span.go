package availability

import (
	"slices"
	"time"
)

// Span is a stretch of time, half open: From is in, To is not.
type Span struct{ From, To time.Time }

func (s Span) empty() bool { return !s.From.Before(s.To) }

// clip is what two spans share; it may be empty.
func (s Span) clip(within Span) Span {
	return Span{From: later(s.From, within.From), To: earlier(s.To, within.To)}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// merged gives the same time as spans that are in order, not empty, and do not
// touch each other.
func merged(spans []Span) []Span {
	sorted := slices.SortedFunc(slices.Values(spans), func(a, b Span) int { return a.From.Compare(b.From) })
	whole := sorted[:0]
	for _, span := range sorted {
		if span.empty() {
			continue
		}
		if last := len(whole) - 1; last >= 0 && !span.From.After(whole[last].To) {
			whole[last].To = later(whole[last].To, span.To)
			continue
		}
		whole = append(whole, span)
	}
	return whole
}

// subtract gives what is left of merged spans when others, in any order, are
// taken away; the result is merged.
func subtract(spans, taken []Span) []Span {
	taken = merged(taken)
	left := make([]Span, 0, len(spans)+len(taken))
	for _, span := range spans {
		// What ends before this span ends before the following ones, too.
		for len(taken) > 0 && !taken[0].To.After(span.From) {
			taken = taken[1:]
		}
		for _, gone := range taken {
			if !gone.From.Before(span.To) {
				break
			}
			if gone.From.After(span.From) {
				left = append(left, Span{span.From, gone.From})
			}
			span.From = gone.To
		}
		if !span.empty() {
			left = append(left, span)
		}
	}
	return left
}

// covers tells whether merged spans hold all of one.
func covers(spans []Span, all Span) bool {
	return slices.ContainsFunc(spans, all.within)
}

// within tells whether one span lies in another.
func (s Span) within(other Span) bool { return !s.From.Before(other.From) && !s.To.After(other.To) }

// Overlaps tells whether two spans share time.
func (s Span) Overlaps(other Span) bool { return s.From.Before(other.To) && other.From.Before(s.To) }
