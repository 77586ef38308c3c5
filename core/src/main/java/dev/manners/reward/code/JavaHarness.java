package dev.manners.reward.code;

import dev.manners.files.Json;
import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.net.URI;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;
import javax.tools.Diagnostic;
import javax.tools.DiagnosticCollector;
import javax.tools.JavaCompiler;
import javax.tools.JavaFileObject;
import javax.tools.SimpleJavaFileObject;
import javax.tools.ToolProvider;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/// Compiles a candidate's source and calls its method, as asked line by line on standard input: `harness.py` for Java.
/// It runs in the candidate's process, and knows arguments, never what is expected of them.
final class JavaHarness {

    private JavaHarness() {}

    private record Function(@Nullable Object owner, Method method) {

        @Nullable
        Object call(JsonNode arguments) throws ReflectiveOperationException {
            var types = method.getGenericParameterTypes();
            @Nullable Object[] converted = new Object[types.length];
            for (int i = 0; i < types.length; i++) {
                converted[i] = Json.MAPPER.convertValue(arguments.get(i), Json.MAPPER.constructType(types[i]));
            }
            return method.invoke(owner, converted);
        }
    }

    /// The parent starts it. Arguments: none.
    public static void main(String[] ignored) throws IOException {
        // Answers leave by a stream of their own. What the candidate prints goes where errors go; it reads nothing.
        PrintStream answers = new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8);
        BufferedReader requests = new BufferedReader(
                new InputStreamReader(new FileInputStream(FileDescriptor.in), StandardCharsets.UTF_8));
        System.setOut(System.err);
        System.setIn(InputStream.nullInputStream());

        answers.println(answer(request(requests)));
        ObjectNode load = request(requests);
        Path classes = Path.of("classes");
        try {
            compile(load.get("source").stringValue(), Files.createDirectories(classes));
        } catch (Throwable e) {
            answers.println(failed(load, e));
            return;
        }
        answers.println(answer(load));

        for (String line; (line = requests.readLine()) != null; ) {
            ObjectNode request = Json.parseObject(line.getBytes(StandardCharsets.UTF_8), "request");
            try {
                Function function = find(
                        classes,
                        load.get("function").stringValue(),
                        request.get("arguments").size());
                JsonNode value = Json.MAPPER.valueToTree(function.call(request.get("arguments")));
                answers.println(answer(request).set("value", value));
            } catch (InvocationTargetException e) {
                answers.println(failed(request, e.getCause() == null ? e : e.getCause()));
            } catch (Throwable e) {
                answers.println(failed(request, e));
            }
        }
    }

    private static ObjectNode request(BufferedReader requests) throws IOException {
        String line = requests.readLine();
        return Json.parseObject(String.valueOf(line).getBytes(StandardCharsets.UTF_8), "request");
    }

    private static ObjectNode answer(ObjectNode request) {
        return Json.MAPPER.createObjectNode().set("nonce", request.get("nonce"));
    }

    private static ObjectNode failed(ObjectNode request, Throwable e) {
        String error = String.valueOf(e);
        return answer(request).put("error", error.substring(0, Math.min(500, error.length())));
    }

    private static void compile(String source, Path classes) throws IOException {
        JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
        DiagnosticCollector<JavaFileObject> diagnostics = new DiagnosticCollector<>();
        JavaFileObject file =
                new SimpleJavaFileObject(URI.create("string:///Candidate.java"), JavaFileObject.Kind.SOURCE) {
                    @Override
                    public CharSequence getCharContent(boolean ignoreEncodingErrors) {
                        return source;
                    }

                    @Override
                    public boolean isNameCompatible(String simpleName, Kind kind) {
                        return true; // a public class may have any name
                    }
                };
        List<String> options = List.of("-proc:none", "-nowarn", "-d", classes.toString(), "-cp", "");
        if (!compiler.getTask(null, null, diagnostics, options, null, List.of(file))
                .call()) {
            throw new IllegalArgumentException(diagnostics.getDiagnostics().stream()
                    .filter(d -> d.getKind() == Diagnostic.Kind.ERROR)
                    .findFirst()
                    .map(d -> "line " + d.getLineNumber() + ": " + d.getMessage(Locale.ROOT))
                    .orElse("does not compile"));
        }
    }

    /// A method by name and number of arguments: `Class.method`, or `method` in the first class that has it.
    private static Function find(Path classes, String name, int arguments)
            throws IOException, ReflectiveOperationException {
        List<String> compiled;
        try (Stream<Path> files = Files.walk(classes)) {
            compiled = files.map(file -> classes.relativize(file).toString())
                    .filter(file -> file.endsWith(".class"))
                    .map(file ->
                            file.substring(0, file.length() - ".class".length()).replace('/', '.'))
                    .sorted()
                    .toList();
        }
        int dot = name.lastIndexOf('.');
        for (String type : dot < 0 ? compiled : List.of(name.substring(0, dot))) {
            Class<?> owner = Class.forName(type, true, Loaded.loader(classes));
            Method method = Arrays.stream(owner.getDeclaredMethods())
                    .filter(m -> m.getName().equals(name.substring(dot + 1)) && m.getParameterCount() == arguments)
                    .findFirst()
                    .orElse(null);
            if (method != null) {
                method.setAccessible(true);
                return new Function(Modifier.isStatic(method.getModifiers()) ? null : instance(owner), method);
            }
        }
        throw new NoSuchMethodException(name + " with " + arguments + " parameters");
    }

    private static Object instance(Class<?> type) throws ReflectiveOperationException {
        var constructor = type.getDeclaredConstructor();
        constructor.setAccessible(true);
        return constructor.newInstance();
    }

    /// Classes are loaded once, so that static fields outlive a call as they do in Python.
    private static final class Loaded {
        private static @Nullable ClassLoader loader;

        static ClassLoader loader(Path classes) throws IOException {
            ClassLoader existing = loader;
            if (existing == null) {
                existing =
                        new URLClassLoader(new URL[] {classes.toUri().toURL()}, ClassLoader.getPlatformClassLoader());
                loader = existing;
            }
            return existing;
        }
    }
}
