package scheduling

import (
	"cmp"
	"iter"
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
	for _, span := range spans {
		if !span.From.After(all.From) && !span.To.Before(all.To) {
			return true
		}
	}
	return false
}

// slots lays spans of a length side by side from the start of each free one.
// They begin at whole minutes, since only such times can be booked.
func slots(free []Span, length time.Duration) iter.Seq[Span] {
	return func(yield func(Span) bool) {
		for _, span := range free {
			start := nextMinute(span.From)
			for end := start.Add(length); !end.After(span.To); end = start.Add(length) {
				if !yield(Span{start, end}) {
					return
				}
				start = end
			}
		}
	}
}

// nextMinute is the first whole minute that is not before an instant.
func nextMinute(t time.Time) time.Time {
	if whole := t.Truncate(time.Minute); whole.Before(t) {
		return whole.Add(time.Minute)
	}
	return t
}

// nearest gives those of the slots that begin nearest to an instant, nearest
// first and, where two are equally near, the earlier first.
func nearest(free []Span, length time.Duration, wanted time.Time, count int) []Span {
	var near []Span
	for _, span := range free {
		start := nextMinute(span.From)
		fit := int(span.To.Sub(start) / length)
		// Only the slots around the wanted time can be among the nearest ones:
		// a long day of short slots need not be laid out.
		around := int(wanted.Sub(start) / length)
		for n := max(0, min(around, fit)-count); n < min(fit, max(around, 0)+count+1); n++ {
			from := start.Add(time.Duration(n) * length)
			near = append(near, Span{from, from.Add(length)})
		}
	}
	slices.SortFunc(near, func(a, b Span) int { return byDistance(wanted, a.From, b.From) })
	return near[:min(count, len(near))]
}

// byDistance puts what is nearer to an instant first, and of two that are
// equally near the earlier.
func byDistance(wanted, a, b time.Time) int {
	return cmp.Or(cmp.Compare(a.Sub(wanted).Abs(), b.Sub(wanted).Abs()), a.Compare(b))
}
