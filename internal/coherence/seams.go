package coherence

// Seams are where tests get in: protections that they switch off, to show that
// they would notice. In production nothing of it is set.
type Seams struct {
	// WithoutFence has writers raise without one, WithoutCheck has everything stand
	// that is kept, WithoutBarrier has a clinic open at once, and WithoutMirror
	// leaves sessions alone.
	WithoutFence, WithoutCheck, WithoutBarrier, WithoutMirror bool
	// WithoutWhole has a part of what Redis knew of a clinic do, WithoutApart has all
	// databases' values be one's, and Forgetful has a Redis be used that evicts keys.
	WithoutWhole, WithoutApart, Forgetful bool

	// At is called at named points of the protocol; nil otherwise.
	At func(point string)
}

// Point is where a test may have the caller wait.
func (s *Seams) Point(name string) {
	if s.At != nil {
		s.At(name)
	}
}
