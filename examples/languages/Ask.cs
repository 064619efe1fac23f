// Satchel from C#, through P/Invoke: stores a text, asks, prints the answer with its source.
//
//     dotnet run -- notes.satchel "When does the lease end?"
using System.Runtime.InteropServices;
using System.Text;

unsafe static class Ask
{
    struct Error { public int Code, OsCode; public fixed byte Message[504]; }
    struct Token { public byte* Text; public nuint Length; }
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

    [DllImport("satchel")] static extern int satchel_context_open(out nint context, nint options, out Error error);
    [DllImport("satchel")] static extern void satchel_context_close(ref nint context);
    [DllImport("satchel")] static extern int satchel_store_open(out nint store, nint context,
        [MarshalAs(UnmanagedType.LPUTF8Str)] string path, nint options, out Error error);
    [DllImport("satchel")] static extern void satchel_store_close(ref nint store);
    [DllImport("satchel")] static extern int satchel_store_add_text(nint store,
        [MarshalAs(UnmanagedType.LPUTF8Str)] string id, byte[] text, nuint length, nint options, out Error error);
    [DllImport("satchel")] static extern int satchel_ask(out nint stream, nint store,
        [MarshalAs(UnmanagedType.LPUTF8Str)] string question, nint options, out Error error);
    [DllImport("satchel")] static extern int satchel_stream_next(nint stream, out Event @event, nuint size, out Error error);
    [DllImport("satchel")] static extern void satchel_stream_close(ref nint stream);

    static void Check(int status, Error error)
    {
        if (status != 0)
            throw new InvalidOperationException(Marshal.PtrToStringUTF8((nint)error.Message));
    }

    static void Main(string[] arguments)
    {
        byte[] text = Encoding.UTF8.GetBytes("The lease of the flat ends in March. Pets are allowed in the garden.");
        Check(satchel_context_open(out nint context, 0, out Error error), error);
        Check(satchel_store_open(out nint store, context, arguments[0], 0, out error), error);
        Check(satchel_store_add_text(store, "lease", text, (nuint)text.Length, 0, out error), error);
        Check(satchel_ask(out nint stream, store, arguments[1], 0, out error), error);
        Event it;
        do
        {
            Check(satchel_stream_next(stream, out it, (nuint)sizeof(Event), out error), error);
            if (it.Token != null)
                Console.Write(Encoding.UTF8.GetString(it.Token->Text, (int)it.Token->Length));
            if (it.Citation != null)
                Console.WriteLine($" [{Marshal.PtrToStringUTF8((nint)it.Citation->DocumentId)}, " +
                                  $"bytes {it.Citation->Source.Start}-{it.Citation->Source.End}]");
            if (it.Refusal != null)
                Console.WriteLine("The documents do not answer that.");
        } while (it.Kind != Done);
        satchel_stream_close(ref stream);
        satchel_store_close(ref store);
        satchel_context_close(ref context);
    }
}
