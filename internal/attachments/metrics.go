package attachments

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/taskmed/taskmed/internal/attachments/store"
)

// Counted is told what happens to files.
type Counted interface {
	// Uploaded is told how an upload ended, and how large it was to be.
	Uploaded(outcome string, bytes int)
	// Downloaded is told how large a file is that is being read.
	Downloaded(bytes int)
	// Removed is told of an object that is gone.
	Removed()
	// Reached is told whether the store can be reached.
	Reached(ok bool)
	// Waits is told for how long the object that is to go has been to, and still is there.
	Waits(oldest time.Duration)
}

type uncounted struct{}

func (uncounted) Uploaded(string, int) {}
func (uncounted) Downloaded(int)       {}
func (uncounted) Removed()             {}
func (uncounted) Reached(bool)         {}
func (uncounted) Waits(time.Duration)  {}

// kept is the outcome of an upload of which something came.
const kept = "kept"

// outcome is how an upload ended, in a word.
func outcome(err error) string {
	if err == nil {
		return kept
	}
	for _, known := range []struct {
		err  error
		word string
	}{
		{ErrTooLong, "size"},
		{ErrTooShort, "size"},
		{ErrDigest, "digest"},
		{ErrType, "type"},
		{ErrBroken, "broken"},
		{ErrUsed, "used"},
		{ErrSigned, "signed"},
		{ErrGone, "gone"},
		{store.ErrFull, "full"},
	} {
		if errors.Is(err, known.err) {
			return known.word
		}
	}
	return "failed"
}

type metrics struct {
	uploads    *prometheus.CounterVec
	uploaded   prometheus.Counter
	downloads  prometheus.Counter
	downloaded prometheus.Counter
	removals   prometheus.Counter
	reached    prometheus.Gauge
	oldest     prometheus.Gauge
}

// NewMetrics registers what happens to files.
func NewMetrics(registerer prometheus.Registerer) Counted {
	m := metrics{
		uploads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "taskmed_attachment_uploads_total",
			Help: "Uploads that began, by how they ended: kept, or why not (size, digest, type, broken, used, signed, gone, full, failed).",
		}, []string{"outcome"}),
		uploaded: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "taskmed_attachment_uploaded_bytes_total",
			Help: "Bytes of files that were kept.",
		}),
		downloads: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "taskmed_attachment_downloads_total",
			Help: "Requests for files that were answered, those for a part of one included.",
		}),
		downloaded: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "taskmed_attachment_downloadable_bytes_total",
			Help: "Sizes of the files that these requests were for, in bytes.",
		}),
		removals: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "taskmed_attachment_removals_total",
			Help: "Objects that were removed from the store: discarded drafts', and uploads' of which nothing came.",
		}),
		reached: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "taskmed_attachments_store_up",
			Help: "1 while this instance can keep files in the store of attachments, 0 while it cannot. Only where there is a store.",
		}),
		oldest: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "taskmed_attachment_removals_oldest_waiting_seconds",
			Help: "For how long an object that is to go from the store has been to, at most; 0 where none is. The same on each instance that has a store.",
		}),
	}
	m.reached.Set(1) // who cannot reach it says so soon
	registerer.MustRegister(m.uploads, m.uploaded, m.downloads, m.downloaded, m.removals, m.reached, m.oldest)
	return m
}

func (m metrics) Uploaded(outcome string, bytes int) {
	m.uploads.WithLabelValues(outcome).Inc()
	if outcome == kept {
		m.uploaded.Add(float64(bytes))
	}
}

func (m metrics) Downloaded(bytes int) {
	m.downloads.Inc()
	m.downloaded.Add(float64(bytes))
}

func (m metrics) Removed() { m.removals.Inc() }

func (m metrics) Reached(ok bool) {
	m.reached.Set(0)
	if ok {
		m.reached.Set(1)
	}
}

func (m metrics) Waits(oldest time.Duration) { m.oldest.Set(oldest.Seconds()) }
