package dev.manners.config;

import dev.manners.BadInput;
import dev.manners.files.Printable;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.RecordComponent;
import java.math.BigDecimal;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.SortedSet;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/// The options of one command: keys and values from a YAML file, then from flags, bound to records.
///
/// A component that is itself a record lends its own options to the record it is in, under their own keys. Where it is
/// nullable, it is null unless one of them is given: then what it requires is required.
///
/// Values are untyped until they meet the component they are for: `no` is false for a flag and text for a name, `1e-5`
/// is a number where a number is asked for. Everything that is wrong is reported at once.
public final class Options {

    private static final Pattern NUMBER =
            Pattern.compile("[+-]?(\\d[\\d_]*\\.?[\\d_]*|\\.\\d[\\d_]*)([eE][+-]?\\d+)?|[+-]?Infinity|NaN");

    private final Map<String, Value> values = new LinkedHashMap<>();
    private final String prefix;

    public Options() {
        this("");
    }

    private Options(String prefix) {
        this.prefix = prefix;
    }

    /// @param value as written: text, or a list of texts; `where` it was given
    private record Value(Object value, String where) {}

    /// Takes over the keys of a YAML file.
    ///
    /// @throws BadInput if the file gives an option twice, such as `max-length` and `max_length`
    public Options yaml(Path file) {
        Map<String, Value> given = new LinkedHashMap<>();
        Yaml.read(file).forEach((key, entry) -> {
            Value before = given.putIfAbsent(snake(key), new Value(entry.value(), entry.where()));
            if (before != null) {
                throw new BadInput(entry.where() + ": option " + snake(key) + " is given twice, first at "
                        + before.where() + "; remove one of them");
            }
        });
        values.putAll(given);
        return this;
    }

    /// Takes over one flag or `--set key=value`.
    ///
    /// @param where how the user gave it, `--learning-rate`
    public Options set(String key, Object value, String where) {
        values.put(snake(key), new Value(value, where));
        return this;
    }

    /// A record with these options and the defaults of the others, for a program that sets them itself.
    public static <T extends Record> T with(Class<T> type, Map<String, ?> values) {
        Options options = new Options();
        values.forEach((key, value) -> options.set(key, value, "program"));
        return options.bind(type);
    }

    /// The same options but for one.
    public static <T extends Record> T changed(T record, String key, Object value) {
        Map<String, Object> values = new LinkedHashMap<>(toMap(record));
        values.put(key, value);
        @SuppressWarnings("unchecked")
        Class<T> type = (Class<T>) record.getClass();
        return with(type, values);
    }

    /// The keys given, in the order they were.
    public List<String> keys() {
        return List.copyOf(values.keySet());
    }

    /// Where a key was given: file, line and column, or the flag.
    public String where(String key) {
        Value value = values.get(key);
        return value == null ? "nowhere" : value.where();
    }

    /// Gives another set of options what this one has for a key.
    public void copy(String key, Options to) {
        Value value = values.get(key);
        if (value != null) {
            to.values.put(key, value);
        }
    }

    /// The options whose keys begin with `name.`, without it.
    public Options section(String name) {
        Options section = new Options(name + ".");
        values.forEach((key, value) -> {
            if (key.startsWith(name + ".")) {
                section.values.put(key.substring(name.length() + 1), value);
            }
        });
        return section;
    }

    /// The options outside all sections.
    public Options top() {
        Options top = new Options();
        values.forEach((key, value) -> {
            if (key.indexOf('.') < 0) {
                top.values.put(key, value);
            }
        });
        return top;
    }

    /// `learning-rate`, `learningRate` and `learning_rate` are one key.
    public static String snake(String key) {
        return key.replace('-', '_').replaceAll("([a-z0-9])([A-Z])", "$1_$2").toLowerCase(Locale.ROOT);
    }

    /// Binds the options to records; together they must know every key.
    ///
    /// @return one record per type, in their order
    /// @throws BadInput listing every unknown key with its nearest match, wrong type, value out of range, missing
    /// option and contradiction
    public List<Record> bind(List<Class<? extends Record>> types) {
        List<String> problems = new ArrayList<>();
        TreeSet<String> known = new TreeSet<>();
        types.forEach(type -> describe(type).forEach(doc -> known.add(prefix + doc.key())));
        values.forEach((key, value) -> {
            if (!known.contains(prefix + key)) {
                problems.add(value.where() + ": unknown option " + prefix + key + nearest(prefix + key, known));
            }
        });
        List<Record> bound = new ArrayList<>();
        for (Class<? extends Record> type : types) {
            int before = problems.size();
            Record record = bind(type, problems);
            if (record != null) {
                bound.add(record);
                if (problems.size() == before) {
                    contradictions(record, problems);
                }
            }
        }
        if (!problems.isEmpty()) {
            throw BadInput.all("options", problems);
        }
        return bound;
    }

    private static String written(Object item) {
        return item instanceof Enum<?> constant ? constant.name().toLowerCase(Locale.ROOT) : item.toString();
    }

    private static void contradictions(Record record, List<String> problems) {
        if (record instanceof Checked checked) {
            problems.addAll(checked.problems());
        }
        for (RecordComponent component : record.getClass().getRecordComponents()) {
            if (component.getType().isRecord() && value(component, record) instanceof Record part) {
                contradictions(part, problems);
            }
        }
    }

    private static @Nullable Object value(RecordComponent component, Record record) {
        try {
            var accessor = component.getAccessor();
            accessor.setAccessible(true);
            return accessor.invoke(record);
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException(e);
        }
    }

    /// As [#bind(List)] for one record.
    public <T extends Record> T bind(Class<T> type) {
        return type.cast(bind(List.of(type)).getFirst());
    }

    private @Nullable Record bind(Class<? extends Record> type, List<String> problems) {
        RecordComponent[] components = type.getRecordComponents();
        Class<?>[] types = new Class<?>[components.length];
        @Nullable Object[] arguments = new Object[components.length];
        int before = problems.size();
        for (int i = 0; i < components.length; i++) {
            types[i] = components[i].getType();
            arguments[i] = types[i].isRecord() ? part(components[i], problems) : argument(components[i], problems);
        }
        if (problems.size() > before) {
            return null;
        }
        try {
            var constructor = type.getDeclaredConstructor(types);
            constructor.setAccessible(true);
            return constructor.newInstance(arguments);
        } catch (InvocationTargetException e) {
            if (e.getCause() instanceof BadInput bad) {
                problems.add(String.valueOf(bad.getMessage()));
                return null;
            }
            throw new IllegalStateException(type + " cannot be made", e);
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException(type + " cannot be made", e);
        }
    }

    private @Nullable Record part(RecordComponent component, List<String> problems) {
        Class<? extends Record> type = component.getType().asSubclass(Record.class);
        boolean optional = component.getAnnotatedType().isAnnotationPresent(Nullable.class);
        return optional && describe(type).stream().noneMatch(doc -> values.containsKey(doc.key()))
                ? null
                : bind(type, problems);
    }

    private @Nullable Object argument(RecordComponent component, List<String> problems) {
        Key key = key(component);
        String name = snake(component.getName());
        Value given = values.get(name);
        if (given == null) {
            if (key.required()) {
                problems.add("option " + prefix + name + " is missing: " + key.value());
                return zero(component.getType());
            }
            if (key.byDefault().isEmpty()) {
                return zero(component.getType());
            }
            Object byDefault = key.byDefault().startsWith("[") ? Yaml.list(key.byDefault()) : key.byDefault();
            return convert(component, key, name, new Value(byDefault, "default"), problems);
        }
        return convert(component, key, name, given, problems);
    }

    private static Key key(RecordComponent component) {
        Key key = component.getAnnotation(Key.class);
        if (key == null) {
            throw new IllegalStateException(component + " has no @Key");
        }
        return key;
    }

    private static @Nullable Object zero(Class<?> type) {
        if (type == int.class) {
            return 0;
        }
        if (type == long.class) {
            return 0L;
        }
        if (type == double.class) {
            return 0.0;
        }
        return type == boolean.class ? false : null;
    }

    private @Nullable Object convert(
            RecordComponent component, Key key, String name, Value given, List<String> problems) {
        Class<?> type = component.getType();
        Object value = given.value();
        String said = given.where() + ": " + prefix + name + " is " + value;
        if (List.class.isAssignableFrom(type)) {
            Class<?> of = (Class<?>) ((ParameterizedType) component.getGenericType()).getActualTypeArguments()[0];
            boolean words = of.isEnum() || Number.class.isAssignableFrom(of);
            List<?> list = value instanceof List<?> several
                    // `--loss-type sigmoid,sft` is `--loss-type sigmoid --loss-type sft`. Texts may hold commas of
                    // their own.
                    ? words
                            ? several.stream()
                                    .flatMap(item ->
                                            Arrays.stream(item.toString().split(",", -1)))
                                    .map(String::strip)
                                    .toList()
                            : several
                    : value.equals("null") || value.equals("~")
                            ? List.of()
                            : Arrays.stream(value.toString().split(",", -1))
                                    .map(String::strip)
                                    .filter(s -> !s.isEmpty())
                                    .toList();
            List<Object> items = new ArrayList<>();
            for (Object item : list) {
                String text = item.toString();
                Object converted;
                if (of == Path.class) {
                    converted = pathOrNull(text, said, problems);
                } else if (of.isEnum()) {
                    converted = constant(of, text, said, problems);
                } else if (Number.class.isAssignableFrom(of)) {
                    converted = number(of, key, text, said, problems);
                } else {
                    converted = text;
                }
                if (converted != null) {
                    items.add(converted);
                }
            }
            return items;
        }
        if (value instanceof List<?> || value instanceof Map<?, ?>) {
            problems.add(said + ", expected " + expected(type));
            return zero(type);
        }
        String text = value.toString();
        if ((text.equals("null") || text.equals("~") || text.isEmpty()) && nullable(type)) {
            // What a shell makes of an unset "$MODEL" is not a model, and nothing is no answer to what has a default.
            if (key.required() || !key.byDefault().isEmpty()) {
                problems.add(given.where() + ": " + prefix + name + " is empty, expected " + expected(type) + ": "
                        + key.value());
            }
            return null;
        }
        if (type == String.class) {
            return text;
        }
        if (type == Path.class) {
            return pathOrNull(text, said, problems);
        }
        if (type == boolean.class || type == Boolean.class) {
            return switch (text.toLowerCase(Locale.ROOT)) {
                case "true", "yes", "on", "1" -> true;
                case "false", "no", "off", "0" -> false;
                default -> {
                    problems.add(said + ", expected true or false");
                    yield zero(type);
                }
            };
        }
        if (type.isEnum()) {
            return constant(type, text, said, problems);
        }
        return number(type, key, text, said, problems);
    }

    private static @Nullable Object constant(Class<?> type, String text, String said, List<String> problems) {
        for (Object constant : type.getEnumConstants()) {
            if (((Enum<?>) constant).name().equalsIgnoreCase(text.replace('-', '_'))) {
                return constant;
            }
        }
        problems.add(
                said + ", expected one of " + choices(type) + nearest(text.toLowerCase(Locale.ROOT), choices(type)));
        return null;
    }

    private static boolean nullable(Class<?> type) {
        return !type.isPrimitive();
    }

    private static @Nullable Object number(Class<?> type, Key key, String text, String said, List<String> problems) {
        // Java would also take "8d", "1e-5f" and "0x1p3", which are numbers nowhere else.
        if (!NUMBER.matcher(text).matches()) {
            problems.add(said + ", expected " + expected(type));
            return zero(type);
        }
        double number = Double.parseDouble(text.replace("_", ""));
        boolean tooLow = key.aboveMin() ? !(number > key.min()) : !(number >= key.min());
        if (Double.isNaN(number) || Double.isInfinite(number) || tooLow || !(number <= key.max())) {
            problems.add(said + ", allowed is " + range(key));
            return zero(type);
        }
        boolean narrow = type == int.class || type == Integer.class;
        if (!narrow && type != long.class && type != Long.class) {
            return number;
        }
        // Not by way of a double, which would round a long seed.
        BigDecimal exact = new BigDecimal(text.replace("_", ""));
        long largest = narrow ? Integer.MAX_VALUE : Long.MAX_VALUE;
        if (number != Math.rint(number)) {
            problems.add(said + ", expected a whole number");
            return zero(type);
        }
        if (exact.abs().compareTo(BigDecimal.valueOf(largest)) > 0) {
            problems.add(said + ", allowed is " + range(key) + ", at most " + largest);
            return zero(type);
        }
        // An if, since `?:` would make both sides long.
        if (narrow) {
            return exact.intValue();
        }
        return exact.longValue();
    }

    private static String range(Key key) {
        String low =
                key.min() == Double.NEGATIVE_INFINITY ? "" : (key.aboveMin() ? "above " : "from ") + show(key.min());
        String high = key.max() == Double.POSITIVE_INFINITY ? "" : "to " + show(key.max());
        String range = (low + " " + high).strip();
        return range.isEmpty() ? "a finite number" : range + ", finite";
    }

    private static String show(double x) {
        return x == Math.rint(x) && Math.abs(x) < 1e15 ? String.valueOf((long) x) : String.valueOf(x);
    }

    private static String expected(Class<?> type) {
        if (type == int.class || type == long.class || type == Integer.class || type == Long.class) {
            return "a whole number";
        }
        if (type == double.class || type == Double.class) {
            return "a number";
        }
        if (type == Path.class) {
            return "a path";
        }
        return type == boolean.class || type == Boolean.class ? "true or false" : "text";
    }

    /// `~/` is the home folder; nothing else is replaced: a `$VARIABLE` stays as it is, the shell's business.
    public static Path path(String text) {
        if (text.equals("~") || text.startsWith("~/")) {
            return Path.of(System.getProperty("user.home") + text.substring(1));
        }
        return Path.of(text);
    }

    private static @Nullable Path pathOrNull(String text, String said, List<String> problems) {
        try {
            return path(text);
        } catch (InvalidPathException e) {
            problems.add(Printable.escape(said) + ", not a path: " + e.getReason());
            return null;
        }
    }

    private static SortedSet<String> choices(Class<?> type) {
        return Arrays.stream(type.getEnumConstants())
                .map(c -> ((Enum<?>) c).name().toLowerCase(Locale.ROOT))
                .collect(Collectors.toCollection(TreeSet::new));
    }

    /// ` (did you mean X?)`, or nothing if nothing is near.
    public static String nearest(String given, Iterable<String> known) {
        String best = "";
        int least = Integer.MAX_VALUE;
        for (String candidate : known) {
            int distance = distance(given, candidate);
            if (distance < least) {
                least = distance;
                best = candidate;
            }
        }
        return least <= Math.max(2, given.length() / 3) ? " (did you mean " + best + "?)" : "";
    }

    /// Levenshtein distance.
    private static int distance(String a, String b) {
        int[] row = new int[b.length() + 1];
        for (int j = 0; j <= b.length(); j++) {
            row[j] = j;
        }
        for (int i = 1; i <= a.length(); i++) {
            int diagonal = row[0];
            row[0] = i;
            for (int j = 1; j <= b.length(); j++) {
                int change = diagonal + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.min(change, Math.min(row[j], row[j - 1]) + 1);
            }
        }
        return row[b.length()];
    }

    /// An option for help texts and the reference page.
    public record Doc(String key, String type, String byDefault, String range, String text, boolean flag) {}

    /// The options of a record, in its order.
    public static List<Doc> describe(Class<? extends Record> type) {
        return Arrays.stream(type.getRecordComponents())
                .flatMap(component -> component.getType().isRecord()
                        ? describe(component.getType().asSubclass(Record.class)).stream()
                        : Stream.of(describe(component)))
                .toList();
    }

    private static Doc describe(RecordComponent component) {
        Key key = key(component);
        Class<?> t = component.getType();
        boolean number = t == int.class || t == long.class || t == double.class || t == Double.class;
        String kind = t.isEnum()
                ? String.join(" | ", choices(t))
                : List.class.isAssignableFrom(t)
                        ? "list"
                        : t == Path.class
                                ? "path"
                                : expected(t)
                                        .replace("a whole number", "integer")
                                        .replace("a number", "number");
        return new Doc(
                snake(component.getName()),
                kind,
                key.required() ? "required" : key.byDefault(),
                number ? range(key).replace(", finite", "") : "",
                key.value(),
                t == boolean.class || t == Boolean.class);
    }

    /// Keys and values of a record as they would be written in YAML; binding them again gives an equal record.
    public static Map<String, Object> toMap(Record record) {
        Map<String, Object> map = new LinkedHashMap<>();
        for (RecordComponent component : record.getClass().getRecordComponents()) {
            String key = snake(component.getName());
            Object value = value(component, record);
            if (value instanceof Record part) {
                map.putAll(toMap(part));
            } else if (value instanceof Enum<?> constant) {
                map.put(key, constant.name().toLowerCase(Locale.ROOT));
            } else if (value instanceof Path path) {
                map.put(key, path.toString());
            } else if (value instanceof List<?> list) {
                map.put(key, list.stream().map(Options::written).toList());
            } else if (value != null) {
                map.put(key, value);
            }
        }
        return map;
    }
}
