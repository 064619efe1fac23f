// Satchel from Deno, through its own foreign-function interface: stores a text, asks, prints the answer with
// its source.
//
//     deno run --allow-ffi ask.ts libsatchel.so.0 notes.satchel "When does the lease end?"
//
// There are no structs here: fields are read at their offsets (tests/abi/satchel.abi lists them).
const [library, path, question] = Deno.args;
const { symbols: satchel } = Deno.dlopen(library, {
  satchel_context_open: { parameters: ["buffer", "pointer", "buffer"], result: "i32" },
  satchel_context_close: { parameters: ["buffer"], result: "void" },
  satchel_store_open: { parameters: ["buffer", "pointer", "buffer", "pointer", "buffer"], result: "i32" },
  satchel_store_close: { parameters: ["buffer"], result: "void" },
  satchel_store_add_text: {
    parameters: ["pointer", "buffer", "buffer", "usize", "pointer", "buffer"],
    result: "i32",
  },
  satchel_ask: { parameters: ["buffer", "pointer", "buffer", "pointer", "buffer"], result: "i32" },
  // In a thread of its own, so that nothing else waits for it.
  satchel_stream_next: { parameters: ["pointer", "buffer", "usize", "buffer"], result: "i32", nonblocking: true },
  satchel_stream_close: { parameters: ["buffer"], result: "void" },
});
const DONE = 8; // SATCHEL_EVENT_DONE

// A place for a pointer that the library writes.
class Handle {
  readonly place = new BigUint64Array(1);
  get pointer(): Deno.PointerValue {
    return Deno.UnsafePointer.create(this.place[0]);
  }
}

const failure = new Uint8Array(512);
const bytes = (text: string) => new TextEncoder().encode(text);
const zeroEnded = (text: string) => bytes(text + "\0");
const pointerAt = (place: Deno.PointerObject, offset: number) =>
  new Deno.UnsafePointerView(place).getPointer(offset);

function check(status: number) {
  if (status !== 0) {
    throw new Error(Deno.UnsafePointerView.getCString(Deno.UnsafePointer.of(failure)!, 8));
  }
}

const context = new Handle(), store = new Handle(), stream = new Handle();
const text = bytes("The lease of the flat ends in March. Pets are allowed in the garden.");
check(satchel.satchel_context_open(context.place, null, failure));
check(satchel.satchel_store_open(store.place, context.pointer, zeroEnded(path), null, failure));
check(satchel.satchel_store_add_text(store.pointer, zeroEnded("lease"), text, BigInt(text.length), null, failure));
check(satchel.satchel_ask(stream.place, store.pointer, zeroEnded(question), null, failure));
const event = new Uint8Array(72), place = Deno.UnsafePointer.of(event)!;
do {
  check(await satchel.satchel_stream_next(stream.pointer, event, BigInt(event.length), failure));
  const token = pointerAt(place, 24), citation = pointerAt(place, 32), refusal = pointerAt(place, 40);
  if (token) {
    const length = Number(new Deno.UnsafePointerView(token).getBigUint64(8));
    const piece = Deno.UnsafePointerView.getArrayBuffer(pointerAt(token, 0)!, length);
    Deno.stdout.writeSync(new Uint8Array(piece));
  }
  if (citation) {
    const view = new Deno.UnsafePointerView(citation);
    const id = Deno.UnsafePointerView.getCString(pointerAt(citation, 32)!);
    console.log(` [${id}, bytes ${view.getBigInt64(64)}-${view.getBigInt64(72)}]`);
  }
  if (refusal) console.log("The documents do not answer that.");
} while (new DataView(event.buffer).getInt32(0, true) !== DONE);
satchel.satchel_stream_close(stream.place);
satchel.satchel_store_close(store.place);
satchel.satchel_context_close(context.place);
