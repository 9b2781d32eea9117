package simulation

// Attribute changes an attribute of all elements that match, in one file of a scenario.
type Attribute struct {
	File    string `json:"file"`    // its path inside the scenario; may be compressed with gzip
	Element string `json:"element"` // the name of the elements
	// Key and Equals select the elements whose attribute Key has the value Equals; all of that name if Key is empty.
	Key    string `json:"key,omitempty"`
	Equals string `json:"equals,omitempty"`
	Name   string `json:"name"`  // of the attribute that is changed
	Value  string `json:"value"` // what it becomes
}
