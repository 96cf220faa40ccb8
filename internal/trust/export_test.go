package trust

// Probe is what the tests of this room look at it by.
func (t *Trust) Probe() *Probe { return &Probe{t} }
