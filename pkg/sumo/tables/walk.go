package tables

import (
	"slices"
	"strconv"

	"github.com/sumo-k8/sumo-k8/pkg/sumo/xml"
)

// visitor sees the rows of an output.
type visitor interface {
	// column returns the number of a column.
	column(name string) (int, error)
	// value is one of the row that ends next.
	value(column int, v []byte)
	row() error
}

// walk follows an output, and shows its rows to a visitor.
type walk struct {
	definition
	visitor
	elements map[string]*element
	carried  []value
	open     []around // the elements that carry rows, outermost first
	in       string   // the element of the row; empty outside
	failed   error    // at the end of an element
	rooted   bool     // the root element has been seen
}

// value is one that rows have from what is around them.
type value struct {
	column int
	text   []byte
}

type around struct {
	name   string
	before int   // how much was carried before
	rows   int64 // within
}

// element is what is known of the elements of a name.
type element struct {
	name string
	row  bool
	// attributes are those of the last one, and their columns: most elements of a name have the same in the same order.
	attributes []attribute
}

type attribute struct {
	name   string
	column int
}

func (k *walk) element(x xml.Element) error {
	if k.failed != nil {
		return k.failed
	}
	if x.Depth == 1 {
		if !k.reads(string(x.Name)) {
			return ErrOther
		}
		k.rooted = true
		return nil
	}
	e, ok := k.elements[string(x.Name)]
	if !ok {
		name := string(x.Name)
		e = &element{name: name, row: slices.Contains(k.rows, name)}
		if len(k.elements) < maxColumns {
			k.elements[name] = e
		}
	}
	level := len(k.open)
	switch {
	case k.in != "" && k.within && e.name == "param":
		return k.parameter(x)
	case k.in != "" && k.within:
		return k.attributes(e, x, e.name+"_", k.value)
	case k.in != "":
	case level < len(k.carries) && slices.Contains(k.carries[level], e.name):
		k.open = append(k.open, around{name: e.name, before: len(k.carried)})
		if k.carrier != "" && level == len(k.carries)-1 {
			if err := k.carry(k.carrier, []byte(e.name)); err != nil {
				return err
			}
		}
		return k.attributes(e, x, "", k.carryValue)
	case level == len(k.carries) && e.row:
		k.in = e.name
		if err := k.begin(); err != nil {
			return err
		}
		return k.attributes(e, x, k.prefix, k.value)
	}
	return nil
}

// begin sets what a row has beside the attributes of its element.
func (k *walk) begin() error {
	for _, v := range k.carried {
		k.value(v.column, v.text)
	}
	if k.kind != "" {
		n, err := k.column(k.kind)
		if err != nil {
			return err
		}
		k.value(n, []byte(k.in))
	}
	if k.number != "" {
		n, err := k.column(k.number)
		if err != nil {
			return err
		}
		k.value(n, strconv.AppendInt(nil, k.open[len(k.open)-1].rows, 10))
	}
	return nil
}

func (k *walk) end(name []byte) {
	if k.failed != nil {
		return
	}
	last := len(k.open) - 1
	switch {
	case k.in != "":
		if string(name) != k.in {
			return
		}
		k.in = ""
		if last >= 0 {
			k.open[last].rows++
		}
		k.failed = k.row()
	case last >= 0 && string(name) == k.open[last].name:
		if k.alone && len(k.open) == len(k.carries) && k.open[last].rows == 0 {
			for _, v := range k.carried {
				k.value(v.column, v.text)
			}
			k.failed = k.row()
		}
		k.carried = k.carried[:k.open[last].before]
		k.open = k.open[:last]
	}
}

// attributes passes those of an element on by column.
func (k *walk) attributes(e *element, x xml.Element, prefix string, pass func(int, []byte)) error {
	for i, a := range x.Attrs {
		if i == len(e.attributes) {
			e.attributes = append(e.attributes, attribute{})
		}
		at := &e.attributes[i]
		if at.name != string(a.Name) {
			name := string(a.Name)
			column, ok := k.renamed[e.name+" "+name]
			if !ok {
				column = prefix + name
			}
			n, err := k.column(column)
			if err != nil {
				return err
			}
			*at = attribute{name, n}
		}
		pass(at.column, a.Value)
	}
	return nil
}

// parameter is a <param key="…" value="…"/> within a row.
func (k *walk) parameter(x xml.Element) error {
	n, err := k.column("param_" + string(x.Attr("key")))
	if err == nil {
		k.value(n, x.Attr("value"))
	}
	return err
}

// carry is for the rows of the innermost open element.
func (k *walk) carry(column string, v []byte) error {
	n, err := k.column(column)
	if err == nil {
		k.carryValue(n, v)
	}
	return err
}

func (k *walk) carryValue(column int, v []byte) {
	n := len(k.carried)
	if n < cap(k.carried) { // reuse the room of an earlier one
		k.carried = k.carried[:n+1]
		k.carried[n] = value{column, append(k.carried[n].text[:0], v...)}
		return
	}
	k.carried = append(k.carried, value{column, append([]byte(nil), v...)})
}
