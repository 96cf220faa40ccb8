package maintenance

import "github.com/prometheus/client_golang/prometheus"

// Waiting registers how many wait, and gives what an Attendant is to tell it.
func Waiting(registerer prometheus.Registerer) func(entries int64) {
	waiting := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "taskmed_waitlist_entries_waiting",
		Help: "Entries in line in all clinics' waiting lists, as this instance counted them within the last minute; 0 on one that does not attend to them.",
	})
	registerer.MustRegister(waiting)
	return func(entries int64) { waiting.Set(float64(entries)) }
}
