"""What the makers of models with random weights share: sizes, the end of a file, the command."""
import sys


def add_sizes(writer, m):
    writer.add_name("random")
    writer.add_block_count(m["layers"])
    writer.add_context_length(m["context"])
    writer.add_embedding_length(m["dimension"])
    writer.add_feed_forward_length(m["ffn"])
    writer.add_head_count(m["heads"])


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def run(usage, specs, make):
    """NAME OUT.gguf [TYPE], or --list; the exit status."""
    if sys.argv[1:] == ["--list"]:
        print("\n".join(specs))
        return 0
    if len(sys.argv) not in (3, 4) or sys.argv[1] not in specs:
        print(usage, file=sys.stderr)
        return 2
    make(sys.argv[1], sys.argv[2], *sys.argv[3:])
    return 0
