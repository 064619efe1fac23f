// Satchel from Go, through cgo: stores a text, asks, prints the answer with its source.
//
//	go run ask.go notes.satchel "When does the lease end?"
package main

/*
#cgo pkg-config: satchel
#include <satchel.h>
#include <stdlib.h>
*/
import "C"

import (
	"fmt"
	"os"
	"unsafe"
)

const text = "The lease of the flat ends in March. Pets are allowed in the garden."

var failure C.satchel_error

func check(status C.satchel_status) {
	if status != C.SATCHEL_OK {
		fmt.Fprintln(os.Stderr, C.GoString(&failure.message[0]))
		os.Exit(1)
	}
}

func main() {
	path, question := C.CString(os.Args[1]), C.CString(os.Args[2])
	id, body := C.CString("lease"), C.CString(text)
	for _, it := range []*C.char{path, question, id, body} {
		defer C.free(unsafe.Pointer(it))
	}
	var context *C.satchel_context
	var store *C.satchel_store
	var stream *C.satchel_stream
	check(C.satchel_context_open(&context, nil, &failure))
	defer C.satchel_context_close(&context)
	check(C.satchel_store_open(&store, context, path, nil, &failure))
	defer C.satchel_store_close(&store)
	check(C.satchel_store_add_text(store, id, body, C.size_t(len(text)), nil, &failure))
	check(C.satchel_ask(&stream, store, question, nil, &failure))
	defer C.satchel_stream_close(&stream)
	for {
		var event C.satchel_event
		check(C.satchel_stream_next(stream, &event, C.sizeof_satchel_event, &failure))
		if event.token != nil {
			fmt.Print(C.GoStringN(event.token.text, C.int(event.token.length)))
		}
		if event.citation != nil {
			source := event.citation.source
			fmt.Printf(" [%s, bytes %d-%d]\n", C.GoString(event.citation.document_id), source.start, source.end)
		}
		if event.refusal != nil {
			fmt.Println("The documents do not answer that.")
		}
		if event.kind == C.SATCHEL_EVENT_DONE {
			return
		}
	}
}
