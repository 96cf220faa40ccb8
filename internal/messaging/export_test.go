package messaging

// Woken tells whether a worker of this process was told of work since it was asked last.
func (c *Correspondence) Woken() bool {
	select {
	case <-c.woken:
		return true
	default:
		return false
	}
}

// UnderstandBeside has so many events understood at a time.
func (w *Worker) UnderstandBeside(most int) { w.places = make(chan struct{}, most) }
