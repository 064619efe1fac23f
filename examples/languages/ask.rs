// Satchel from Rust, through the C ABI alone: stores a text, asks, prints the answer with its source.
//
//     rustc ask.rs -L FOLDER-OF-LIBSATCHEL -o ask && ./ask notes.satchel "When does the lease end?"
use std::ffi::{CStr, CString};
use std::os::raw::{c_char, c_void};
use std::{env, mem, process, ptr, slice, str};

#[repr(C)]
struct Error {
    code: i32,
    os_code: i32,
    message: [c_char; 504],
}

#[repr(C)]
struct Token {
    text: *const u8,
    length: usize,
}

#[repr(C)]
struct Range {
    start: i64,
    end: i64,
    start_utf16: i64,
    end_utf16: i64,
}

#[repr(C)]
struct Citation {
    answer: Range,
    document_id: *const c_char,
    title: *const c_char,
    heading: *const c_char,
    chunk: i64,
    source: Range, // the fields that follow are not needed here
}

#[repr(C)]
struct Event {
    kind: i32,
    reserved: i32,
    mode: *const c_void,
    hits: *const c_void,
    token: *const Token,
    citation: *const Citation,
    refusal: *const c_void,
    progress: *const c_void,
    file: *const c_void,
    done: *const c_void,
}

#[link(name = "satchel")]
extern "C" {
    fn satchel_context_open(out: *mut *mut c_void, options: *const c_void, error: *mut Error) -> i32;
    fn satchel_context_close(context: *mut *mut c_void);
    fn satchel_store_open(out: *mut *mut c_void, context: *mut c_void, path: *const c_char,
                          options: *const c_void, error: *mut Error) -> i32;
    fn satchel_store_close(store: *mut *mut c_void);
    fn satchel_store_add_text(store: *mut c_void, id: *const c_char, text: *const u8, length: usize,
                              options: *const c_void, error: *mut Error) -> i32;
    fn satchel_ask(out: *mut *mut c_void, store: *mut c_void, question: *const c_char,
                   options: *const c_void, error: *mut Error) -> i32;
    fn satchel_stream_next(stream: *mut c_void, event: *mut Event, size: usize,
                           error: *mut Error) -> i32;
    fn satchel_stream_close(stream: *mut *mut c_void);
}

const DONE: i32 = 8; // SATCHEL_EVENT_DONE
const TEXT: &str = "The lease of the flat ends in March. Pets are allowed in the garden.";

/// An error of the library, as its message.
fn check(status: i32, error: &Error) {
    if status != 0 {
        eprintln!("{}", unsafe { CStr::from_ptr(error.message.as_ptr()) }.to_string_lossy());
        process::exit(1);
    }
}

fn main() {
    let arguments: Vec<CString> = env::args().map(|a| CString::new(a).unwrap()).collect();
    let (path, question) = (&arguments[1], &arguments[2]);
    let id = CString::new("lease").unwrap();
    unsafe {
        let mut error: Error = mem::zeroed();
        let (mut context, mut store, mut stream) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
        check(satchel_context_open(&mut context, ptr::null(), &mut error), &error);
        check(satchel_store_open(&mut store, context, path.as_ptr(), ptr::null(), &mut error), &error);
        check(satchel_store_add_text(store, id.as_ptr(), TEXT.as_ptr(), TEXT.len(), ptr::null(),
                                     &mut error), &error);
        check(satchel_ask(&mut stream, store, question.as_ptr(), ptr::null(), &mut error), &error);
        loop {
            let mut event: Event = mem::zeroed();
            check(satchel_stream_next(stream, &mut event, mem::size_of::<Event>(), &mut error), &error);
            if let Some(token) = event.token.as_ref() {
                print!("{}", str::from_utf8(slice::from_raw_parts(token.text, token.length)).unwrap());
            }
            if let Some(citation) = event.citation.as_ref() {
                let id = CStr::from_ptr(citation.document_id).to_string_lossy();
                println!(" [{}, bytes {}-{}]", id, citation.source.start, citation.source.end);
            }
            if !event.refusal.is_null() {
                println!("The documents do not answer that.");
            }
            if event.kind == DONE {
                break;
            }
        }
        satchel_stream_close(&mut stream);
        satchel_store_close(&mut store);
        satchel_context_close(&mut context);
    }
}
