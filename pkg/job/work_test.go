package job_test

import (
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

var sumo = simulation.Version{Name: "1.28", Build: "1.28.0"}

// unkeyed are the options that do not change the results of a run, each with what keeps it from doing so.
var unkeyed = []string{
	"Seed",            // stands beside the key
	"Strict",          // refuses a scenario
	"AcceptedVersion", // does not run
}

func TestEveryOptionIsPartOfTheKeyOrLeftOutOnPurpose(t *testing.T) {
	t.Parallel()
	plain := job.Work("scenario", simulation.Options{}, sumo, false)
	options := reflect.TypeFor[simulation.Options]()
	for i := range options.NumField() {
		name := options.Field(i).Name
		rapid.Check(t, func(rt *rapid.T) {
			var o simulation.Options
			field := reflect.ValueOf(&o).Elem().Field(i)
			field.Set(reflect.ValueOf(some(field.Type())))
			key := job.Work("scenario", o, sumo, false)
			if name == "Check" {
				if key != "" {
					rt.Errorf("a run that checks has the key %s", key)
				}
				return
			}
			if same := key == plain; same != slices.Contains(unkeyed, name) {
				rt.Errorf("a run with %s and one without have the same key: %v", name, same)
			}
		})
	}
}

// some is a value of a type that is not its zero.
func some(t reflect.Type) any {
	v := reflect.New(t).Elem()
	switch t.Kind() {
	case reflect.Pointer:
		p := reflect.New(t.Elem())
		p.Elem().Set(reflect.ValueOf(some(t.Elem())).Convert(t.Elem()))
		return p.Interface()
	case reflect.String:
		v.SetString("fcd")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
	case reflect.Float64:
		v.SetFloat(7)
	case reflect.Slice:
		return reflect.Append(v, reflect.ValueOf(some(t.Elem())).Convert(t.Elem())).Interface()
	case reflect.Map:
		v.Set(reflect.MakeMap(t))
		v.SetMapIndex(reflect.ValueOf(some(t.Key())).Convert(t.Key()), reflect.ValueOf(some(t.Elem())).Convert(t.Elem()))
	case reflect.Struct:
		if t == reflect.TypeFor[simulation.Tool]() {
			return simulation.Tool{Name: "netconvert"}
		}
		for i := range t.NumField() {
			v.Field(i).Set(reflect.ValueOf(some(t.Field(i).Type)).Convert(t.Field(i).Type))
		}
	}
	return v.Interface()
}

// canonical are options as rapid draws them: few values, so that equal ones are met.
var canonical = rapid.Custom(func(t *rapid.T) simulation.Options {
	some := rapid.Custom(func(t *rapid.T) *float64 { return new(float64(rapid.IntRange(0, 2).Draw(t, "n"))) })
	number := rapid.OneOf(rapid.Just[*float64](nil), some)
	outputs := rapid.SliceOfNDistinct(rapid.SampledFrom([]simulation.Output{"fcd", "queue", "emission"}), 0, 3, rapid.ID)
	o := simulation.Options{
		ConfigFile: rapid.SampledFrom([]string{"", "a.sumocfg"}).Draw(t, "config"),
		Begin:      number.Draw(t, "begin"), Scale: number.Draw(t, "scale"),
		SumoVersion: "1.28", UnfinishedTrips: rapid.Bool().Draw(t, "unfinished"), Outputs: outputs.Draw(t, "outputs"),
		SUMOOptions: rapid.MapOfN(rapid.SampledFrom([]string{"a", "b"}), rapid.SampledFrom([]string{"1", "2"}), 0, 2).Draw(t, "options"),
	}
	slices.Sort(o.Outputs)
	if len(o.Outputs) == 0 {
		o.Outputs = nil
	}
	if len(o.SUMOOptions) == 0 {
		o.SUMOOptions = nil
	}
	return o
})

func TestKeysAreEqualExactlyForEqualRuns(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		one, other := canonical.Draw(t, "one"), canonical.Draw(t, "other")
		key := job.Work("s", one, sumo, true)
		if same := key == job.Work("s", other, sumo, true); same != reflect.DeepEqual(one, other) {
			t.Fatalf("equal keys: %v", same)
		}
		// The same, said in another way.
		again := one
		again.Outputs = rapid.Permutation(append(slices.Clone(one.Outputs), simulation.DefaultOutputs()...)).Draw(t, "order")
		again.Outputs = append(again.Outputs, one.Outputs...)
		again.Strict, again.Seed = !one.Strict, new(int64(3))
		if job.Work("s", again, sumo, true) != key {
			t.Fatalf("other keys for %+v and %+v", one, again)
		}
	})
}

func TestKeysAreThoseOfOneScenarioAndBuild(t *testing.T) {
	t.Parallel()
	program := simulation.Options{Controller: &simulation.Controller{File: "a.py", Interface: simulation.TraCI}}
	imaged := simulation.Version{Name: "1.28", Build: "1.28.0", Image: "sumo:1", ProgramImage: "python:1"}
	other := imaged
	other.Image = "sumo:2"
	keys := map[string]string{}
	for name, key := range map[string]string{
		"plain":            job.Work("s", simulation.Options{}, sumo, false),
		"of a study":       job.Work("s", simulation.Options{}, sumo, true),
		"another scenario": job.Work("t", simulation.Options{}, sumo, false),
		"another build":    job.Work("s", simulation.Options{}, simulation.Version{Name: "1.28", Build: "1.28.1"}, false),
		"an image":         job.Work("s", simulation.Options{}, imaged, false),
		"another image":    job.Work("s", simulation.Options{}, other, false),
		"a program":        job.Work("s", program, imaged, false),
		"a tool":           job.Work("s", simulation.Options{Tool: &simulation.Tool{Name: "netconvert"}}, imaged, false),
	} {
		if earlier, taken := keys[key]; taken || key == "" {
			t.Errorf("%s and %s have the key %q", name, earlier, key)
		}
		keys[key] = name
	}
	if job.Work("s", program, imaged, false) != job.Work("s", program, other, false) {
		t.Error("the image of runs without programs is part of the key of a program")
	}
	for name, key := range map[string]string{
		"an unknown build": job.Work("s", simulation.Options{}, simulation.Version{Name: "1.15"}, false),
		"a kept result":    job.Work("s", simulation.Options{Tool: &simulation.Tool{Name: "netconvert", KeepAs: "x"}}, imaged, false),
	} {
		if key != "" || job.WorkWithSeed(key, nil) != "" {
			t.Errorf("%s has the key %q", name, key)
		}
	}
	standard := job.WorkWithSeed("w", new(int64(simulation.DefaultSeed)))
	if job.WorkWithSeed("w", nil) != standard || job.WorkWithSeed("w", new(int64(1))) != "w-1" {
		t.Error("a run without a seed is not one with SUMO's own")
	}
}
