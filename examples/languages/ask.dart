// Satchel from Dart, through dart:ffi (package ffi): stores a text, asks, prints the answer with its source.
//
//     dart run ask.dart libsatchel.so.0 notes.satchel "When does the lease end?"
//
// The calls below block; a Flutter app makes them in an isolate of its own.
import 'dart:convert';
import 'dart:ffi';
import 'dart:io';

import 'package:ffi/ffi.dart';

final class Failure extends Struct {
  @Int32()
  external int code;
  @Int32()
  external int osCode;
  @Array(504)
  external Array<Uint8> message;
}

final class Token extends Struct {
  external Pointer<Uint8> text;
  @Size()
  external int length;
}

final class TextRange extends Struct {
  @Int64()
  external int start;
  @Int64()
  external int end;
  @Int64()
  external int startUtf16;
  @Int64()
  external int endUtf16;
}

final class Citation extends Struct {
  external TextRange answer;
  external Pointer<Utf8> documentId;
  external Pointer<Utf8> title;
  external Pointer<Utf8> heading;
  @Int64()
  external int chunk;
  external TextRange source;
}

final class Event extends Struct {
  @Int32()
  external int kind;
  @Int32()
  external int reserved;
  external Pointer<Void> mode;
  external Pointer<Void> hits;
  external Pointer<Token> token;
  external Pointer<Citation> citation;
  external Pointer<Void> refusal;
  external Pointer<Void> progress;
  external Pointer<Void> file;
  external Pointer<Void> done;
}

typedef Handle = Pointer<Void>;
const done = 8; // SATCHEL_EVENT_DONE

void main(List<String> arguments) {
  final satchel = DynamicLibrary.open(arguments[0]);
  final contextOpen = satchel.lookupFunction<Int32 Function(Pointer<Handle>, Handle, Pointer<Failure>),
      int Function(Pointer<Handle>, Handle, Pointer<Failure>)>('satchel_context_open');
  final storeOpen = satchel.lookupFunction<Int32 Function(Pointer<Handle>, Handle, Pointer<Utf8>, Handle, Pointer<Failure>),
      int Function(Pointer<Handle>, Handle, Pointer<Utf8>, Handle, Pointer<Failure>)>('satchel_store_open');
  final addText = satchel.lookupFunction<Int32 Function(Handle, Pointer<Utf8>, Pointer<Utf8>, Size, Handle, Pointer<Failure>),
      int Function(Handle, Pointer<Utf8>, Pointer<Utf8>, int, Handle, Pointer<Failure>)>('satchel_store_add_text');
  final ask = satchel.lookupFunction<Int32 Function(Pointer<Handle>, Handle, Pointer<Utf8>, Handle, Pointer<Failure>),
      int Function(Pointer<Handle>, Handle, Pointer<Utf8>, Handle, Pointer<Failure>)>('satchel_ask');
  final next = satchel.lookupFunction<Int32 Function(Handle, Pointer<Event>, Size, Pointer<Failure>),
      int Function(Handle, Pointer<Event>, int, Pointer<Failure>)>('satchel_stream_next');
  void close(String name, Pointer<Handle> handle) =>
      satchel.lookupFunction<Void Function(Pointer<Handle>), void Function(Pointer<Handle>)>(name)(handle);

  using((arena) {
    final failure = arena<Failure>();
    final context = arena<Handle>(), store = arena<Handle>(), stream = arena<Handle>();
    final event = arena<Event>();
    Pointer<Utf8> utf8Of(String text) => text.toNativeUtf8(allocator: arena);
    void check(int status) {
      if (status != 0) throw StateError((failure.cast<Uint8>() + 8).cast<Utf8>().toDartString());
    }

    const text = 'The lease of the flat ends in March. Pets are allowed in the garden.';
    check(contextOpen(context, nullptr, failure));
    check(storeOpen(store, context.value, utf8Of(arguments[1]), nullptr, failure));
    check(addText(store.value, utf8Of('lease'), utf8Of(text), utf8.encode(text).length, nullptr, failure));
    check(ask(stream, store.value, utf8Of(arguments[2]), nullptr, failure));
    do {
      check(next(stream.value, event, sizeOf<Event>(), failure));
      if (event.ref.token != nullptr) {
        final token = event.ref.token.ref;
        stdout.write(utf8.decode(token.text.asTypedList(token.length)));
      }
      if (event.ref.citation != nullptr) {
        final citation = event.ref.citation.ref;
        stdout.writeln(' [${citation.documentId.toDartString()}, bytes ${citation.source.start}-${citation.source.end}]');
      }
      if (event.ref.refusal != nullptr) stdout.writeln('The documents do not answer that.');
    } while (event.ref.kind != done);
    close('satchel_stream_close', stream);
    close('satchel_store_close', store);
    close('satchel_context_close', context);
  });
}
