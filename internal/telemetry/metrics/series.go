package metrics

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// Series is one of a metric's, with what it has come to.
type Series struct {
	Labels map[string]string
	Value  float64
}

// Series are a counter's or a gauge's, as a scrape would find them now: of that one metric
// alone, so that it costs next to nothing. There are none of a metric that is not registered.
func (c *Catalog) Series(name string) []Series {
	c.mu.Lock()
	made := c.made[name]
	c.mu.Unlock()
	if made == nil {
		return nil
	}
	collected := make(chan prometheus.Metric, 16)
	go func() {
		made.Collect(collected)
		close(collected)
	}()
	var all []Series
	for metric := range collected {
		var written dto.Metric
		// Some collect several; what cannot be written a scrape tells of.
		if !strings.Contains(metric.Desc().String(), `fqName: "`+name+`"`) || metric.Write(&written) != nil {
			continue
		}
		one := Series{Labels: map[string]string{}, Value: written.GetGauge().GetValue() + written.GetCounter().GetValue()}
		for _, label := range written.GetLabel() {
			one.Labels[label.GetName()] = label.GetValue()
		}
		all = append(all, one)
	}
	return all
}
