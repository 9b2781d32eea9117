package simulation

import "slices"

// File is the name of an output's file in the output folder. The big ones are compressed: gzip shrinks them 5 to 20 times, at less
// cost than writing the difference.
func (o Output) File() string {
	if slices.Contains(DefaultOutputs(), o) {
		return string(o) + ".xml"
	}
	return string(o) + ".xml.gz"
}
