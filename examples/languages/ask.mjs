// Satchel from Node, through koffi (npm install koffi): stores a text, asks, prints the answer with its source.
//
//     node ask.mjs libsatchel.so.0 notes.satchel "When does the lease end?"
//
// The calls below block; an app makes them in a worker thread.
import koffi from 'koffi';

const [library, path, question] = process.argv.slice(2);
const satchel = koffi.load(library);
koffi.struct('Error', {code: 'int32_t', os_code: 'int32_t', message: koffi.array('char', 504, 'String')});
koffi.struct('Range', {start: 'int64_t', end: 'int64_t', start_utf16: 'int64_t', end_utf16: 'int64_t'});
koffi.struct('Token', {text: 'const uint8_t *', length: 'size_t'});
koffi.struct('Citation', {answer: 'Range', document_id: 'const char *', title: 'const char *',
                          heading: 'const char *', chunk: 'int64_t', source: 'Range'});
koffi.struct('Event', {kind: 'int32_t', reserved: 'int32_t', mode: 'void *', hits: 'void *', token: 'Token *',
                       citation: 'Citation *', refusal: 'void *', progress: 'void *', file: 'void *', done: 'void *'});

const error = {};
const call = declaration => {
    const native = satchel.func(declaration);
    return (...values) => {
        if (native(...values, error) !== 0)
            throw new Error(error.message);
    };
};
const contextOpen = call('int32_t satchel_context_open(_Out_ void **out, void *options, _Out_ Error *error)');
const storeOpen = call('int32_t satchel_store_open(_Out_ void **out, void *context, const char *path, void *options, _Out_ Error *error)');
const addText = call('int32_t satchel_store_add_text(void *store, const char *id, const uint8_t *text, size_t length, void *options, _Out_ Error *error)');
const ask = call('int32_t satchel_ask(_Out_ void **out, void *store, const char *question, void *options, _Out_ Error *error)');
const next = call('int32_t satchel_stream_next(void *stream, _Out_ Event *event, size_t size, _Out_ Error *error)');
const DONE = 8; // SATCHEL_EVENT_DONE

const context = [null], store = [null], stream = [null], event = {};
const text = Buffer.from('The lease of the flat ends in March. Pets are allowed in the garden.');
contextOpen(context, null);
storeOpen(store, context[0], path, null);
addText(store[0], 'lease', text, text.length, null);
ask(stream, store[0], question, null);
do {
    next(stream[0], event, koffi.sizeof('Event'));
    if (event.token) {
        const token = koffi.decode(event.token, 'Token');
        process.stdout.write(Buffer.from(koffi.decode(token.text, 'uint8_t', token.length)).toString());
    }
    if (event.citation) {
        const citation = koffi.decode(event.citation, 'Citation');
        console.log(` [${citation.document_id}, bytes ${citation.source.start}-${citation.source.end}]`);
    }
    if (event.refusal)
        console.log('The documents do not answer that.');
} while (event.kind !== DONE);
satchel.func('void satchel_stream_close(_Inout_ void **stream)')(stream);
satchel.func('void satchel_store_close(_Inout_ void **store)')(store);
satchel.func('void satchel_context_close(_Inout_ void **context)')(context);
