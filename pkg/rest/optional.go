package rest

import (
	"reflect"

	"github.com/danielgtaylor/huma/v2"
)

// Optional is a query parameter whose absence differs from its zero value.
type Optional[T any] struct {
	Value T
	Set   bool
}

// Schema describes a plain T to huma.
func (Optional[T]) Schema(r huma.Registry) *huma.Schema {
	return r.Schema(reflect.TypeFor[T](), true, "")
}

// Receiver returns where huma puts the value.
func (o *Optional[T]) Receiver() reflect.Value { return reflect.ValueOf(&o.Value).Elem() }

// OnParamSet is how huma reports whether the parameter was sent.
func (o *Optional[T]) OnParamSet(isSet bool, _ any) { o.Set = isSet }

// Or is the value that was sent, or else v.
func (o Optional[T]) Or(v T) T {
	if o.Set {
		return o.Value
	}
	return v
}
