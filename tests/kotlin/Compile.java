// The Kotlin compiler, kept: each line read names a file with arguments, one a line; its diagnostics go
// beside it, and the exit code is printed. Run from source by kotlin.py.
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jetbrains.kotlin.cli.jvm.K2JVMCompiler;

class Compile {
    public static void main(String[] none) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, "UTF-8"));
        for (String file = in.readLine(); file != null; file = in.readLine()) {
            String[] arguments = Files.readAllLines(Path.of(file)).toArray(new String[0]);
            int code;
            try (PrintStream told = new PrintStream(file + ".told", "UTF-8")) {
                code = new K2JVMCompiler().exec(told, arguments).getCode();
            }
            System.out.println(code);
        }
    }
}
