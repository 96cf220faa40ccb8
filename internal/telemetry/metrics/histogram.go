package metrics

import (
	"iter"
	"math"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// Meters are several with the values of their labels.
type Meters = iter.Seq2[[]string, *Meter]

// Histogram shows meters as one metric of Prometheus', classic and native: what
// is counted then costs two additions, and not two for the dashboard and eight
// for Prometheus.
type Histogram struct {
	description *prometheus.Desc
	labels      []string
	// meters gives the labels' values of each meter.
	meters Meters
}

// NewHistogram shows the meters that are given at the moment of a scrape.
func NewHistogram(name, help string, meters Meters, labels ...string) *Histogram {
	return &Histogram{description: prometheus.NewDesc(name, help, labels, nil), labels: labels, meters: meters}
}

// Describe implements prometheus.Collector.
func (h *Histogram) Describe(descriptions chan<- *prometheus.Desc) { descriptions <- h.description }

// Collect implements prometheus.Collector.
func (h *Histogram) Collect(shown chan<- prometheus.Metric) {
	for values, m := range h.meters {
		shown <- reading{h, values, m}
	}
}

// reading is a meter at the moment of a scrape.
type reading struct {
	*Histogram

	values []string
	meter  *Meter
}

// Desc implements prometheus.Metric.
func (r reading) Desc() *prometheus.Desc { return r.description }

// classicQuarters are the classic buckets' bounds in quarters of octaves of a
// second: from 0.12 ms to 8 s, with some around the limit. In limitQuarters' place
// stands the limit itself, so that rules need not guess what exceeds it.
func classicQuarters() []int {
	return []int{-52, -44, -40, -36, -32, -28, -24, -20, -16, -14, -13, -12, -8, -4, 0, 4, 12}
}

// Write implements prometheus.Metric.
func (r reading) Write(out *dto.Metric) error {
	var counts [buckets]uint64
	late := r.meter.late.Load()
	total := late
	for i := range counts {
		counts[i] = r.meter.counts[i].Load()
		total += counts[i]
	}
	h := &dto.Histogram{
		SampleCount: &total, SampleSum: new(float64(r.meter.nanos.Load()) / 1e9),
		Schema: new(int32(2)), ZeroThreshold: new(math.Exp2(lowest)), ZeroCount: &counts[0],
	}
	below, next := uint64(0), 0
	for _, quarter := range classicQuarters() {
		for ; next <= quarter-4*lowest; next++ {
			below += counts[next]
		}
		bound := math.Exp2(float64(quarter) / 4)
		if quarter == limitQuarters {
			bound = Limit.Seconds()
		}
		h.Bucket = append(h.Bucket, &dto.Bucket{Exemplar: r.meter.exemplar(len(h.Bucket)), UpperBound: &bound, CumulativeCount: new(below)})
		if quarter == limitQuarters {
			below += late
		}
	}
	counts[limitBucket] += late
	var before int64
	last := 0
	for i := 1; i < buckets; i++ {
		if counts[i] == 0 {
			continue
		}
		if len(h.PositiveSpan) > 0 && last == i-1 {
			*h.PositiveSpan[len(h.PositiveSpan)-1].Length++
		} else {
			offset := int32(i - last - 1)
			if len(h.PositiveSpan) == 0 {
				offset = int32(4*lowest + i) // The index of the bucket that ends at 2^(index/4) seconds.
			}
			h.PositiveSpan = append(h.PositiveSpan, &dto.BucketSpan{Offset: &offset, Length: new(uint32(1))})
		}
		h.PositiveDelta = append(h.PositiveDelta, int64(counts[i])-before)
		before, last = int64(counts[i]), i
	}
	out.Histogram = h
	for i, label := range r.labels {
		out.Label = append(out.Label, &dto.LabelPair{Name: &label, Value: &r.values[i]})
	}
	return nil
}
