package scenario

import "math"

// Order is how SUMO takes the departures of a route file and of those that it includes: it reads them as simulated time advances, and
// drops whatever departs before a vehicle that it has already read. The zero value is of a file that is about to be read.
type Order struct {
	begun bool
	last  int64 // milliseconds, as SUMO counts
}

// Drops takes the next departure, in seconds, and reports by how much it is out of order, in milliseconds; 0 if it is not. transit is of
// vehicles and flows with a line: SUMO reads public transport ahead of all others.
func (o *Order) Drops(depart float64, transit bool) (gap int64) {
	at := int64(math.Round(depart * 1000))
	if o.begun && at < o.last {
		return o.last - at
	}
	if !transit {
		o.begun, o.last = true, at
	}
	return 0
}
