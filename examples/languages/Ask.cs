// Satchel from C#, through P/Invoke: stores a text, asks, prints the answer with its source.
//
//     dotnet run -p:AllowUnsafeBlocks=true -- notes.satchel "When does the lease end?"
//     mcs -unsafe Ask.cs && mono Ask.exe notes.satchel "When does the lease end?"
//
// Both look for libsatchel.so where the system does, or in LD_LIBRARY_PATH. The calls block; an app makes them
// in a task.
using System;
using System.Runtime.InteropServices;
using System.Text;

unsafe static class Ask
{
    struct Error { public int Code, OsCode; public fixed byte Message[504]; }
    struct Token { public byte* Text; public UIntPtr Length; } // the fields that follow are not needed here
    struct Range { public long Start, End, StartUtf16, EndUtf16; }
    struct Citation { public Range Answer; public byte* DocumentId, Title, Heading; public long Chunk; public Range Source; }
    struct Event
    {
        public int Kind, Reserved;
        public void* Mode, Hits;
        public Token* Token;
        public Citation* Citation;
        public void* Refusal, Progress, File, Done;
    }

    const int Done = 8; // SATCHEL_EVENT_DONE

    [DllImport("satchel")] static extern int satchel_context_open(out IntPtr context, void* options, out Error error);
    [DllImport("satchel")] static extern void satchel_context_close(ref IntPtr context);
    [DllImport("satchel")] static extern int satchel_store_open(out IntPtr store, IntPtr context,
        [MarshalAs(UnmanagedType.LPUTF8Str)] string path, void* options, out Error error);
    [DllImport("satchel")] static extern void satchel_store_close(ref IntPtr store);
    [DllImport("satchel")] static extern int satchel_store_add_text(IntPtr store,
        [MarshalAs(UnmanagedType.LPUTF8Str)] string id, byte[] text, UIntPtr length, void* options, out Error error);
    [DllImport("satchel")] static extern int satchel_ask(out IntPtr stream, IntPtr store,
        [MarshalAs(UnmanagedType.LPUTF8Str)] string question, void* options, out Error error);
    [DllImport("satchel")] static extern int satchel_stream_next(IntPtr stream, out Event it, UIntPtr size, out Error error);
    [DllImport("satchel")] static extern void satchel_stream_close(ref IntPtr stream);

    static void Check(int status, Error error)
    {
        if (status != 0)
            throw new InvalidOperationException(Marshal.PtrToStringUTF8((IntPtr)error.Message));
    }

    static void Main(string[] arguments)
    {
        byte[] text = Encoding.UTF8.GetBytes("The lease of the flat ends in March. Pets are allowed in the garden.");
        Check(satchel_context_open(out IntPtr context, null, out Error error), error);
        Check(satchel_store_open(out IntPtr store, context, arguments[0], null, out error), error);
        Check(satchel_store_add_text(store, "lease", text, (UIntPtr)text.Length, null, out error), error);
        Check(satchel_ask(out IntPtr stream, store, arguments[1], null, out error), error);
        Event it;
        do
        {
            Check(satchel_stream_next(stream, out it, (UIntPtr)sizeof(Event), out error), error);
            if (it.Token != null)
                Console.Write(Encoding.UTF8.GetString(it.Token->Text, (int)it.Token->Length));
            if (it.Citation != null)
                Console.WriteLine($" [{Marshal.PtrToStringUTF8((IntPtr)it.Citation->DocumentId)}, " +
                                  $"bytes {it.Citation->Source.Start}-{it.Citation->Source.End}]");
            if (it.Refusal != null)
                Console.WriteLine("The documents do not answer that.");
        } while (it.Kind != Done);
        satchel_stream_close(ref stream);
        satchel_store_close(ref store);
        satchel_context_close(ref context);
    }
}
