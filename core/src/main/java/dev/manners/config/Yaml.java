package dev.manners.config;

import dev.manners.BadInput;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.core.TokenStreamLocation;
import tools.jackson.dataformat.yaml.YAMLFactory;
import tools.jackson.dataformat.yaml.YAMLParser;

/// YAML as this project allows it: one mapping, of scalars, lists of scalars and mappings of the same; no tags, no
/// anchors, no duplicate keys. Scalars stay as they are written until it is known what they are for.
public final class Yaml {

    private static final int LONGEST = 1 << 20;

    private Yaml() {}

    /// @param value text, list, or mapping; `where` file, line and column
    public record Entry(Object value, String where) {}

    /// The keys of a file, in its order; those of nested mappings joined by a dot.
    public static Map<String, Entry> read(Path file) {
        try {
            if (!Files.isRegularFile(file)) {
                throw new BadInput(file + ": no such file");
            }
            if (Files.size(file) > LONGEST) {
                throw new BadInput(file + ": " + Files.size(file) + " bytes; a configuration has at most " + LONGEST);
            }
            String text = Files.readString(file, StandardCharsets.UTF_8);
            // Some Windows editors put a byte order mark in front.
            return parse(text.startsWith("\uFEFF") ? text.substring(1) : text, file.toString());
        } catch (IOException e) {
            throw new BadInput(file + ": cannot be read as UTF-8 text: " + e.getMessage(), e);
        }
    }

    static Map<String, Entry> parse(String text, String source) {
        Map<String, Entry> entries = new LinkedHashMap<>();
        YAMLFactory factory = YAMLFactory.builder()
                .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
                .build();
        try (JsonParser parser = factory.createParser(ObjectReadContext.empty(), text)) {
            JsonToken first = parser.nextToken();
            if (first == null) {
                return entries;
            }
            if (first != JsonToken.START_OBJECT) {
                throw new BadInput(where(source, parser) + ": expected keys and values, `key: value` a line");
            }
            plain(parser, source);
            mapping(parser, source, "", entries);
            if (parser.nextToken() != null) {
                throw new BadInput(where(source, parser) + ": a second document; expected one");
            }
        } catch (JacksonException e) {
            TokenStreamLocation at = e.getLocation();
            throw new BadInput(
                    source + (at == null ? "" : ":" + at.getLineNr() + ":" + at.getColumnNr()) + ": not valid YAML: "
                            + e.getOriginalMessage(),
                    e);
        }
        return entries;
    }

    private static void mapping(JsonParser parser, String source, String prefix, Map<String, Entry> entries) {
        while (parser.nextToken() == JsonToken.PROPERTY_NAME) {
            plain(parser, source);
            String key = prefix + parser.currentName();
            String where = where(source, parser);
            JsonToken token = parser.nextToken();
            plain(parser, source);
            if (token == JsonToken.START_OBJECT) {
                mapping(parser, source, key + ".", entries);
            } else if (token == JsonToken.START_ARRAY) {
                List<String> list = new ArrayList<>();
                while (parser.nextToken() != JsonToken.END_ARRAY) {
                    plain(parser, source);
                    if (!parser.currentToken().isScalarValue()) {
                        throw new BadInput(where(source, parser) + ": " + key + ": expected a list of plain values");
                    }
                    list.add(parser.getString());
                }
                put(entries, key, new Entry(list, where));
            } else {
                put(entries, key, new Entry(parser.getString() == null ? "null" : parser.getString(), where));
            }
        }
    }

    /// `a: {b: 1}` and `a.b: 1` are one key: the parser, which sees two, does not find that duplicate.
    private static void put(Map<String, Entry> entries, String key, Entry entry) {
        Entry before = entries.putIfAbsent(key, entry);
        if (before != null) {
            throw new BadInput(entry.where() + ": key " + key + " is given twice, first at " + before.where()
                    + "; remove one of them");
        }
    }

    private static void plain(JsonParser parser, String source) {
        YAMLParser yaml = (YAMLParser) parser;
        if (yaml.isCurrentAlias() || yaml.getObjectId() != null) {
            throw new BadInput(where(source, parser) + ": anchors and aliases are not allowed; write the value out");
        }
        if (yaml.getTypeId() != null) {
            throw new BadInput(
                    where(source, parser) + ": tag !" + yaml.getTypeId() + " is not allowed; write a plain value");
        }
    }

    private static String where(String source, JsonParser parser) {
        TokenStreamLocation at = parser.currentTokenLocation();
        return source + ":" + at.getLineNr() + ":" + at.getColumnNr();
    }

    /// A flow list, `[a, b]`.
    static List<String> list(String text) {
        Object value =
                parse("list: " + text, "default").values().iterator().next().value();
        List<String> items = new ArrayList<>();
        for (Object item : (List<?>) value) {
            items.add(item.toString());
        }
        return items;
    }

    /// `key: value` lines.
    public static String write(Map<String, ?> values) {
        StringBuilder out = new StringBuilder();
        values.forEach((key, value) ->
                out.append(key).append(": ").append(scalar(value)).append('\n'));
        return out.toString();
    }

    private static String scalar(Object value) {
        if (value instanceof List<?> list) {
            return "[" + String.join(", ", list.stream().map(Yaml::scalar).toList()) + "]";
        }
        String text = value.toString();
        boolean plain = text.matches("-?[A-Za-z0-9_./+][A-Za-z0-9_./+@ -]*") && text.equals(text.strip());
        return plain ? text : dev.manners.files.Json.MAPPER.writeValueAsString(text);
    }
}
