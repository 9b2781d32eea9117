package replay

// passenger is the class of vehicles whose type names none.
const passenger = "passenger"

// sizes are the lengths and widths, in m, of vehicles whose vType names none, by vClass: what SUMO 1.28 says of them. Other classes are as
// passenger cars.
var sizes = map[string][2]float64{
	passenger: {5, 1.8}, "emergency": {6.5, 2.16}, "delivery": {6.5, 2.16}, "truck": {7.1, 2.4}, "trailer": {16.5, 2.55}, "bus": {12, 2.5},
	"coach": {14, 2.6}, "motorcycle": {2.2, 0.9}, "moped": {2.1, 0.78}, "scooter": {1.2, 0.5}, "bicycle": {1.6, 0.65},
	"pedestrian": {0.215, 0.478}, "wheelchair": {1.2, 0.72}, "tram": {22, 2.4}, "rail_urban": {109.5, 3}, "subway": {109.5, 3},
	"rail": {135, 2.84}, "rail_electric": {200, 2.95}, "rail_fast": {200, 2.95}, "ship": {17, 4}, "container": {6.096, 2.438},
	"aircraft": {72.7, 79.8}, "drone": {0.5, 0.5},
}

// ownTypes are the classes of SUMO's own vTypes, whose names never change.
var ownTypes = map[string]string{
	"DEFAULT_VEHTYPE": passenger, "DEFAULT_PEDTYPE": "pedestrian", "DEFAULT_BIKETYPE": "bicycle", "DEFAULT_TAXITYPE": "taxi",
	"DEFAULT_RAILTYPE": "rail", "DEFAULT_CONTAINERTYPE": "container",
}

// TypeOfClass is how vehicles of a vClass are drawn whose vType says no more.
func TypeOfClass(class string) VehicleType {
	size, ok := sizes[class]
	if !ok {
		size = sizes[passenger]
	}
	return VehicleType{Class: class, Length: size[0], Width: size[1]}
}

// TypesOf says how vehicles of the given types are drawn; known are the types that the scenario defines.
func TypesOf(ids []string, known map[string]VehicleType) map[string]VehicleType {
	types := make(map[string]VehicleType, len(ids))
	for _, id := range ids {
		t, ok := known[id]
		switch class, own := ownTypes[id]; {
		case ok:
		case own:
			t = TypeOfClass(class)
		default:
			t = TypeOfClass(passenger)
		}
		types[id] = t
	}
	return types
}
